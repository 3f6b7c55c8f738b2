package dht

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

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
	if text := stored["much too long"].Err.Error(); !strings.HasPrefix(text, "TOO_LARGE: ") {
		t.Errorf("an error begins with its name: %q", text)
	}
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

// What is no plain case: null, bytes, signs of HTML, keys that are no text, values that are no JSON.
func TestOddBatches(t *testing.T) {
	node := started(t, DefaultConfig())
	_, err := node.PutMany(bg, map[string]any{"null": nil, "sign": json.RawMessage(`"<"`), "a\x00": 1})
	ok(t, err)
	_, err = node.PutBytes(bg, "bytes", []byte{0})
	ok(t, err)
	found, err := node.GetMany(bg, "null", "sign", "a\x00", "bytes")
	ok(t, err)
	fails(t, found["bytes"].Err, ErrWrongFormat)
	for key, text := range map[string]string{"null": "null", "sign": `"<"`, "a\x00": "1"} {
		if found[key].Err != nil || string(found[key].Value) != text {
			t.Fatal(key, found[key])
		}
	}
	for _, entries := range []map[string]any{{"k": math.NaN()}, {"k": json.RawMessage("{")}} {
		_, err = node.PutMany(bg, entries)
		fails(t, err, ErrInvalidValue)
	}
	_, err = node.PutMany(bg, map[string]any{"\xff": 1})
	fails(t, err, ErrInvalidArgument)
	_, err = node.GetMany(bg, "\xff")
	fails(t, err, ErrInvalidArgument)
	_, err = node.DeleteMany(bg, "\xff")
	fails(t, err, ErrInvalidArgument)
	_, err = node.GetManyVersioned(bg, "\xff")
	fails(t, err, ErrInvalidArgument)
}

func TestBatchesWithBytes(t *testing.T) {
	node := started(t, DefaultConfig())
	raw := []byte{0, 255}
	first, err := node.PutBytesWith(bg, "raw\x00", raw, PutOptions{TTL: time.Hour})
	ok(t, err)
	_, err = node.PutBytes(bg, "", nil)
	ok(t, err)
	_, err = node.Put(bg, "json", []int{1})
	ok(t, err)
	found, err := node.GetManyVersionedWith(bg, GetOptions{Consistency: "all"}, "raw\x00", "none", "", "json",
		strings.Repeat("k", 4097))
	ok(t, err)
	if len(found) != 4 {
		t.Fatal(found)
	}
	one := found["raw\x00"]
	ok(t, one.Err)
	if !one.Value.IsBytes || !bytes.Equal(one.Value.Data, raw) || one.Value.Version != first.Version ||
		one.Value.ExpiresAt == nil || *one.Value.ExpiresAt < 1e9 {
		t.Fatal(one)
	}
	if empty := found[""]; empty.Err != nil || !empty.Value.IsBytes || len(empty.Value.Data) != 0 {
		t.Fatal(empty)
	}
	var list []int
	ok(t, found["json"].Value.Decode(&list))
	if len(list) != 1 || found["json"].Value.ExpiresAt != nil {
		t.Fatal(list)
	}
	fails(t, found[strings.Repeat("k", 4097)].Err, ErrTooLarge)
	none, err := node.GetManyVersioned(bg)
	ok(t, err)
	if len(none) != 0 {
		t.Fatal(none)
	}
	_, err = node.GetManyVersionedWith(bg, GetOptions{Consistency: "most"}, "json")
	fails(t, err, ErrInvalidArgument)
}

// As by Put: white space, numbers and escapes are part of what was given.
func TestBatchesStoreWhatTheyGet(t *testing.T) {
	node := started(t, DefaultConfig())
	given := map[string]any{
		"spaces":  json.RawMessage("{ \"a\" : [ 1.50,\n2e0 ] }"),
		"escapes": json.RawMessage(`"\u0041<&>"`),
		"a \"b\"": 1,
	}
	stored, err := node.PutMany(bg, given)
	ok(t, err)
	for _, result := range stored {
		ok(t, result.Err)
	}
	for key, value := range given {
		var batch, single json.RawMessage
		ok(t, node.Get(bg, key, &batch))
		_, err := node.Put(bg, key, value)
		ok(t, err)
		ok(t, node.Get(bg, key, &single))
		if string(batch) != string(single) {
			t.Errorf("%q: PutMany stores %q, Put %q", key, batch, single)
		}
	}
	stored, err = node.PutMany(bg, nil)
	ok(t, err)
	if len(stored) != 0 {
		t.Fatal(stored)
	}
	for _, wrong := range []string{"", "1,\"x\":2", "1}", "\"\xff\"", "1 2"} {
		_, err := node.PutMany(bg, map[string]any{"k": json.RawMessage(wrong)})
		fails(t, err, ErrInvalidValue)
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
