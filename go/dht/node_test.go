package dht

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
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
	ok(t, node.Start(bg))
	ok(t, node.Start(bg))
	ok(t, node.Stop())
	ok(t, node.Stop())
	ok(t, node.Leave(bg))
	fails(t, node.Start(bg), ErrStopped)
	fails(t, node.Get(bg, "k", new(int)), ErrStopped)
	ok(t, node.Close())
	ok(t, node.Close())
	fails(t, node.Get(bg, "k", new(int)), ErrInvalidArgument)
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
	_, err = node.GetBytes(bg, "none")
	fails(t, err, ErrNotFound)
	_, err = node.Put(bg, "k", math.NaN())
	fails(t, err, ErrInvalidValue)
	_, err = node.Put(bg, "a\x00b", 1)
	fails(t, err, ErrInvalidArgument)
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
	statistics, err := first.Statistics()
	ok(t, err)
	if statistics.StoresSuccessful == 0 || statistics.DataItemsStored == 0 {
		t.Fatal(statistics)
	}
}

func TestAContextEndsACall(t *testing.T) {
	node := started(t, DefaultConfig())
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := node.Put(ctx, "k", 1)
	fails(t, err, ErrCancelled)
	fails(t, err, context.Canceled)
	ctx, cancel = context.WithTimeout(bg, 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	err = node.Join(ctx, "127.0.0.1:1")
	if took := time.Since(begun); err == nil || took > 5*time.Second {
		t.Fatal(err, took)
	}
	var told *Error
	if !errors.As(err, &told) || told.Code == 0 {
		t.Fatal(err)
	}
	if errors.Is(err, ErrTimeout) {
		fails(t, err, context.DeadlineExceeded)
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
					if errors.Is(err, ErrInvalidArgument) {
						return
					}
					if err != nil && !errors.Is(err, ErrStopped) {
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
