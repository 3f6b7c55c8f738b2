package dht_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"dht"
)

// One node is a ring by itself; a second one joins it, here in the same process.
func Example() {
	ctx := context.Background()
	first, err := dht.New(dht.DefaultConfig())
	if err != nil {
		log.Fatal(err)
	}
	defer first.Close()
	if err := first.Start(ctx); err != nil {
		log.Fatal(err)
	}
	info, err := first.NodeInfo()
	if err != nil {
		log.Fatal(err)
	}

	cfg := dht.DefaultConfig()
	cfg.Seeds = []string{info.Address}
	second, err := dht.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()
	if err := second.Start(ctx); err != nil {
		log.Fatal(err)
	}

	if _, err := first.Put(ctx, "user:1", map[string]any{"name": "Ada", "age": 36}); err != nil {
		log.Fatal(err)
	}
	var user struct {
		Name string
		Age  int
	}
	if err := second.Get(ctx, "user:1", &user); err != nil {
		log.Fatal(err)
	}
	fmt.Println(user.Name, user.Age)
	fmt.Println(errors.Is(second.Get(ctx, "user:2", &user), dht.ErrNotFound))
	// Output:
	// Ada 36
	// true
}
