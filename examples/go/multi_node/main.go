// A ring of three nodes: here in one process, usually one in each of many. Every node reads what the others wrote.
//
//	go run ./multi_node [ADDRESS [PORT OF THE FIRST NODE]]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"dht"
)

var names = []string{"one", "two", "three"}

func main() {
	cfg := dht.DefaultConfig()
	if len(os.Args) > 1 {
		cfg.Address = os.Args[1]
	}
	if len(os.Args) > 2 {
		port, err := strconv.ParseUint(os.Args[2], 10, 16)
		check(err)
		cfg.Port = uint16(port)
	}
	ctx := context.Background()

	// The first node founds the ring; the others join through it. Any member would do as a seed.
	var nodes []*dht.Node
	for _, name := range names {
		cfg.NodeID = name
		node, err := dht.New(cfg)
		check(err)
		check(node.Start(ctx))
		info, err := node.NodeInfo()
		check(err)
		fmt.Println(name, "listens on", info.Address)
		nodes = append(nodes, node)
		if len(nodes) == 1 {
			cfg.Seeds, cfg.Port = []string{info.Address}, 0
		}
	}
	// Not needed for correct answers, only to see a ring that has come to rest.
	for _, node := range nodes {
		check(node.WaitReady(ctx))
	}
	ring, err := nodes[0].Ring()
	check(err)
	fmt.Printf("one sees a ring of %d nodes\n", len(ring.Nodes))

	for i, node := range nodes {
		outcome, err := node.Put(ctx, "from "+names[i], "hello from "+names[i])
		check(err)
		fmt.Printf("%s wrote, and at least %d of %d replicas have it\n", names[i], outcome.Wanted, outcome.SetSize)
	}
	var value string
	for i, node := range nodes {
		for _, writer := range names {
			check(node.Get(ctx, "from "+writer, &value))
			fmt.Printf("%s reads %q\n", names[i], value)
		}
	}
	keepers, err := nodes[1].Locate("from one")
	check(err)
	fmt.Printf("\"from one\" is kept by %d nodes\n", len(keepers))

	// A node that leaves hands its data over first.
	check(nodes[2].Close())
	check(nodes[0].Get(ctx, "from three", &value))
	fmt.Printf("three left; one still reads %q\n", value)
	check(nodes[1].Close())
	check(nodes[0].Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
