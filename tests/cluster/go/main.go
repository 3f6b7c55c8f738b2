// The Go member of the ring of all languages.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"dht"
)

func main() {
	ctx := context.Background()
	config := dht.DefaultConfig()
	config.NodeID = os.Args[1]
	config.Seeds = os.Args[2:]
	config.Consistency = "all"
	node, err := dht.New(config)
	check(err)
	check(node.Start(ctx))
	info, err := node.NodeInfo()
	check(err)
	fmt.Println("address", info.Address)
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		check(err)
		words := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		switch words[0] {
		case "ready":
			check(node.WaitReady(ctx))
			fmt.Println("ok")
		case "put":
			key, value := string(bytesOf(words[1])), bytesOf(words[3])
			if words[2] == "json" {
				_, err = node.Put(ctx, key, json.RawMessage(value))
			} else {
				_, err = node.PutBytes(ctx, key, value)
			}
			check(err)
			fmt.Println("ok")
		case "get":
			fmt.Println(get(ctx, node, string(bytesOf(words[1]))))
		case "increment":
			by, err := strconv.ParseInt(words[2], 10, 64)
			check(err)
			sum, err := node.Increment(ctx, string(bytesOf(words[1])), by)
			check(err)
			fmt.Println(sum)
		case "cas":
			fmt.Println(swap(ctx, node, string(bytesOf(words[1])), bytesOf(words[2]), bytesOf(words[3])))
		default:
			fmt.Println("ok")
			check(node.Stop())
			return
		}
	}
}

func get(ctx context.Context, node *dht.Node, key string) string {
	var text json.RawMessage
	if err := node.Get(ctx, key, &text); err == nil {
		return "json " + hex.EncodeToString(text)
	}
	value, err := node.GetBytes(ctx, key)
	if errors.Is(err, dht.ErrNotFound) {
		return "none"
	}
	check(err)
	return "bytes " + hex.EncodeToString(value)
}

func swap(ctx context.Context, node *dht.Node, key string, expected, value []byte) string {
	wanted := dht.Absent()
	if len(expected) > 0 {
		wanted = dht.OfValue(json.RawMessage(expected))
	}
	swap, err := node.CompareAndSwap(ctx, key, wanted, json.RawMessage(value))
	check(err)
	switch {
	case swap.Swapped:
		return "swapped"
	case swap.Value == nil:
		return "none"
	}
	return "json " + hex.EncodeToString(swap.Value.Data)
}

func bytesOf(text string) []byte {
	value, err := hex.DecodeString(text)
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
