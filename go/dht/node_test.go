package dht

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

var bg = context.Background()

func started(t *testing.T, config Config) *Node {
	t.Helper()
	node, err := New(config)
	ok(t, err)
	t.Cleanup(func() { node.Close() })
	ok(t, node.Start(bg))
	return node
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fails(t *testing.T, err error, expected error) {
	t.Helper()
	if !errors.Is(err, expected) {
		t.Fatalf("%v instead of %v", err, expected)
	}
}

func TestALifeInOrder(t *testing.T) {
	_, err := New(Config{})
	fails(t, err, ErrConfig)
	wrong := DefaultConfig()
	wrong.HashBits = 257
	_, err = New(wrong)
	fails(t, err, ErrConfig)
	wrong = DefaultConfig()
	wrong.NodeID = "\xff"
	_, err = New(wrong)
	fails(t, err, ErrConfig)
	node, err := New(DefaultConfig())
	ok(t, err)
	id, err := node.HashKey("abc")
	ok(t, err)
	if id != "ba7816bf8f01cfea414140de5dae2223b00361a3" {
		t.Fatal(id)
	}
	_, err = node.Put(bg, "k", 1)
	fails(t, err, ErrNotStarted)
	fails(t, node.Stop(), ErrNotStarted)
	_, err = node.Metrics()
	fails(t, err, ErrNotStarted)
	ok(t, node.Start(bg))
	ok(t, node.Start(bg))
	ok(t, node.Stop())
	_, err = node.Metrics()
	fails(t, err, ErrStopped)
	ok(t, node.Stop())
	ok(t, node.Leave(bg))
	fails(t, node.Start(bg), ErrStopped)
	fails(t, node.Get(bg, "k", new(int)), ErrStopped)
	ok(t, node.Close())
	ok(t, node.Stop())
	ok(t, node.Leave(bg))
	fails(t, node.Start(bg), ErrStopped)
	fails(t, node.Get(bg, "k", new(int)), ErrStopped)
	_, err = node.NodeInfo()
	fails(t, err, ErrStopped)
	never, err := New(DefaultConfig())
	ok(t, err)
	ok(t, never.Close())
}

func TestData(t *testing.T) {
	node := started(t, DefaultConfig())
	type thing struct {
		Name string
		Size float64
	}
	outcome, err := node.Put(bg, "grüße", thing{"world 🌍", 1.5})
	ok(t, err)
	if len(outcome.Version) != 48 || outcome.Acks != 1 || !outcome.Degraded {
		t.Fatal(outcome)
	}
	var got thing
	ok(t, node.Get(bg, "grüße", &got))
	if got != (thing{"world 🌍", 1.5}) {
		t.Fatal(got)
	}
	fails(t, node.Get(bg, "grüße", new([]int)), ErrWrongFormat)
	fails(t, node.Get(bg, "none", &got), ErrNotFound)
	for _, out := range []any{nil, got, (*thing)(nil)} {
		fails(t, node.Get(bg, "grüße", out), ErrInvalidArgument)
		fails(t, node.GetAndDelete(bg, "grüße", out), ErrInvalidArgument)
		_, err = node.GetAndPut(bg, "grüße", 1, out)
		fails(t, err, ErrInvalidArgument)
	}
	ok(t, node.Get(bg, "grüße", &got)) // Nothing was done.
	_, err = node.GetBytes(bg, "none")
	fails(t, err, ErrNotFound)
	_, err = node.Put(bg, "k", math.NaN())
	fails(t, err, ErrInvalidValue)
	raw := []byte{0, 255, 0}
	_, err = node.PutBytes(bg, "a\x00b", raw)
	ok(t, err)
	found, err := node.GetBytes(bg, "a\x00b")
	ok(t, err)
	if !bytes.Equal(found, raw) {
		t.Fatal(found)
	}
	_, err = node.PutBytes(bg, "", nil)
	ok(t, err)
	fails(t, node.Get(bg, "", &got), ErrWrongFormat)
	_, err = node.PutWithTTL(bg, "t", 1, time.Hour)
	ok(t, err)
	left, has, err := node.TTL(bg, "t")
	ok(t, err)
	if !has || left > time.Hour || left < 59*time.Minute {
		t.Fatal(left, has)
	}
	_, err = node.PutWithTTL(bg, "t", 1, 0)
	fails(t, err, ErrInvalidArgument)
	for _, expected := range []bool{true, false} {
		there, err := node.Contains(bg, "t")
		ok(t, err)
		existed, err := node.Delete(bg, "t")
		ok(t, err)
		if there != expected || existed != expected {
			t.Fatal(there, existed)
		}
	}
	_, err = node.PutBytes(bg, string(make([]byte, 5000)), nil)
	fails(t, err, ErrTooLarge)
}

func TestARingOfThree(t *testing.T) {
	first := started(t, DefaultConfig())
	info, err := first.NodeInfo()
	ok(t, err)
	config := DefaultConfig()
	config.Seeds = []string{info.Address}
	second := started(t, config)
	third := started(t, DefaultConfig())
	alone, err := third.Predecessor()
	ok(t, err)
	if alone != nil {
		t.Fatal(alone)
	}
	fails(t, third.Join(bg, "nonsense"), ErrInvalidArgument)
	fails(t, third.Join(bg), ErrInvalidArgument)
	ok(t, third.Join(bg, info.Address))
	nodes := []*Node{first, second, third}
	for _, node := range nodes {
		ok(t, node.WaitReady(bg))
		// Word of a newcomer takes a moment to reach those whom it did not join through.
		for until := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			others, err := node.SuccessorList()
			ok(t, err)
			before, err := node.Predecessor()
			ok(t, err)
			if len(others) == 2 && before != nil {
				break
			}
			if time.Now().After(until) {
				t.Fatal(others, before)
			}
		}
	}
	var all sync.WaitGroup
	for worker := 0; worker < 10; worker++ {
		all.Add(1)
		go func(worker int) {
			defer all.Done()
			ctx, cancel := context.WithTimeout(bg, 30*time.Second)
			defer cancel()
			for i := 0; i < 20; i++ {
				key := fmt.Sprint(worker, "/", i)
				if _, err := nodes[i%3].Put(ctx, key, i); err != nil {
					t.Error(err)
				}
				var got int
				if err := nodes[(i+1)%3].Get(ctx, key, &got); err != nil || got != i {
					t.Error(key, got, err)
				}
			}
		}(worker)
	}
	all.Wait()
	told(t, nodes)
	statistics, err := first.Statistics()
	ok(t, err)
	if statistics.StoresSuccessful == 0 || statistics.DataItemsStored == 0 {
		t.Fatal(statistics)
	}
	metrics, err := first.Metrics()
	ok(t, err)
	stores := fmt.Sprintf("\ndht_stores_successful_total %d\n", statistics.StoresSuccessful)
	if !strings.Contains(metrics, stores) || !strings.Contains(metrics, "\ndht_members{state=\"active\"} 3\n") {
		t.Fatal(metrics)
	}
}

