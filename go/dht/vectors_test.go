package dht

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

type content struct {
	Text, Hex *string
	Encoding  string
	Parts     [][2]json.RawMessage
}

func (c content) bytes(t *testing.T) []byte {
	t.Helper()
	unhex := func(text string) []byte {
		raw, err := hex.DecodeString(text)
		ok(t, err)
		return raw
	}
	switch {
	case c.Text != nil:
		return []byte(*c.Text)
	case c.Hex != nil:
		return unhex(*c.Hex)
	}
	var all []byte
	for _, part := range c.Parts {
		var piece string
		var count int
		ok(t, json.Unmarshal(part[0], &piece))
		ok(t, json.Unmarshal(part[1], &count))
		raw := []byte(piece)
		if c.Encoding == "hex" {
			raw = unhex(piece)
		}
		all = append(all, bytes.Repeat(raw, count)...)
	}
	return all
}

func vectors(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "tests", "vectors", name))
	ok(t, err)
	ok(t, json.Unmarshal(text, into))
}

func TestVectorsOfValuesAndKeys(t *testing.T) {
	node := started(t, DefaultConfig())
	var all struct {
		Values []struct {
			Name, Format string
			content
		}
		Keys []content
	}
	vectors(t, "values.json", &all)
	if len(all.Values) < 20 || len(all.Keys) < 5 {
		t.Fatal("vectors are missing")
	}
	for _, one := range all.Values {
		value := one.bytes(t)
		if one.Format == "json" {
			_, err := node.Put(bg, one.Name, json.RawMessage(value))
			ok(t, err)
			var raw json.RawMessage
			ok(t, node.Get(bg, one.Name, &raw))
			if !bytes.Equal(raw, value) {
				t.Errorf("%s: %.100s", one.Name, raw)
			}
		} else {
			_, err := node.PutBytes(bg, one.Name, value)
			ok(t, err)
			fails(t, node.Get(bg, one.Name, new(any)), ErrWrongFormat)
		}
		found, err := node.GetBytes(bg, one.Name)
		ok(t, err)
		if !bytes.Equal(found, value) {
			t.Errorf("%s: %.100q", one.Name, found)
		}
	}
	for i, one := range all.Keys {
		key := string(one.bytes(t))
		_, err := node.PutBytes(bg, key, []byte{byte(i)})
		ok(t, err)
		found, err := node.GetBytes(bg, key)
		ok(t, err)
		if !bytes.Equal(found, []byte{byte(i)}) {
			t.Errorf("key %d: %q", i, found)
		}
	}
}

func TestVectorsOfHashIDs(t *testing.T) {
	var all []struct {
		Config struct {
			HashFunction      string `json:"hash_function"`
			HashBits          int    `json:"hash_bits"`
			ConsistentHashing *bool  `json:"consistent_hashing"`
		}
		Key, ID string
	}
	vectors(t, "hash_ids.json", &all)
	for _, one := range all {
		config := DefaultConfig()
		if one.Config.HashFunction != "" {
			config.HashFunction, config.HashBits = one.Config.HashFunction, one.Config.HashBits
			config.ConsistentHashing = *one.Config.ConsistentHashing
		}
		node, err := New(config)
		ok(t, err)
		id, err := node.HashKey(one.Key)
		ok(t, err)
		if id != one.ID {
			t.Errorf("%+v: %s", one, id)
		}
		ok(t, node.Close())
	}
}

// Vectors of configurations and options are JSON; Go's are typed. They go in where those have become JSON.
func TestVectorsOfErrors(t *testing.T) {
	node := started(t, DefaultConfig())
	var all struct {
		Numbers map[string]int
		Cases   []struct {
			Op, Error  string
			Key, Input content
		}
	}
	vectors(t, "errors.json", &all)
	if len(names) != len(all.Numbers)-1 || len(all.Cases) < 50 {
		t.Fatal("errors or vectors are missing")
	}
	for name, number := range all.Numbers {
		if number != 0 && names[kind(number)] != name {
			t.Errorf("%d is %s, not %s", number, names[kind(number)], name)
		}
	}
	for _, one := range all.Cases {
		key, input := string(one.Key.bytes(t)), one.Input.bytes(t)
		text := string(input)
		var err error
		switch one.Op {
		case "new":
			_, err = newNode(text)
		case "put_options":
			_, err = node.putText(bg, "k", "1", &text)
		case "get_options":
			_, err = node.getText(bg, "k", &text)
		case "put_json":
			_, err = node.Put(bg, key, json.RawMessage(input))
		case "put_bytes":
			_, err = node.PutBytes(bg, key, input)
		case "get":
			_, err = node.GetBytes(bg, key)
		case "join":
			err = node.Join(bg, text)
		case "get_bytes_as_json":
			_, err = node.PutBytes(bg, key, input)
			ok(t, err)
			err = node.Get(bg, key, new(any))
		default:
			t.Fatal("an operation without a test: ", one.Op)
		}
		if !errors.Is(err, kind(all.Numbers[one.Error])) {
			t.Errorf("%s %.50q: %v instead of %s", one.Op, input, err, one.Error)
		}
	}
}

func TestVectorsOfTTL(t *testing.T) {
	node := started(t, DefaultConfig())
	var all []struct {
		TTL     json.RawMessage
		Seconds *float64
		Error   string
	}
	vectors(t, "ttl.json", &all)
	if len(all) < 20 {
		t.Fatal("vectors are missing")
	}
	for _, one := range all {
		options := `{"ttl": ` + string(one.TTL) + "}"
		_, err := node.putText(bg, "k", "1", &options)
		if one.Error != "" {
			fails(t, err, ErrInvalidArgument)
			continue
		}
		ok(t, err)
		left, has, err := node.TTL(bg, "k")
		ok(t, err)
		switch {
		case one.Seconds == nil && has:
			t.Errorf("%s: it lives for %s", one.TTL, left)
		case one.Seconds != nil && (!has || left.Seconds() > *one.Seconds || left.Seconds() < *one.Seconds-50):
			t.Errorf("%s: it lives for %s, %t", one.TTL, left, has)
		}
	}
}

func TestVectorsOfBatches(t *testing.T) {
	node := started(t, DefaultConfig())
	var all []struct {
		Entries, Keys string
		Found         [][2]string
		Deleted       map[string]bool
	}
	vectors(t, "batches.json", &all)
	if len(all) < 4 {
		t.Fatal("vectors are missing")
	}
	for _, one := range all {
		_, err := node.putMany(bg, one.Entries, PutOptions{})
		ok(t, err)
		found, err := node.getMany(bg, one.Keys, GetOptions{})
		ok(t, err)
		if len(found) != len(one.Found) {
			t.Errorf("%.60s: %d found", one.Keys, len(found))
		}
		for _, pair := range one.Found {
			if result := found[pair[0]]; result.Err != nil || string(result.Value) != pair[1] {
				t.Errorf("%q is %.60s, %v", pair[0], result.Value, result.Err)
			}
		}
		deleted, err := node.deleteMany(bg, one.Keys, GetOptions{})
		ok(t, err)
		if len(deleted) != len(one.Deleted) {
			t.Errorf("%.60s: %d deleted", one.Keys, len(deleted))
		}
		for key, existed := range one.Deleted {
			if result := deleted[key]; result.Err != nil || result.Value != existed {
				t.Errorf("%q: %v", key, result)
			}
		}
	}
}
