package dht

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A step of the vectors; see tests/vectors/README.md.
type step struct {
	Op, Key, By, Sum, Error, Name string
	Value, Hex, Previous          *string
	TTL                           int
	Swapped, Existed              bool
	Expected                      struct {
		Absent     bool
		Value, Hex *string
		VersionOf  string `json:"version_of"`
	}
	Found       *string
	FoundHex    *string `json:"found_hex"`
	LivesAtMost *int    `json:"lives_at_most"`
}

func (s step) value(t *testing.T) any {
	if s.Value != nil {
		return json.RawMessage(*s.Value)
	}
	return fromHex(t, s.Hex)
}

func fromHex(t *testing.T, digits *string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(*digits)
	ok(t, err)
	return raw
}

func (s step) expected(t *testing.T, versions map[string]string) Expected {
	switch {
	case s.Expected.Absent:
		return Absent()
	case s.Expected.Value != nil:
		return OfValue(json.RawMessage(*s.Expected.Value))
	case s.Expected.Hex != nil:
		return OfValue(Value{Data: fromHex(t, s.Expected.Hex), IsBytes: true})
	}
	return OfVersion(versions[s.Expected.VersionOf])
}

func (s step) do(t *testing.T, node *Node, versions map[string]string) {
	t.Helper()
	options := PutOptions{TTL: time.Duration(s.TTL) * time.Second}
	var swap Swap
	var existed bool
	var err error
	switch s.Op {
	case "put":
		_, err = node.Put(bg, s.Key, s.value(t))
		ok(t, err)
		return
	case "put_bytes":
		outcome, err := node.PutBytes(bg, s.Key, fromHex(t, s.Hex))
		ok(t, err)
		versions[s.Name] = outcome.Version
		return
	case "put_if_absent":
		swap, err = node.PutIfAbsentWith(bg, s.Key, s.value(t), options)
	case "compare_and_swap":
		expected := s.expected(t, versions)
		if s.Hex != nil {
			swap, err = node.CompareAndSwapBytes(bg, s.Key, expected, fromHex(t, s.Hex), options)
		} else {
			swap, err = node.CompareAndSwapWith(bg, s.Key, expected, s.value(t), options)
		}
	case "increment":
		s.increment(t, node)
		return
	case "get_and_put":
		var before json.RawMessage
		existed, err = node.GetAndPutWith(bg, s.Key, s.value(t), &before, options)
		ok(t, err)
		s.previous(t, existed, before)
		return
	case "get_and_delete":
		var before json.RawMessage
		err = node.GetAndDelete(bg, s.Key, &before)
		if s.Previous == nil {
			fails(t, err, ErrNotFound)
			return
		}
		ok(t, err)
		s.previous(t, true, before)
		return
	case "delete":
		existed, err = node.Delete(bg, s.Key)
	case "expire":
		existed, err = node.Expire(bg, s.Key, options.TTL)
	case "persist":
		existed, err = node.Persist(bg, s.Key)
	case "ttl":
		left, has, err := node.TTL(bg, s.Key)
		ok(t, err)
		if has != (s.LivesAtMost != nil) || has && (left <= 0 || left > time.Duration(*s.LivesAtMost)*time.Second) {
			t.Fatalf("%+v: %s %t", s, left, has)
		}
		return
	default:
		t.Fatal("a step without a test: ", s.Op)
	}
	ok(t, err)
	if existed != s.Existed || swap.Swapped != s.Swapped {
		t.Fatalf("%+v: %t, %+v", s, existed, swap)
	}
	s.found(t, swap.Value)
	if s.Name != "" {
		versions[s.Name] = swap.Version
	}
}

func (s step) increment(t *testing.T, node *Node) {
	t.Helper()
	var sum string
	var err error
	if strings.Contains(s.By, ".") {
		var by, added float64
		by, err = strconv.ParseFloat(s.By, 64)
		ok(t, err)
		added, err = node.IncrementFloat(bg, s.Key, by)
		sum = strconv.FormatFloat(added, 'f', -1, 64)
		if !strings.Contains(sum, ".") {
			sum += ".0"
		}
	} else {
		var by, added int64
		by, err = strconv.ParseInt(s.By, 10, 64)
		ok(t, err)
		added, err = node.Increment(bg, s.Key, by)
		sum = strconv.FormatInt(added, 10)
	}
	switch s.Error {
	case "":
		ok(t, err)
		if sum != s.Sum {
			t.Fatalf("%+v: %s", s, sum)
		}
	case "WRONG_FORMAT":
		fails(t, err, ErrWrongFormat)
	default:
		fails(t, err, ErrInvalidValue)
	}
}

func (s step) previous(t *testing.T, existed bool, before []byte) {
	t.Helper()
	if existed != (s.Previous != nil) || existed && string(before) != *s.Previous {
		t.Fatalf("%+v: %t, %s", s, existed, before)
	}
}

func (s step) found(t *testing.T, value *Value) {
	t.Helper()
	switch {
	case s.Found != nil:
		if value == nil || value.IsBytes || string(value.Data) != *s.Found {
			t.Fatalf("%+v: %+v", s, value)
		}
	case s.FoundHex != nil:
		if value == nil || !value.IsBytes || !bytes.Equal(value.Data, fromHex(t, s.FoundHex)) {
			t.Fatalf("%+v: %+v", s, value)
		}
	case value != nil:
		t.Fatalf("%+v: %+v", s, value)
	}
}

