// The Go side of `make bench-bindings`: for each line on standard input one round, and one line of JSON: nanoseconds per
// operation.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"dht"
)

const (
	keyCount   = 1_000
	operations = 20_000
)

func main() {
	ctx := context.Background()
	config := dht.DefaultConfig()
	config.Consistency = "one"
	node, err := dht.New(config)
	check(err)
	check(node.Start(ctx))
	keys := make([]string, keyCount)
	for n := range keys {
		keys[n] = fmt.Sprintf("user:%08d:profile", n)
	}
	value := strings.Repeat("v", 98)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		begun := time.Now()
		for n := 0; n < operations; n++ {
			_, err := node.Put(ctx, keys[n%keyCount], value)
			check(err)
		}
		put := time.Since(begun)
		begun = time.Now()
		for n := 0; n < operations; n++ {
			var found string
			check(node.Get(ctx, keys[n%keyCount], &found))
		}
		get := time.Since(begun)
		fmt.Printf("{\"go put\": %f, \"go get\": %f}\n", float64(put.Nanoseconds())/operations,
			float64(get.Nanoseconds())/operations)
	}
	check(node.Stop())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
