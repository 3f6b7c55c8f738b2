package dht

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// Keys that a text of C cannot name, each with the first 160 bits of its SHA-256, by sha256sum.
var oddKeys = map[string]string{
	"":         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
	"\x00":     "6e340b9cffb37a989ca544e6bb780a2c78901d3f",
	"k\x00a":   "44c338b548249880acdeb5c1947834915b4f2707",
	"\xff\xfe": "b3d510ef04275ca8e698e5b3cbb0ece3949ef925",
}

// Every function of one key takes them, and none touches the text that a NUL would leave of them.
func TestKeysOfAnyBytes(t *testing.T) {
	node := started(t, DefaultConfig())
	_, err := node.Put(bg, "k", "beside")
	ok(t, err)
	for key, id := range oddKeys {
		t.Run(fmt.Sprintf("%q", key), func(t *testing.T) {
			livesUnder(t, node, key)
			swapsUnder(t, node, key)
			liesSomewhere(t, node, key, id)
		})
	}
	var beside string
	ok(t, node.Get(bg, "k", &beside))
	count, err := node.Count(bg, "")
	ok(t, err)
	if beside != "beside" || count != 1 {
		t.Fatal(beside, count)
	}
}

// isTrue is for calls that answer yes or no.
func isTrue(t *testing.T, expected bool) func(bool, error) {
	t.Helper()
	return func(got bool, err error) {
		t.Helper()
		ok(t, err)
		if got != expected {
			t.Fatal(got)
		}
	}
}

func livesUnder(t *testing.T, node *Node, key string) {
	isTrue(t, false)(node.Contains(bg, key))
	isTrue(t, false)(node.Expire(bg, key, time.Second))
	isTrue(t, false)(node.Persist(bg, key))
	fails(t, node.Get(bg, key, new(any)), ErrNotFound)
	_, err := node.Put(bg, key, json.RawMessage(" [ 1 ] "))
	ok(t, err)
	var raw json.RawMessage
	ok(t, node.GetWith(bg, key, &raw, GetOptions{Consistency: "all"}))
	if string(raw) != " [ 1 ] " {
		t.Fatalf("%q", raw)
	}
	isTrue(t, true)(node.ContainsWith(bg, key, GetOptions{Consistency: "all"}))
	all := GetOptions{Consistency: "all"}
	isTrue(t, true)(node.ExpireWith(bg, key, time.Minute, all))
	isTrue(t, true)(node.PersistWith(bg, key, all))
	isTrue(t, true)(node.Expire(bg, key, time.Hour))
	left, has, err := node.TTL(bg, key)
	ok(t, err)
	if !has || left > time.Hour || left < 59*time.Minute {
		t.Fatal(left, has)
	}
	isTrue(t, true)(node.Persist(bg, key))
	_, has, err = node.TTL(bg, key)
	ok(t, err)
	if has {
		t.Fatal("it expires")
	}
	_, err = node.PutWithTTL(bg, key, 2, time.Hour)
	ok(t, err)
	_, has, err = node.TTL(bg, key)
	ok(t, err)
	if !has {
		t.Fatal("it does not expire")
	}
	isTrue(t, true)(node.Delete(bg, key))
}

func swapsUnder(t *testing.T, node *Node, key string) {
	swap, err := node.PutIfAbsent(bg, key, 1)
	ok(t, err)
	second, err := node.PutIfAbsent(bg, key, 2)
	ok(t, err)
	if !swap.Swapped || second.Swapped || string(second.Value.Data) != "1" {
		t.Fatal(swap, second)
	}
	swap, err = node.CompareAndSwap(bg, key, OfValue(1), 3)
	ok(t, err)
	sum, err := node.IncrementWith(bg, key, 2, GetOptions{Consistency: "all"})
	ok(t, err)
	float, err := node.IncrementFloatWith(bg, key, 0.5, GetOptions{Consistency: "all"})
	ok(t, err)
	if !swap.Swapped || sum != 5 || float != 5.5 {
		t.Fatal(swap, sum, float)
	}
	var before float64
	isTrue(t, true)(node.GetAndPut(bg, key, "text", &before))
	var text string
	ok(t, node.GetAndDelete(bg, key, &text))
	if before != 5.5 || text != "text" {
		t.Fatal(before, text)
	}
	fails(t, node.GetAndDelete(bg, key, &text), ErrNotFound)

	swap, err = node.PutIfAbsentBytes(bg, key, []byte(key), PutOptions{TTL: time.Hour})
	ok(t, err)
	second, err = node.PutIfAbsentBytes(bg, key, nil, PutOptions{})
	ok(t, err)
	if !swap.Swapped || second.Swapped || !second.Value.IsBytes || string(second.Value.Data) != key {
		t.Fatal(swap, second)
	}
	fails(t, node.Get(bg, key, &text), ErrWrongFormat)
	fails(t, node.GetAndDelete(bg, key, &text), ErrWrongFormat)
	isTrue(t, false)(node.Contains(bg, key))
}

func liesSomewhere(t *testing.T, node *Node, key, id string) {
	hex, err := node.HashKey(key)
	ok(t, err)
	keepers, err := node.Locate(key)
	ok(t, err)
	lookup, err := node.LookupTrace(bg, key)
	ok(t, err)
	_, err = node.Put(bg, key, 1)
	ok(t, err)
	trace, err := node.Trace(bg, key, GetOptions{})
	ok(t, err)
	if hex != id || len(keepers) != 1 || lookup.KeyID != id || trace.KeyID != id || !trace.Found {
		t.Fatal(hex, keepers, lookup, trace)
	}
	isTrue(t, true)(node.Delete(bg, key))
}
