// One node, alone: it serves at once.
//
// Run it with CGO_CFLAGS and CGO_LDFLAGS of an installed libdht; see examples/README.md.
package main

import (
	"context"
	"errors"
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
	if len(os.Args) > 2 {
		port, err := strconv.ParseUint(os.Args[2], 10, 16)
		check(err)
		config.Port = uint16(port)
	}
	ctx := context.Background()
	node, err := dht.New(config)
	check(err)
	check(node.Start(ctx))
	info, err := node.NodeInfo()
	check(err)
	fmt.Printf("started a node at %s\n", info.Address)

	outcome, err := node.Put(ctx, "greeting", "hello")
	check(err)
	fmt.Printf("stored greeting on %d of %d replicas\n", outcome.Acks, outcome.SetSize)

	var greeting string
	check(node.Get(ctx, "greeting", &greeting))
	fmt.Printf("read greeting: %s\n", greeting)

	// A missing key is an error of its own.
	if err := node.Get(ctx, "no such key", &greeting); !errors.Is(err, dht.ErrNotFound) {
		log.Fatalf("a missing key gave %v", err)
	}
	fmt.Println("read a missing key: nothing")

	existed, err := node.Delete(ctx, "greeting")
	check(err)
	if !existed {
		log.Fatal("greeting was not there")
	}
	fmt.Println("deleted greeting")

	// Hands over what only this node holds, if there are others, says goodbye, and stops.
	check(node.Close())
	fmt.Println("left")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