// What a ring of three tells about itself.
func told(t *testing.T, nodes []*Node) {
	t.Helper()
	node := nodes[0]
	ring, err := node.Ring()
	ok(t, err)
	share := 0.0
	for _, member := range ring.Nodes {
		share += member.Share
		if member.State != "active" || len(member.Positions) != 16 || member.VNodes != 16 {
			t.Fatal(member)
		}
	}
	if len(ring.Nodes) != 3 || ring.HashBits != 160 || ring.ReplicationFactor != 3 || share < 0.999 || share > 1.001 {
		t.Fatal(ring)
	}
	members, err := node.Members()
	ok(t, err)
	keepers, err := node.Locate("key")
	ok(t, err)
	if len(members) != 3 || len(keepers) != 3 {
		t.Fatal(members, keepers)
	}
	health, err := node.Health()
	ok(t, err)
	if !health.Joined || !health.StorageOK {
		t.Fatal(health)
	}
	fingers, err := node.FingerTable()
	ok(t, err)
	for _, finger := range fingers {
		if len(finger.Start) != 40 || finger.Node.ID == "" {
			t.Fatal(finger)
		}
	}
	traced(t, node, keepers[0].ID)
	if Version() == "" {
		t.Fatal("no version")
	}
}

// The trace of "key" ends at its owner, once Chord's pointers have followed the view.
func traced(t *testing.T, node *Node, owner string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bg, 15*time.Second)
	defer cancel()
	trace, err := node.LookupTrace(ctx, "key")
	for ; err == nil && trace.Owner.ID != owner; trace, err = node.LookupTrace(ctx, "key") {
		time.Sleep(10 * time.Millisecond)
	}
	ok(t, err)
	id, err := node.HashKey("key")
	ok(t, err)
	if trace.KeyID != id || len(trace.Target) != len(id) || !trace.OneHop || trace.Took < 0 || len(trace.Hops) > 2 {
		t.Fatal(trace)
	}
	for _, hop := range trace.Hops {
		if hop.Node.ID == "" || hop.Node.Address == "" || len(hop.Position) != 40 || hop.Took <= 0 || hop.Outcome == "" {
			t.Fatal(hop)
		}
	}
	cancel()
	_, err = node.LookupTrace(ctx, "key")
	fails(t, err, ErrCancelled)
}

