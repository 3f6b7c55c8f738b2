package dht

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestScans(t *testing.T) {
	node := started(t, DefaultConfig())
	entries := map[string]any{}
	for i := 0; i < 300; i++ {
		entries[fmt.Sprintf("user:%d", i)] = i
	}
	_, err := node.PutMany(bg, entries)
	ok(t, err)
	raw := "\x00\xff"
	_, err = node.PutBytes(bg, raw, []byte(raw))
	ok(t, err)
	scanner := node.ScanWith(bg, "user:", GetOptions{Consistency: "all"})
	for scanner.Next() {
		var value int
		ok(t, scanner.Value().Decode(&value))
		if entries[scanner.Key()] != value {
			t.Fatal(scanner.Key(), value)
		}
		delete(entries, scanner.Key())
	}
	ok(t, scanner.Err())
	if len(entries) != 0 || scanner.Next() {
		t.Fatal(len(entries))
	}
	scanner.Close()
	scanner = node.Scan(bg, raw)
	if !scanner.Next() || scanner.Key() != raw || !scanner.Value().IsBytes || string(scanner.Value().Data) != raw {
		t.Fatal(scanner.Err(), scanner.Key())
	}
	scanner.Close()
	if scanner.Next() {
		t.Fatal("it was closed")
	}
	for expected, ask := range map[uint64]func() (uint64, error){
		300: func() (uint64, error) { return node.Count(bg, "user:") },
		301: func() (uint64, error) { return node.Len(bg) },
	} {
		number, err := ask()
		ok(t, err)
		if number != expected {
			t.Fatal(number, expected)
		}
	}
	cleared, err := node.Clear(bg, "user:")
	ok(t, err)
	left, err := node.Count(bg, "")
	ok(t, err)
	if cleared != 300 || left != 1 {
		t.Fatal(cleared, left)
	}
}

func TestScansThatFail(t *testing.T) {
	node := started(t, DefaultConfig())
	_, err := node.Put(bg, "k", 1)
	ok(t, err)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	scanner := node.Scan(ctx, "")
	if scanner.Next() {
		t.Fatal("its context had ended")
	}
	fails(t, scanner.Err(), ErrCancelled)
	wrong := node.ScanWith(bg, "", GetOptions{Consistency: "most"})
	if wrong.Next() {
		t.Fatal("there is no such level")
	}
	fails(t, wrong.Err(), ErrInvalidArgument)
	scanner = node.Scan(bg, "")
	ok(t, node.Stop())
	if scanner.Next() {
		t.Fatal("its node has ended")
	}
	fails(t, scanner.Err(), ErrStopped)
	late := node.Scan(bg, "")
	fails(t, late.Err(), ErrStopped)
	_, err = node.Count(bg, "")
	fails(t, err, ErrStopped)
	ok(t, node.Close())
	if scanner.Next() {
		t.Fatal("its node was closed")
	}
	fails(t, scanner.Err(), ErrStopped)
}

// A call sees within 50 ms that its context has ended. How much a machine does in that time is not known: these try with ever
// more keys, and a call that does not end does all of it whatever the number.
func withEverMoreKeys(t *testing.T, try func(node *Node, keys uint64) bool) {
	t.Helper()
	for keys := uint64(50_000); keys <= 1_600_000; keys *= 2 {
		node := started(t, DefaultConfig())
		entries := map[string]any{}
		for i := uint64(0); i < keys; i++ {
			entries[fmt.Sprintf("k%d", i)] = nil
		}
		long, done := context.WithTimeout(bg, time.Minute)
		_, err := node.PutMany(long, entries)
		done()
		ok(t, err)
		if try(node, keys) {
			return
		}
	}
	t.Fatal("all of it was done after the caller had gone")
}

// What goes on is seen in the number: it moves until it is 0 or all.
func settled(t *testing.T, node *Node) uint64 {
	t.Helper()
	count := func() uint64 {
		number, err := node.Count(bg, "")
		ok(t, err)
		return number
	}
	for before := count(); ; {
		time.Sleep(300 * time.Millisecond)
		after := count()
		if after == before {
			return after
		}
		before = after
	}
}

// givenUp reports whether call ended with its context, a millisecond after it began; it may have been done by then.
func givenUp(t *testing.T, call func(context.Context) error) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(bg)
	time.AfterFunc(time.Millisecond, cancel)
	err := call(ctx)
	if err != nil {
		fails(t, err, ErrCancelled)
	}
	return err != nil
}

func TestContextsEndClear(t *testing.T) {
	withEverMoreKeys(t, func(node *Node, _ uint64) bool {
		given := givenUp(t, func(ctx context.Context) error { _, err := node.Clear(ctx, ""); return err })
		return given && settled(t, node) > 0
	})
}

// The library writes on, and the file appears.
func TestContextsEndSnapshot(t *testing.T) {
	withEverMoreKeys(t, func(node *Node, _ uint64) bool {
		path := filepath.Join(t.TempDir(), "snapshot")
		ctx, cancel := context.WithTimeout(bg, 5*time.Millisecond)
		defer cancel()
		_, err := node.Snapshot(ctx, path)
		if err == nil {
			return false
		}
		fails(t, err, ErrTimeout)
		if !err.(*Error).MaybeApplied {
			t.Fatal("it may be written nevertheless:", err)
		}
		for {
			if _, err := os.Stat(path); err == nil {
				return true
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

func TestContextsEndRestore(t *testing.T) {
	withEverMoreKeys(t, func(node *Node, keys uint64) bool {
		path := filepath.Join(t.TempDir(), "snapshot")
		_, err := node.Snapshot(bg, path)
		ok(t, err)
		other := started(t, DefaultConfig())
		given := givenUp(t, func(ctx context.Context) error { _, err := other.Restore(ctx, path); return err })
		// One at a time: this is let in when the restore reads no more.
		for {
			_, err := other.Snapshot(bg, path+"-other")
			if err == nil {
				break
			}
			fails(t, err, ErrOverloaded)
			time.Sleep(20 * time.Millisecond)
		}
		if !given || settled(t, other) == keys {
			return false
		}
		// What was restored in part is restored whole by another call.
		_, err = other.Restore(bg, path)
		ok(t, err)
		number, err := other.Count(bg, "")
		ok(t, err)
		if number != keys {
			t.Fatal(number)
		}
		return true
	})
}
