// Three nodes of one ring. Here they share a process; they may as well run on three machines. Address and port of the
// first are arguments; the others take free ports.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"dht"
)

func main() {
	config := dht.DefaultConfig()
	if len(os.Args) > 1 {
		config.Address = os.Args[1]
	}
	joining := config
	if len(os.Args) > 2 {
		port, err := strconv.ParseUint(os.Args[2], 10, 16)
		check(err)
		config.Port = uint16(port)
	}
	ctx := context.Background()
	one := start(ctx, "one", config)

	// Any member's address is enough to join.
	info, err := one.NodeInfo()
	check(err)
	joining.Seeds = []string{info.Address}
	two := start(ctx, "two", joining)
	three := start(ctx, "three", joining)
	for _, node := range []*dht.Node{one, two, three} {
		check(node.WaitReady(ctx))
	}
	members, err := one.Members()
	check(err)
	fmt.Printf("%d members\n", len(members))

	outcome, err := two.Put(ctx, "user:1", "Ada")
	check(err)
	fmt.Printf("two wrote user:1 on %d replicas at least\n", outcome.Wanted)
	reads(ctx, "one", one)
	replicas, err := three.Locate("user:1")
	check(err)
	fmt.Printf("user:1 is kept by %d nodes\n", len(replicas))

	// A node that leaves hands over first, so nothing is lost.
	check(two.Close())
	fmt.Println("two left")
	reads(ctx, "three", three)

	check(three.Close())
	check(one.Close())
	fmt.Println("all left")
}

func start(ctx context.Context, name string, config dht.Config) *dht.Node {
	config.NodeID = name
	node, err := dht.New(config)
	check(err)
	check(node.Start(ctx))
	info, err := node.NodeInfo()
	check(err)
	fmt.Printf("node %s at %s\n", name, info.Address)
	return node
}

func reads(ctx context.Context, name string, node *dht.Node) {
	var user string
	check(node.Get(ctx, "user:1", &user))
	if user != "Ada" {
		log.Fatalf("user:1 is %q", user)
	}
	fmt.Printf("%s reads user:1: %s\n", name, user)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