func TestTraceSnapshotAndRestore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshot")
	first := started(t, DefaultConfig())
	_, err := first.Put(bg, "k", 1)
	ok(t, err)
	trace, err := first.Trace(bg, "k", GetOptions{Consistency: "all"})
	ok(t, err)
	if !trace.Found || trace.Error != nil || trace.Level != "all" || len(trace.TraceID) != 16 || len(trace.Spans) != 1 {
		t.Fatal(trace)
	}
	step := trace.Spans[0]
	if step.What != "fetch" || step.Outcome != "done" || step.Served == nil || step.Node.ID == "" {
		t.Fatal(step)
	}
	info, err := first.Snapshot(bg, path)
	ok(t, err)
	if info.Records != 1 || info.Bytes == 0 {
		t.Fatal(info)
	}
	_, err = first.Snapshot(bg, path)
	fails(t, err, ErrInvalidArgument)
	second := started(t, DefaultConfig())
	restored, err := second.Restore(bg, path)
	ok(t, err)
	if restored != (RestoreInfo{Records: 1, Bytes: info.Bytes}) {
		t.Fatal(restored)
	}
	var value int
	ok(t, second.Get(bg, "k", &value))
	if value != 1 {
		t.Fatal(value)
	}
	_, err = second.Restore(bg, path+"-none")
	fails(t, err, ErrStorage)
}

func TestOptionsAndLevels(t *testing.T) {
	node := started(t, DefaultConfig())
	outcome, err := node.PutWith(bg, "k", "<&>", PutOptions{TTL: time.Hour, Consistency: "all"})
	ok(t, err)
	if outcome.Wanted != 1 || outcome.SetSize != 1 {
		t.Fatal(outcome)
	}
	_, has, err := node.TTL(bg, "k")
	ok(t, err)
	if !has {
		t.Fatal("the ttl was not taken")
	}
	var raw json.RawMessage
	ok(t, node.GetWith(bg, "k", &raw, GetOptions{Consistency: "one"}))
	if string(raw) != `"<&>"` {
		t.Fatalf("%s", raw)
	}
	_, err = node.PutBytesWith(bg, "b", []byte{1}, PutOptions{TTL: time.Hour})
	ok(t, err)
	found, err := node.GetBytesWith(bg, "b", GetOptions{Consistency: "all"})
	ok(t, err)
	if !bytes.Equal(found, []byte{1}) {
		t.Fatal(found)
	}
	_, has, err = node.TTL(bg, "b")
	ok(t, err)
	if !has {
		t.Fatal("the ttl was not taken")
	}
	_, err = node.PutWith(bg, "k", 1, PutOptions{Consistency: "most"})
	fails(t, err, ErrInvalidArgument)
	_, err = node.PutWith(bg, "k", 1, PutOptions{TTL: -time.Second})
	fails(t, err, ErrInvalidArgument)
	fails(t, node.GetWith(bg, "k", &raw, GetOptions{Consistency: "most"}), ErrInvalidArgument)
	_, err = node.GetBytesWith(bg, "k", GetOptions{Consistency: "a\x00"})
	fails(t, err, ErrInvalidArgument)
	_, err = node.PutBytesWith(bg, "k", nil, PutOptions{TTL: -time.Second})
	fails(t, err, ErrInvalidArgument)
}

