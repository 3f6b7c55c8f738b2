package dht

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func Example() {
	node, err := New(DefaultConfig())
	if err != nil {
		panic(err)
	}
	defer node.Close()
	if err := node.Start(bg); err != nil {
		panic(err)
	}
	if _, err := node.Put(bg, "answer", 42); err != nil {
		panic(err)
	}
	var answer int
	if err := node.Get(bg, "answer", &answer); err != nil {
		panic(err)
	}
	fmt.Println(answer)
	// Output: 42
}

func TestBatches(t *testing.T) {
	config := DefaultConfig()
	config.MaxKeySize = 8
	node := started(t, config)
	stored, err := node.PutMany(bg, map[string]any{"a": 1, "b": []string{"x"}, "much too long": nil})
	ok(t, err)
	if len(stored) != 3 || stored["a"].Err != nil || stored["b"].Value.Acks != 1 {
		t.Fatal(stored)
	}
	fails(t, stored["much too long"].Err, ErrTooLarge)
	found, err := node.GetMany(bg, "b", "none", "a")
	ok(t, err)
	var list []string
	ok(t, json.Unmarshal(found["b"].Value, &list))
	if len(found) != 2 || string(found["a"].Value) != "1" || list[0] != "x" {
		t.Fatal(found)
	}
	deleted, err := node.DeleteMany(bg, "a", "none")
	ok(t, err)
	if len(deleted) != 2 || !deleted["a"].Value || deleted["none"].Value {
		t.Fatal(deleted)
	}
	_, err = node.PutMany(bg, map[string]any{"f": func() {}})
	fails(t, err, ErrInvalidValue)
	empty, err := node.GetMany(bg)
	ok(t, err)
	if len(empty) != 0 {
		t.Fatal(empty)
	}
}

func TestOptions(t *testing.T) {
	node := started(t, DefaultConfig())
	_, err := node.PutWith(bg, "k", 1, PutOptions{TTL: time.Hour, Consistency: "all"})
	ok(t, err)
	left, lives, err := node.TTL(bg, "k")
	ok(t, err)
	if !lives || left > time.Hour || left < 50*time.Minute {
		t.Fatal(left, lives)
	}
	var value int
	ok(t, node.GetWith(bg, "k", &value, GetOptions{Consistency: "one"}))
	_, err = node.PutWith(bg, "k", 2, PutOptions{Consistency: "most"})
	fails(t, err, ErrInvalidArgument)
	_, err = node.PutWith(bg, "k", 2, PutOptions{TTL: -time.Second})
	fails(t, err, ErrInvalidArgument)
	ok(t, node.Get(bg, "k", &value))
	if value != 1 {
		t.Fatal("a refused write changed something")
	}
}

func TestTopology(t *testing.T) {
	config := DefaultConfig()
	config.NodeID = "first"
	first := started(t, config)
	info, err := first.NodeInfo()
	ok(t, err)
	config.NodeID = "second"
	config.Seeds = []string{info.Address}
	second := started(t, config)
	ok(t, second.WaitReady(bg))
	members, err := second.Members()
	ok(t, err)
	ring, err := second.Ring()
	ok(t, err)
	if len(members) != 2 || len(ring.Nodes) != 2 || ring.HashBits != 160 || len(ring.Nodes[0].Positions) != 16 {
		t.Fatal(members, ring)
	}
	if share := ring.Nodes[0].Share + ring.Nodes[1].Share; share < 0.999 || share > 1.001 {
		t.Fatal("the shares are not the whole:", share)
	}
	replicas, err := first.Locate("k")
	ok(t, err)
	if len(replicas) != 2 {
		t.Fatal(replicas)
	}
	_, err = first.FingerTable()
	ok(t, err)
	health, err := second.Health()
	ok(t, err)
	if !health.Joined || !health.StorageOK {
		t.Fatal(health)
	}
}

// What the node is told wrong, and the error of each; nothing is left running.
func TestWrongInput(t *testing.T) {
	taken := started(t, DefaultConfig())
	info, err := taken.NodeInfo()
	ok(t, err)
	var port uint16
	if _, err := fmt.Sscanf(info.Address[strings.LastIndex(info.Address, ":"):], ":%d", &port); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name     string
		change   func(*Config)
		expected error
	}{
		{"hash_bits 0", func(c *Config) { c.HashBits = 0 }, ErrConfig},
		{"hash_bits 257", func(c *Config) { c.HashBits = 257 }, ErrConfig},
		{"replication 0", func(c *Config) { c.ReplicationFactor = 0 }, ErrConfig},
		{"port in use", func(c *Config) { c.Port = port }, ErrAddress},
		{"no such seed", func(c *Config) { c.Seeds = []string{"no-such-host.invalid:1"} }, ErrAddress},
		{"other ring", func(c *Config) { c.Seeds = []string{info.Address}; c.HashBits = 64 }, ErrIncompatibleRing},
		{"live duplicate", func(c *Config) { c.Seeds = []string{info.Address}; c.NodeID = info.ID }, ErrNodeIDInUse},
		{"open bind", func(c *Config) { c.Address = "0.0.0.0" }, ErrInsecure},
	}
	for _, wrong := range cases {
		config := DefaultConfig()
		wrong.change(&config)
		node, err := New(config)
		if err == nil {
			err = node.Start(bg)
			node.Close()
		}
		if err == nil {
			t.Fatalf("%s was let through", wrong.name)
		}
		t.Run(wrong.name, func(t *testing.T) { fails(t, err, wrong.expected) })
	}
	fails(t, taken.Join(bg, info.Address), ErrInvalidArgument)
	_, err = taken.Put(bg, strings.Repeat("k", 4097), 1)
	fails(t, err, ErrTooLarge)
	_, err = taken.Put(bg, "k", strings.Repeat("v", 16<<20))
	fails(t, err, ErrTooLarge)
}
