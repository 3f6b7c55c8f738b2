// Basic setup: one node, which is a ring by itself; put, get, delete.
//
//	go run ./basic_setup [ADDRESS [PORT]]
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
	cfg := dht.DefaultConfig()
	cfg.NodeID = "alice"
	if len(os.Args) > 1 {
		cfg.Address = os.Args[1]
	}
	if len(os.Args) > 2 { // without it the system chooses one
		port, err := strconv.ParseUint(os.Args[2], 10, 16)
		check(err)
		cfg.Port = uint16(port)
	}
	// A context ends a call early; its deadline becomes that of the call.
	ctx := context.Background()

	// Without seeds a node founds a ring of one, which serves at once.
	node, err := dht.New(cfg)
	check(err)
	check(node.Start(ctx))
	info, err := node.NodeInfo()
	check(err)
	fmt.Println("alice listens on", info.Address)

	// A value is anything that encoding/json can write.
	outcome, err := node.Put(ctx, "greeting", "hello")
	check(err)
	fmt.Printf("stored greeting on %d of %d replicas\n", outcome.Acks, outcome.SetSize)

	var greeting string
	check(node.Get(ctx, "greeting", &greeting))
	fmt.Printf("greeting is %q\n", greeting)

	err = node.Get(ctx, "missing", &greeting)
	if errors.Is(err, dht.ErrNotFound) {
		fmt.Println("missing is not there")
	}

	existed, err := node.Delete(ctx, "greeting")
	check(err)
	fmt.Println("greeting existed when it was deleted:", yes(existed))
	there, err := node.Contains(ctx, "greeting")
	check(err)
	fmt.Println("greeting is still there:", yes(there))

	// Leaves: hands over what only this node holds. With nobody to hand over to, it is done at once.
	check(node.Close())
	fmt.Println("alice left")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func yes(trueOrFalse bool) string {
	if trueOrFalse {
		return "yes"
	}
	return "no"
}