func TestAContextEndsACall(t *testing.T) {
	config := DefaultConfig()
	// Nothing but the context ends a call in time here.
	config.RequestTimeout = time.Hour
	node := started(t, config)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := node.Put(ctx, "k", 1)
	fails(t, err, ErrCancelled)
	fails(t, err, context.Canceled)
	var told *Error
	if !errors.As(err, &told) || told.MaybeApplied {
		t.Fatal("a call that was not begun changes nothing")
	}

	// A peer that takes connections and never says a word: whoever joins it is blocked.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer silent.Close()
	taken := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			connection, err := silent.Accept()
			if err != nil {
				return
			}
			defer connection.Close()
			if first {
				close(taken)
			}
		}
	}()
	ctx, cancel = context.WithCancel(bg)
	go func() {
		<-taken
		cancel()
	}()
	err = node.Join(ctx, silent.Addr().String())
	fails(t, err, ErrCancelled)
	fails(t, err, context.Canceled)
	if !errors.As(err, &told) || !told.MaybeApplied {
		t.Fatal("a call that was begun may have been applied")
	}
	ctx, cancel = context.WithTimeout(bg, 50*time.Millisecond)
	defer cancel()
	err = node.Join(ctx, silent.Addr().String())
	fails(t, err, ErrTimeout)
	fails(t, err, context.DeadlineExceeded)

	// The node itself is none the worse.
	_, err = node.Put(bg, "k", 1)
	ok(t, err)
	ok(t, node.Close())
}

// Leave is told the deadline and waits for what comes of it: the node is gone when it returns.
func TestLeaveEndsBeforeItReturns(t *testing.T) {
	past, cancel := context.WithDeadline(bg, time.Now().Add(-time.Second))
	defer cancel()
	node := started(t, DefaultConfig())
	if err := node.Leave(past); err != nil {
		fails(t, err, ErrTimeout)
		fails(t, err, context.DeadlineExceeded)
	}
	fails(t, node.Get(bg, "k", new(int)), ErrStopped)

	cancelled, cancel := context.WithCancel(bg)
	cancel()
	node = started(t, DefaultConfig())
	err := node.Leave(cancelled)
	fails(t, err, ErrCancelled)
	fails(t, err, context.Canceled)
	_, err = node.Put(bg, "k", 1)
	ok(t, err)
	soon, cancel := context.WithTimeout(bg, 10*time.Second)
	defer cancel()
	ok(t, node.Leave(soon))
	fails(t, node.Get(bg, "k", new(int)), ErrStopped)
}

func TestUndatedEndsByCancellingOnly(t *testing.T) {
	ctx, cancel := context.WithTimeout(bg, time.Millisecond)
	waiting, release := undated(ctx)
	<-ctx.Done()
	if waiting.Err() != nil {
		t.Fatal("the deadline ended it")
	}
	release()
	cancel()
	ctx, cancel = context.WithTimeout(bg, time.Hour)
	waiting, release = undated(ctx)
	defer release()
	cancel()
	<-waiting.Done()
}

// The library is told no less than what is left, or its own timeout would come before that of the context.
func TestTimeoutsAreRoundedUp(t *testing.T) {
	for given, ms := range map[time.Duration]uint64{-1: 0, 0: 0, 1: 1, 1e6: 1, 1e6 + 1: 2, 1500e6: 1500, math.MaxInt64: 9223372036855} {
		if told := uint64(timeoutOf(bg, given)); told != ms {
			t.Errorf("%d ns: %d ms instead of %d", given, told, ms)
		}
	}
	config := DefaultConfig()
	config.Seeds = []string{"127.0.0.1:1"}
	config.RequestTimeout = 100 * time.Millisecond
	lonely := started(t, config)
	for i := 0; i < 10; i++ {
		ctx, cancel := context.WithTimeout(bg, 5*time.Millisecond)
		err := lonely.WaitReady(ctx)
		cancel()
		fails(t, err, ErrTimeout)
		fails(t, err, context.DeadlineExceeded)
	}
	ok(t, lonely.Stop())
}

func TestAForgottenNodeStops(t *testing.T) {
	address := func() string {
		node, err := New(DefaultConfig())
		ok(t, err)
		ok(t, node.Start(bg))
		info, err := node.NodeInfo()
		ok(t, err)
		return info.Address
	}()
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		runtime.GC()
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		connection.Close()
		if time.Now().After(until) {
			t.Fatal("it still listens on " + address)
		}
	}
}

func TestCloseWhileOthersCall(t *testing.T) {
	for life := 0; life < 50; life++ {
		node, err := New(DefaultConfig())
		ok(t, err)
		ok(t, node.Start(bg))
		var all sync.WaitGroup
		for worker := 0; worker < 3; worker++ {
			all.Add(1)
			go func() {
				defer all.Done()
				for {
					_, err := node.Put(bg, "k", 1)
					if errors.Is(err, ErrStopped) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		ok(t, node.Close())
		all.Wait()
	}
}