func TestVectorsOfAtomicOperations(t *testing.T) {
	node := started(t, DefaultConfig())
	var all []step
	vectors(t, "atomic.json", &all)
	versions := map[string]string{}
	for _, one := range all {
		one.do(t, node, versions)
	}
	if len(all) < 40 || len(versions) < 3 {
		t.Fatal("vectors are missing")
	}
}

func TestAtomic(t *testing.T) {
	node := started(t, DefaultConfig())
	_, err := node.GetVersioned(bg, "k")
	fails(t, err, ErrNotFound)
	first, err := node.PutIfAbsentWith(bg, "k", []int{1}, PutOptions{TTL: time.Hour, Consistency: "all"})
	ok(t, err)
	found, err := node.GetVersionedWith(bg, "k", GetOptions{Consistency: "all"})
	ok(t, err)
	var list []int
	ok(t, found.Decode(&list))
	if !first.Swapped || found.Version != first.Version || found.ExpiresAt == nil || *found.ExpiresAt < 1e9 || list[0] != 1 {
		t.Fatal(first, found)
	}
	second, err := node.CompareAndSwap(bg, "k", OfValue([]int{1}), "<&>")
	ok(t, err)
	third, err := node.CompareAndSwap(bg, "k", OfVersion(first.Version), nil)
	ok(t, err)
	var text string
	ok(t, third.Value.Decode(&text))
	if !second.Swapped || third.Swapped || third.Version != second.Version || text != "<&>" {
		t.Fatal(second, third)
	}
	raw := "\x00\xff"
	swap, err := node.CompareAndSwapBytes(bg, raw, Absent(), []byte(raw), PutOptions{})
	ok(t, err)
	found, err = node.GetVersioned(bg, raw)
	ok(t, err)
	if !swap.Swapped || !found.IsBytes || string(found.Data) != raw || found.ExpiresAt != nil {
		t.Fatal(swap, found)
	}
	fails(t, found.Decode(&text), ErrWrongFormat)
	swap, err = node.CompareAndSwapBytes(bg, raw, OfValue(found.Value), nil, PutOptions{})
	ok(t, err)
	before, err := node.GetAndPutBytes(bg, raw, []byte("x"), PutOptions{})
	ok(t, err)
	if !swap.Swapped || before == nil || len(before) != 0 {
		t.Fatal(swap, before)
	}
	before, err = node.GetAndDeleteBytes(bg, raw, GetOptions{})
	ok(t, err)
	if string(before) != "x" {
		t.Fatal(before)
	}
	_, err = node.GetAndDeleteBytes(bg, raw, GetOptions{})
	fails(t, err, ErrNotFound)
	before, err = node.GetAndPutBytes(bg, raw, []byte("y"), PutOptions{})
	ok(t, err)
	existed, err := node.Delete(bg, raw)
	ok(t, err)
	if before != nil || !existed {
		t.Fatal(before, existed)
	}
}

func TestAtomicRefusals(t *testing.T) {
	node := started(t, DefaultConfig())
	for _, expected := range []Expected{{}, OfVersion(""), OfVersion("\"")} {
		_, err := node.CompareAndSwap(bg, "r", expected, 1)
		fails(t, err, ErrInvalidArgument)
	}
	_, err := node.CompareAndSwap(bg, "r", OfValue(math.NaN()), 1)
	fails(t, err, ErrInvalidValue)
	_, err = node.CompareAndSwap(bg, "r", Absent(), func() {})
	fails(t, err, ErrInvalidValue)
	_, err = node.PutIfAbsent(bg, "r", json.RawMessage("1\x00"))
	fails(t, err, ErrInvalidValue)
	_, err = node.IncrementFloat(bg, "r", math.Inf(1))
	fails(t, err, ErrInvalidValue)
	_, err = node.Expire(bg, "r", 0)
	fails(t, err, ErrInvalidArgument)
	_, err = node.GetAndPut(bg, "r", json.RawMessage("{"), new(any))
	fails(t, err, ErrInvalidValue)
	_, err = node.DeleteWith(bg, "r", GetOptions{Consistency: "most"})
	fails(t, err, ErrInvalidArgument)
	wrong := GetOptions{Consistency: "most"}
	_, err = node.IncrementWith(bg, "r", 1, wrong)
	fails(t, err, ErrInvalidArgument)
	_, err = node.IncrementFloatWith(bg, "r", 1, wrong)
	fails(t, err, ErrInvalidArgument)
	_, err = node.ExpireWith(bg, "r", time.Hour, wrong)
	fails(t, err, ErrInvalidArgument)
	_, err = node.PersistWith(bg, "r", wrong)
	fails(t, err, ErrInvalidArgument)
	_, err = node.PutManyWith(bg, PutOptions{TTL: -time.Second}, map[string]any{"r": 1})
	fails(t, err, ErrInvalidArgument)
	there, err := node.ContainsWith(bg, "r", GetOptions{Consistency: "all"})
	ok(t, err)
	if there {
		t.Fatal("something was done")
	}
	_, err = node.Put(bg, "r", "text")
	ok(t, err)
	err = node.GetAndDelete(bg, "r", new(int))
	fails(t, err, ErrWrongFormat)
	if !err.(*Error).MaybeApplied {
		t.Fatal("it is deleted nevertheless")
	}
	fails(t, node.Get(bg, "r", new(any)), ErrNotFound)
}

// Of many goroutines, each increment counts once.
func TestIncrementsOfMany(t *testing.T) {
	node := started(t, DefaultConfig())
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for k := 0; k < 50; k++ {
				if _, err := node.Increment(bg, "n", 1); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	sum, err := node.Increment(bg, "n", 0)
	ok(t, err)
	if sum != 400 {
		t.Fatal(sum)
	}
}
