// Package dht embeds a node of a replicated, self-healing distributed hash table.
//
//	cfg := dht.DefaultConfig()
//	node, err := dht.New(cfg)
//	if err != nil { ... }
//	defer node.Close()
//	err = node.Start(ctx)
//	_, err = node.Put(ctx, "answer", 42)
//	var answer int
//	err = node.Get(ctx, "answer", &answer)
//
// Keys are any bytes, but for those of batches, which are UTF-8. Values are what encoding/json makes of them. All methods
// may be called from many goroutines. A context that ends ends the call with an error that is both ErrCancelled (or
// ErrTimeout) and the context's; a write may then have been applied all the same: see Error.MaybeApplied.
//
// It is built with cgo on libdht: `make test-go` shows how CGO_CFLAGS and CGO_LDFLAGS are set from pkg-config.
package dht
