/*
 * dht.h: an embeddable, replicated, self-healing distributed hash table.
 *
 * Made from the source of dht-capi by cbindgen; do not edit. `make header` makes it anew.
 *
 * Rules for all functions
 *
 * Order      the handle first, then what goes in, then what comes out, last `err`.
 * Result     DHT_OK (0) or the number of what went wrong. Outputs are written only on DHT_OK.
 * Errors     `err` may be NULL. Else `*err` is set on every failure except DHT_NOT_FOUND, and overwritten without being
 *            freed: free it with dht_error_free before using it again. dht_error_maybe_applied tells whether the
 *            operation may have taken effect all the same.
 * Text in    NUL-terminated UTF-8, copied before the call returns. Keys with NUL bytes, or that are no UTF-8, go
 *            through the functions that take a key with its length: those that end in _bytes, and for JSON in _json.
 * Text out   belongs to the caller: dht_string_free. Bytes: dht_bytes_free with their length.
 * NULL       DHT_INVALID_ARGUMENT, unless the function says that it may be NULL. Frees take NULL.
 * Values     JSON text, checked once and stored as it is, or bytes. Reading a bytes value as JSON is DHT_WRONG_FORMAT;
 *            reading a JSON value as bytes gives its text.
 * Options    a JSON object {"ttl", "consistency", "timeout"}, each of which may be missing; NULL: none of them. ttl and
 *            timeout are seconds as a number, or text as "250ms"; ttl above 0, timeout 1 ms to 1 h; consistency is
 *            "one", "quorum" or "all".
 * Units      names that end in _ms are milliseconds; times in JSON are seconds, instants Unix seconds.
 * Threads    every function may be called from any thread at any time, on one handle too. dht_free may be called while
 *            other threads are inside calls: they end by themselves; later calls with the handle are
 *            DHT_INVALID_ARGUMENT. Calls block.
 * Processes  a handle works in the process that made it: in a forked child its calls are DHT_FORKED. Make new handles
 *            there.
 * Defects    a panic inside the library ends the call with DHT_INTERNAL, not the program.
 */

#ifndef DHT_H
#define DHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


/*
 Raised when programs must be built anew: the number in the name libdht.so.0.
 */
#define DHT_ABI_VERSION 0

/*
 What became of a call: 0 or what went wrong. More may be added; none changes.
 */
enum dht_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /*
     It succeeded.
     */
    DHT_OK = 0,
    /*
     There is no such key, where a language has no other way to say so (Rust answers `None`). Nothing to repair.
     */
    DHT_NOT_FOUND = 1,
    /*
     An argument is outside what the operation takes. Correct the call; repeating it fails again.
     */
    DHT_INVALID_ARGUMENT = 2,
    /*
     The configuration is wrong; the text names key, value and bound. Correct it and make the node again.
     */
    DHT_CONFIG = 3,
    /*
     The node was not started. Call `start` first.
     */
    DHT_NOT_STARTED = 4,
    /*
     The node was stopped or has left; a handle is never restarted. Make a new one.
     */
    DHT_STOPPED = 5,
    /*
     The node did not get into a ring within the deadline; it keeps trying. Call again later, or check the seeds.
     */
    DHT_NOT_JOINED = 6,
    /*
     The deadline passed. Where `maybe_applied` is true, read before deciding to write again.
     */
    DHT_TIMEOUT = 7,
    /*
     Fewer replicas answered than the level needs. Try again, take a lower level, or bring nodes back.
     */
    DHT_QUORUM = 8,
    /*
     A queue is full here or at the peer. Wait a little and send less at once; nothing was queued.
     */
    DHT_OVERLOADED = 9,
    /*
     The ring has other immutable parameters, or another name; the text says both values. Configure this node alike.
     */
    DHT_INCOMPATIBLE_RING = 10,
    /*
     No position is left for this node (take more `hash_bits`, or fewer `virtual_nodes`), or the ring has `max_table_nodes`; the text says which.
     */
    DHT_RING_FULL = 11,
    /*
     Key or value is longer than `max_key_size` or `max_value_size`. Split it, or raise the limit on all nodes.
     */
    DHT_TOO_LARGE = 12,
    /*
     The value cannot be stored in the format asked for, such as NaN in JSON. Change the value.
     */
    DHT_INVALID_VALUE = 13,
    /*
     The stored value has another format than the one asked for. Read it as bytes.
     */
    DHT_WRONG_FORMAT = 14,
    /*
     An address cannot be bound or resolved. Choose another address or port, or check the name service.
     */
    DHT_ADDRESS = 15,
    /*
     No peer answered at the address. Check that it runs and that the network lets us through; then try again.
     */
    DHT_UNREACHABLE = 16,
    /*
     The node would be open to anyone who reaches its port. The text says which ways out exist.
     */
    DHT_INSECURE = 17,
    /*
     The peer does not prove that it belongs to the ring, or we do not to it. Check keys and certificates.
     */
    DHT_AUTH = 18,
    /*
     `max_memory` is used up and the policy is to refuse. Delete, raise it, or let it evict.
     */
    DHT_MEMORY_FULL = 19,
    /*
     The disk failed or is full. Mend it and restart the node; the replicas keep the data meanwhile.
     */
    DHT_STORAGE = 20,
    /*
     Clocks differ by more than `max_clock_offset`; the text says both. Set the clock, then join again.
     */
    DHT_CLOCK_SKEW = 21,
    /*
     This release, or the peer's, does not have the feature. Leave the key at its default, or upgrade.
     */
    DHT_UNSUPPORTED = 22,
    /*
     The process was forked after the node was made: it is the parent's. Make and start a node in the child instead.
     */
    DHT_FORKED = 23,
    /*
     The caller gave the call up. Where `maybe_applied` is true, read before deciding to write again.
     */
    DHT_CANCELLED = 24,
    /*
     A blocking call was made from inside a callback of the library. Make it from another thread.
     */
    DHT_REENTRANT = 25,
    /*
     A live node has this node_id. Choose another, or stop the other node first.
     */
    DHT_NODE_ID_IN_USE = 26,
    /*
     A defect of this library. Report it with its text; the node may be restarted.
     */
    DHT_INTERNAL = 27,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum dht_status dht_status;
#else
typedef int32_t dht_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/*
 Why a call failed. Free it with dht_error_free. It may be read from many threads.
 */
typedef struct dht_error_t dht_error_t;

/*
 A scan. Only pointers to it exist; what they point to is nothing to look at.
 */
typedef struct dht_scan_t dht_scan_t;

/*
 A node. Only pointers to it exist; what they point to is nothing to look at.
 */
typedef struct dht_t dht_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The `DHT_ABI_VERSION` of the library that is linked. Compare it with that of the header.
 */
uint32_t dht_abi_version(void);

/*
 The release, such as "0.1.0". Static: not to be freed. Never NULL.
 */
const char *dht_version(void);

/*
 The name of a status without the prefix: "NOT_FOUND", "OK" for 0, "UNKNOWN" for a number that is none. Static: not
 to be freed. Never NULL.
 */
const char *dht_status_name(int32_t status);

/*
 The status that the call returned; DHT_OK for NULL.

 # Safety
 `error` is NULL or from this library and not yet freed.
 */
dht_status dht_error_code(const dht_error_t *error);

/*
 What was attempted and what was in the way, beginning with the name of the status. Lives as long as the error; never
 NULL, and empty for NULL.

 # Safety
 `error` is NULL or from this library and not yet freed.
 */
const char *dht_error_message(const dht_error_t *error);

/*
 True where the outcome is unknown: the operation may have been applied, or may still be. False means that nothing
 was changed; false for NULL.

 # Safety
 `error` is NULL or from this library and not yet freed.
 */
bool dht_error_maybe_applied(const dht_error_t *error);

/*
 Frees an error; NULL is allowed.

 # Safety
 `error` is NULL or from this library and not yet freed.
 */
void dht_error_free(dht_error_t *error);

/*
 Makes a node that is not started. `config_json` is an object with the keys of the configuration; NULL: the defaults.
 Each key with its default and bounds: configuration.md in share/doc/dht. Until dht_start only dht_hash_key works; other
 calls are DHT_NOT_STARTED. Free the handle with dht_free.

 Errors: DHT_CONFIG naming key, value and bound; DHT_INSECURE; DHT_OVERLOADED at 65,536 handles, of a 32-bit process at 256.

 # Safety
 The rules at the top.
 */
dht_status dht_new(const char *config_json,
                   dht_t **out,
                   dht_error_t **err);

/*
 Starts the node. Without seeds it founds a ring and serves at once; with seeds it returns after joining, or after
 `request_timeout`, and goes on trying. A no-op if it runs.

 Errors: DHT_ADDRESS; DHT_STORAGE for a `data_dir` that cannot be used; DHT_CONFIG for one of another node or ring, and for
 certificates; DHT_INSECURE for a name that resolves beyond loopback; DHT_INCOMPATIBLE_RING, DHT_AUTH, DHT_NODE_ID_IN_USE,
 DHT_RING_FULL, DHT_CLOCK_SKEW if the ring refuses: nothing runs then, and it may be started again. DHT_STOPPED after dht_stop
 or dht_leave.

 # Safety
 The rules at the top.
 */
dht_status dht_start(dht_t *d,
                     dht_error_t **err);

/*
 Ends the node at once, within a second, without hand-over or goodbye: to the ring, a crash. Later calls succeed.

 Errors: DHT_NOT_STARTED.

 # Safety
 The rules at the top.
 */
dht_status dht_stop(dht_t *d,
                    dht_error_t **err);

/*
 Hands over what only this node holds, says goodbye and ends. Later calls succeed.

 Errors: DHT_TIMEOUT if not everything was handed over within `timeout_ms`: the node has ended nevertheless, and
 with a data_dir may come back with its data. DHT_STOPPED if it was stopped meanwhile, before everything was handed over.
 DHT_NOT_STARTED.

 # Safety
 The rules at the top.
 */
dht_status dht_leave(dht_t *d,
                     uint64_t timeout_ms,
                     dht_error_t **err);

/*
 Waits until the node is joined, agrees with its neighbours on who is there, and has caught up with all that it
 should hold.

 Errors: DHT_TIMEOUT after `timeout_ms`; DHT_NOT_STARTED; DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_wait_ready(dht_t *d,
                          uint64_t timeout_ms,
                          dht_error_t **err);

/*
 Joins the ring of one of `addresses`, "host:port" separated by commas. Returns when this node is active there; data
 of both rings merges by version. A no-op in the ring it is in. A ring must have let it in within `request_timeout`; copying
 may take `request_timeout` × (`max_retries` + 1) in all.

 Errors: DHT_INVALID_ARGUMENT for what is no address and for this node's own alone; DHT_ADDRESS; DHT_UNREACHABLE;
 DHT_INCOMPATIBLE_RING, DHT_AUTH, DHT_CLOCK_SKEW, DHT_NODE_ID_IN_USE, DHT_RING_FULL: the node stays where it was;
 DHT_OVERLOADED if those that answer have too much to do. DHT_TIMEOUT if
 it was let in and is still copying, which goes on. DHT_NOT_STARTED; DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_join(dht_t *d,
                    const char *addresses,
                    dht_error_t **err);

/*
 Frees a handle; a node that runs is stopped as by dht_stop. Other threads may be inside calls with it. NULL, and a
 handle that was freed, are allowed.

 # Safety
 The rules at the top.
 */
void dht_free(dht_t *d);

/*
 Stores JSON under `key`, for ever. `outcome_json` may be NULL, else it gets {"version", "acks", "wanted",
 "set_size", "degraded"}.

 Errors: DHT_INVALID_VALUE if it is no JSON; DHT_TOO_LARGE; DHT_NOT_STARTED: nothing was done. DHT_STOPPED: the same,
 unless the node ended during the call: see dht_error_maybe_applied, as for those that follow.
 DHT_NOT_JOINED, DHT_OVERLOADED, DHT_UNREACHABLE, DHT_QUORUM, DHT_TIMEOUT; DHT_MEMORY_FULL, DHT_STORAGE if a store takes
 nothing; DHT_CLOCK_SKEW if a clock is too far ahead: see dht_error_maybe_applied.

 # Safety
 The rules at the top.
 */
dht_status dht_put(dht_t *d,
                   const char *key,
                   const char *value_json,
                   char **outcome_json,
                   dht_error_t **err);

/*
 As dht_put, for `ttl_ms` milliseconds, which must be above 0.

 # Safety
 The rules at the top.
 */
dht_status dht_put_with_ttl(dht_t *d,
                            const char *key,
                            const char *value_json,
                            uint64_t ttl_ms,
                            char **outcome_json,
                            dht_error_t **err);

/*
 As dht_put, with options, which may be NULL.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_put.

 # Safety
 The rules at the top.
 */
dht_status dht_put_with(dht_t *d,
                        const char *key,
                        const char *value_json,
                        const char *options_json,
                        char **outcome_json,
                        dht_error_t **err);

/*
 The JSON of `key`.

 Errors: DHT_NOT_FOUND if there is no value, and then no error is set; DHT_WRONG_FORMAT if it is bytes;
 DHT_TOO_LARGE (the key), DHT_NOT_STARTED, DHT_STOPPED, DHT_NOT_JOINED, DHT_QUORUM, DHT_TIMEOUT, DHT_OVERLOADED.

 # Safety
 The rules at the top.
 */
dht_status dht_get(dht_t *d,
                   const char *key,
                   char **value_json,
                   dht_error_t **err);

/*
 As dht_get, with options, which may be NULL and have no ttl.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_get.

 # Safety
 The rules at the top.
 */
dht_status dht_get_with(dht_t *d,
                        const char *key,
                        const char *options_json,
                        char **value_json,
                        dht_error_t **err);

/*
 As dht_put_with, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_put_with.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_put_json(dht_t *d,
                        const uint8_t *key,
                        size_t key_len,
                        const char *value_json,
                        const char *options_json,
                        char **outcome_json,
                        dht_error_t **err);

/*
 As dht_get_with, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_get_with.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_get_json(dht_t *d,
                        const uint8_t *key,
                        size_t key_len,
                        const char *options_json,
                        char **value_json,
                        dht_error_t **err);

/*
 Stores bytes under a key of bytes. `key` and `value` may be NULL where their length is 0; `options_json` and
 `outcome_json` may be NULL.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_put.

 # Safety
 The rules at the top; the lengths are those of what is there.
 */
dht_status dht_put_bytes(dht_t *d,
                         const uint8_t *key,
                         size_t key_len,
                         const uint8_t *value,
                         size_t value_len,
                         const char *options_json,
                         char **outcome_json,
                         dht_error_t **err);

/*
 The value of a key of bytes: its bytes, or the text of its JSON. `options_json` may be NULL; `key` where its length
 is 0. After the bytes stands a NUL that `value_len` does not count. Free them with dht_bytes_free.

 Errors: as dht_get_with, without DHT_WRONG_FORMAT.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_get_bytes(dht_t *d,
                         const uint8_t *key,
                         size_t key_len,
                         const char *options_json,
                         uint8_t **value,
                         size_t *value_len,
                         dht_error_t **err);

/*
 The value of `key` with what the ring knows of it: {"version", "expires_at", "format", "value"}. `version` is what
 dht_compare_and_swap expects; `expires_at` Unix seconds, null: never. `value` is the JSON, or for bytes, of `format`
 "bytes", their hexadecimal digits as a text. `options_json` may be NULL.

 Errors: as dht_get_with, without DHT_WRONG_FORMAT.

 # Safety
 The rules at the top.
 */
dht_status dht_get_versioned(dht_t *d,
                             const char *key,
                             const char *options_json,
                             char **json,
                             dht_error_t **err);

/*
 The same for a key of bytes, which may be NULL where its length is 0.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_get_versioned_bytes(dht_t *d,
                                   const uint8_t *key,
                                   size_t key_len,
                                   const char *options_json,
                                   char **json,
                                   dht_error_t **err);

/*
 Deletes `key`; `existed`, which may be NULL, tells whether it had a value. That it had none is no error.

 Errors: as dht_put.

 # Safety
 The rules at the top.
 */
dht_status dht_delete(dht_t *d, const char *key, bool *existed, dht_error_t **err);

/*
 As dht_delete, with options, which may be NULL and have no ttl.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_delete.

 # Safety
 The rules at the top.
 */
dht_status dht_delete_with(dht_t *d,
                           const char *key,
                           const char *options_json,
                           bool *existed,
                           dht_error_t **err);

/*
 As dht_delete_with, for a key of bytes, which may be NULL where its length is 0.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_delete_bytes(dht_t *d,
                            const uint8_t *key,
                            size_t key_len,
                            const char *options_json,
                            bool *existed,
                            dht_error_t **err);

/*
 Whether `key` has a value.

 Errors: as dht_get, without DHT_NOT_FOUND and DHT_WRONG_FORMAT.

 # Safety
 The rules at the top.
 */
dht_status dht_contains(dht_t *d, const char *key, bool *contains, dht_error_t **err);

/*
 As dht_contains, with options, which may be NULL and have no ttl.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_contains.

 # Safety
 The rules at the top.
 */
dht_status dht_contains_with(dht_t *d,
                             const char *key,
                             const char *options_json,
                             bool *contains,
                             dht_error_t **err);

/*
 As dht_contains_with, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_contains_with.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_contains_bytes(dht_t *d,
                              const uint8_t *key,
                              size_t key_len,
                              const char *options_json,
                              bool *contains,
                              dht_error_t **err);

/*
 How many milliseconds `key` still lives, rounded up; -1 if it has no value or never expires.

 Errors: as dht_contains.

 # Safety
 The rules at the top.
 */
dht_status dht_ttl_ms(dht_t *d, const char *key, int64_t *ttl_ms, dht_error_t **err);

/*
 As dht_ttl_ms, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_ttl_ms.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_ttl_ms_bytes(dht_t *d, const uint8_t *key, size_t key_len, int64_t *ttl_ms, dht_error_t **err);

/*
 Lets what is under `key` live for `ttl_ms` milliseconds from now, above 0, whatever its expiry was. `existed`, which may
 be NULL, tells whether there is a value.

 Errors: DHT_INVALID_ARGUMENT for a ttl of 0, and as dht_put.

 # Safety
 The rules at the top.
 */
dht_status dht_expire(dht_t *d,
                      const char *key,
                      uint64_t ttl_ms,
                      bool *existed,
                      dht_error_t **err);

/*
 As dht_expire, with options, which may be NULL and have no ttl.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_expire.

 # Safety
 The rules at the top.
 */
dht_status dht_expire_with(dht_t *d,
                           const char *key,
                           uint64_t ttl_ms,
                           const char *options_json,
                           bool *existed,
                           dht_error_t **err);

/*
 As dht_expire_with, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_expire_with.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_expire_bytes(dht_t *d,
                            const uint8_t *key,
                            size_t key_len,
                            uint64_t ttl_ms,
                            const char *options_json,
                            bool *existed,
                            dht_error_t **err);

/*
 Lets what is under `key` live for ever. `persisted`, which may be NULL, tells whether there is a value that would have
 expired.

 Errors: as dht_put.

 # Safety
 The rules at the top.
 */
dht_status dht_persist(dht_t *d,
                       const char *key,
                       bool *persisted,
                       dht_error_t **err);

/*
 As dht_persist, with options, which may be NULL and have no ttl.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_persist.

 # Safety
 The rules at the top.
 */
dht_status dht_persist_with(dht_t *d,
                            const char *key,
                            const char *options_json,
                            bool *persisted,
                            dht_error_t **err);

/*
 As dht_persist_with, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_persist_with.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_persist_bytes(dht_t *d,
                             const uint8_t *key,
                             size_t key_len,
                             const char *options_json,
                             bool *persisted,
                             dht_error_t **err);

/*
 Stores JSON under `key` if what is there is as expected; if not, nothing is written, which is no error.

 `expected_json` is {"absent": true}: never put, deleted or expired; or {"version": text}: a value of exactly this
 version; or {"value": value}: a value that is the same, whatever its white space, the order of its members and its
 escapes, numbers being the same only if they are written alike. {"value": hexadecimal digits, "format": "bytes"}
 expects bytes. `options_json` may be NULL. `swap_json`, which may be NULL, gets {"swapped", "version", "format",
 "value"}: the version of the new value, or version and value of what is there instead. `format` is "json", "bytes",
 whose value is hexadecimal digits, or null if there is none. `version` is null if there never was a value.

 Errors: DHT_INVALID_ARGUMENT for what is no expectation, and as dht_put_with.

 # Safety
 The rules at the top.
 */
dht_status dht_compare_and_swap(dht_t *d,
                                const char *key,
                                const char *expected_json,
                                const char *value_json,
                                const char *options_json,
                                char **swap_json,
                                dht_error_t **err);

/*
 As dht_compare_and_swap, storing bytes under a key of bytes. `key` and `value` may be NULL where their length is 0.

 # Safety
 The rules at the top; the lengths are those of what is there.
 */
dht_status dht_compare_and_swap_bytes(dht_t *d,
                                      const uint8_t *key,
                                      size_t key_len,
                                      const char *expected_json,
                                      const uint8_t *value,
                                      size_t value_len,
                                      const char *options_json,
                                      char **swap_json,
                                      dht_error_t **err);

/*
 As dht_compare_and_swap, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_compare_and_swap.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_compare_and_swap_json(dht_t *d,
                                     const uint8_t *key,
                                     size_t key_len,
                                     const char *expected_json,
                                     const char *value_json,
                                     const char *options_json,
                                     char **swap_json,
                                     dht_error_t **err);

/*
 As dht_compare_and_swap with {"absent": true}.

 # Safety
 The rules at the top.
 */
dht_status dht_put_if_absent(dht_t *d,
                             const char *key,
                             const char *value_json,
                             const char *options_json,
                             char **swap_json,
                             dht_error_t **err);

/*
 As dht_put_if_absent, storing bytes under a key of bytes. `key` and `value` may be NULL where their length is 0.

 Errors: as dht_put_bytes.

 # Safety
 The rules at the top; the lengths are those of what is there.
 */
dht_status dht_put_if_absent_bytes(dht_t *d,
                                   const uint8_t *key,
                                   size_t key_len,
                                   const uint8_t *value,
                                   size_t value_len,
                                   const char *options_json,
                                   char **swap_json,
                                   dht_error_t **err);

/*
 As dht_put_if_absent, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_put_with.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_put_if_absent_json(dht_t *d,
                                  const uint8_t *key,
                                  size_t key_len,
                                  const char *value_json,
                                  const char *options_json,
                                  char **swap_json,
                                  dht_error_t **err);

/*
 Adds `by_json`, such as "1", "-2" or "0.5", to the number under `key`, 0 if there is none. `sum_json`, which may be
 NULL, gets the sum. Integers have 64 bits and a sign; with a float, which has a fraction or an exponent, the sum is a
 float. The expiry of what is there stays. `options_json` may be NULL and have no ttl.

 Errors: DHT_WRONG_FORMAT if the value is no number, or a float and `by_json` an integer; DHT_INVALID_VALUE if
 `by_json` is no number or the sum does not fit: nothing was done. DHT_INVALID_ARGUMENT for wrong options. As dht_put.

 # Safety
 The rules at the top.
 */
dht_status dht_increment(dht_t *d,
                         const char *key,
                         const char *by_json,
                         const char *options_json,
                         char **sum_json,
                         dht_error_t **err);

/*
 As dht_increment, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_increment.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_increment_bytes(dht_t *d,
                               const uint8_t *key,
                               size_t key_len,
                               const char *by_json,
                               const char *options_json,
                               char **sum_json,
                               dht_error_t **err);

/*
 Stores JSON under `key`. `previous_json`, which may be NULL, gets the JSON of what was there before; NULL if there was
 none. `options_json` may be NULL.

 Errors: DHT_WRONG_FORMAT if what was there is bytes and wanted: the new value is stored nevertheless, and
 dht_error_maybe_applied true. As dht_put_with.

 # Safety
 The rules at the top.
 */
dht_status dht_get_and_put(dht_t *d,
                           const char *key,
                           const char *value_json,
                           const char *options_json,
                           char **previous_json,
                           dht_error_t **err);

/*
 As dht_get_and_put, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_get_and_put.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_get_and_put_json(dht_t *d,
                                const uint8_t *key,
                                size_t key_len,
                                const char *value_json,
                                const char *options_json,
                                char **previous_json,
                                dht_error_t **err);

/*
 Stores bytes under a key of bytes. `previous` gets the bytes of what was there before, or the text of its JSON, as
 dht_get_bytes gives them; NULL of length 0 if there was none. `previous` and `previous_len` may both be NULL; `key` and
 `value` where their length is 0; `options_json`.

 Errors: as dht_put_bytes.

 # Safety
 The rules at the top; the lengths are those of what is there.
 */
dht_status dht_get_and_put_bytes(dht_t *d,
                                 const uint8_t *key,
                                 size_t key_len,
                                 const uint8_t *value,
                                 size_t value_len,
                                 const char *options_json,
                                 uint8_t **previous,
                                 size_t *previous_len,
                                 dht_error_t **err);

/*
 Deletes `key`. `previous_json`, which may be NULL, gets the JSON of what was there. `options_json` may be NULL and have
 no ttl.

 Errors: DHT_NOT_FOUND if there was none, and then no error is set; DHT_WRONG_FORMAT if it was bytes and is wanted: it
 is deleted nevertheless, and dht_error_maybe_applied true. As dht_delete_with.

 # Safety
 The rules at the top.
 */
dht_status dht_get_and_delete(dht_t *d,
                              const char *key,
                              const char *options_json,
                              char **previous_json,
                              dht_error_t **err);

/*
 As dht_get_and_delete, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_get_and_delete.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_get_and_delete_json(dht_t *d,
                                   const uint8_t *key,
                                   size_t key_len,
                                   const char *options_json,
                                   char **previous_json,
                                   dht_error_t **err);

/*
 Deletes a key of bytes. `previous` gets the bytes of what was there, or the text of its JSON, as dht_get_bytes gives
 them. `previous` and `previous_len` may both be NULL; `key` where its length is 0; `options_json`.

 Errors: DHT_NOT_FOUND if there was none, and then no error is set. As dht_delete_bytes.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_get_and_delete_bytes(dht_t *d,
                                    const uint8_t *key,
                                    size_t key_len,
                                    const char *options_json,
                                    uint8_t **previous,
                                    size_t *previous_len,
                                    dht_error_t **err);

/*
 Stores the entries of a JSON object, {key: value, ...}. `results_json` gets {key: {"ok": outcome} or {"error":
 {"code", "name", "message", "maybe_applied"}}, ...}. Of a key that is there twice the later value counts.

 Errors: DHT_INVALID_ARGUMENT for what is no JSON object; DHT_NOT_STARTED; DHT_STOPPED: nothing was done,
 unless the node ended during the call: see dht_error_maybe_applied.

 # Safety
 The rules at the top.
 */
dht_status dht_put_many(dht_t *d,
                        const char *entries_json,
                        char **results_json,
                        dht_error_t **err);

/*
 As dht_put_many, with options, which may be NULL. `timeout` bounds the whole batch.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_put_many.

 # Safety
 The rules at the top.
 */
dht_status dht_put_many_with(dht_t *d,
                             const char *entries_json,
                             const char *options_json,
                             char **results_json,
                             dht_error_t **err);

/*
 The values of the keys of a JSON list. `values_json` gets {key: {"ok": value} or {"error": {"code", "name",
 "message", "maybe_applied"}}, ...} in the order asked, without the keys that have no value.

 Errors: DHT_INVALID_ARGUMENT for what is no JSON list of strings; DHT_NOT_STARTED; DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_get_many(dht_t *d, const char *keys_json, char **values_json, dht_error_t **err);

/*
 As dht_get_many, with options, which may be NULL and have no ttl. `timeout` bounds the whole batch.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_get_many.

 # Safety
 The rules at the top.
 */
dht_status dht_get_many_with(dht_t *d,
                             const char *keys_json,
                             const char *options_json,
                             char **values_json,
                             dht_error_t **err);

/*
 The values of the keys of a JSON list, JSON or bytes, as dht_get_versioned tells them: `values_json` gets {key: {"ok":
 {"version", "expires_at", "format", "value"}} or {"error": {"code", "name", "message", "maybe_applied"}}, ...} in the
 order asked, without the keys that have no value. `options_json` may be NULL and have no ttl; `timeout` bounds the whole
 batch.

 Errors: as dht_get_many_with. No key fails with DHT_WRONG_FORMAT.

 # Safety
 The rules at the top.
 */
dht_status dht_get_many_versioned(dht_t *d,
                                  const char *keys_json,
                                  const char *options_json,
                                  char **values_json,
                                  dht_error_t **err);

/*
 Deletes the keys of a JSON list. `results_json` gets {key: {"ok": existed} or {"error": {"code", "name", "message",
 "maybe_applied"}}, ...}.

 Errors: DHT_INVALID_ARGUMENT for what is no JSON list of strings; DHT_NOT_STARTED; DHT_STOPPED: nothing was done,
 unless the node ended during the call: see dht_error_maybe_applied.

 # Safety
 The rules at the top.
 */
dht_status dht_delete_many(dht_t *d,
                           const char *keys_json,
                           char **results_json,
                           dht_error_t **err);

/*
 As dht_delete_many, with options, which may be NULL and have no ttl. `timeout` bounds the whole batch.

 Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_delete_many.

 # Safety
 The rules at the top.
 */
dht_status dht_delete_many_with(dht_t *d,
                                const char *keys_json,
                                const char *options_json,
                                char **results_json,
                                dht_error_t **err);

/*
 Begins a scan of all keys that begin with `prefix`, which may be NULL where its length is 0; dht_scan_next steps through
 it. A key that is there throughout is found exactly once, whatever nodes join, leave or die meanwhile; one that is put
 or deleted meanwhile may be found or not. The order is none. `options_json` may be NULL and have no ttl; its timeout is
 that of each page of what is found. Free the scan with dht_scan_free.

 Errors: DHT_INVALID_ARGUMENT for wrong options; DHT_NOT_STARTED; DHT_STOPPED; DHT_OVERLOADED if this process has more
 scans than it can name.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_scan(dht_t *d,
                    const uint8_t *prefix,
                    size_t prefix_len,
                    const char *options_json,
                    dht_scan_t **scan,
                    dht_error_t **err);

/*
 The next key of a scan with its value, each as dht_get_bytes gives bytes: free both with dht_bytes_free. `format`,
 which may be NULL, gets 0 for JSON, 1 for bytes. `value` and `value_len` may both be NULL. Threads that share a scan
 take turns.

 Errors: DHT_NOT_FOUND at the end, and then no error is set. DHT_TOO_LARGE (the prefix), DHT_NOT_JOINED, DHT_QUORUM,
 DHT_TIMEOUT, and DHT_OVERLOADED if the replicas of a key over which they differ have too much to do: the scan is where it
 was, and goes on there if called again. DHT_STOPPED; DHT_INVALID_ARGUMENT if the node was freed.

 # Safety
 The rules at the top.
 */
dht_status dht_scan_next(dht_scan_t *scan,
                         uint8_t **key,
                         size_t *key_len,
                         uint8_t **value,
                         size_t *value_len,
                         int32_t *format,
                         dht_error_t **err);

/*
 Frees a scan. NULL, and one that was freed, are allowed.

 # Safety
 The rules at the top.
 */
void dht_scan_free(dht_scan_t *scan);

/*
 How many keys begin with `prefix` and have a value, counted one by one. `prefix` may be NULL where its length is 0.

 Errors: as dht_scan_next.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_count(dht_t *d,
                     const uint8_t *prefix,
                     size_t prefix_len,
                     uint64_t *count,
                     dht_error_t **err);

/*
 As dht_count, until another thread makes `given_up` other than 0, atomically. It may be NULL, must be aligned, and must
 live until the call returns, which looks at it every 50 ms while it waits.

 Errors: DHT_CANCELLED if it was given up; as dht_count.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_count_until(dht_t *d,
                           const uint8_t *prefix,
                           size_t prefix_len,
                           const int32_t *given_up,
                           uint64_t *count,
                           dht_error_t **err);

/*
 About how many keys have a value, without asking anybody: what this node holds, scaled by the part of the ring that it
 holds. A client, which holds nothing, asks some nodes.

 Errors: DHT_NOT_STARTED, DHT_STOPPED; for a client also DHT_NOT_JOINED, DHT_UNREACHABLE.

 # Safety
 The rules at the top.
 */
dht_status dht_len(dht_t *d,
                   uint64_t *len,
                   dht_error_t **err);

/*
 Deletes all keys that begin with `prefix`; of length 0, for which it may be NULL: all keys. `count`, which may be NULL,
 gets how many had a value. Keys that are put meanwhile may stay.

 Errors: as dht_scan_next and dht_delete, the first that occurred; what was deleted before it stays deleted.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_clear(dht_t *d,
                     const uint8_t *prefix,
                     size_t prefix_len,
                     uint64_t *count,
                     dht_error_t **err);

/*
 As dht_clear, until another thread makes `given_up` other than 0, as for dht_count_until.

 Errors: DHT_CANCELLED if it was given up: no more is deleted then, what was deleted stays deleted, and what was under way
 may be. As dht_clear.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_clear_until(dht_t *d,
                           const uint8_t *prefix,
                           size_t prefix_len,
                           const int32_t *given_up,
                           uint64_t *count,
                           dht_error_t **err);

/*
 The id of `key` on the ring, lower-case hexadecimal of ceil(hash_bits / 4) digits. Works before dht_start too.

 Errors: DHT_TOO_LARGE.

 # Safety
 The rules at the top.
 */
dht_status dht_hash_key(dht_t *d,
                        const char *key,
                        char **hex,
                        dht_error_t **err);

/*
 As dht_hash_key, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_hash_key.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_hash_key_bytes(dht_t *d, const uint8_t *key, size_t key_len, char **hex, dht_error_t **err);

/*
 The nodes that keep `key`, owner first, as this node sees the ring: a list of NodeInfo.

 Errors: DHT_TOO_LARGE, DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_locate(dht_t *d, const char *key, char **json, dht_error_t **err);

/*
 As dht_locate, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_locate.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_locate_bytes(dht_t *d, const uint8_t *key, size_t key_len, char **json, dht_error_t **err);

/*
 The way of a lookup to the owner of `key`: {"key_id", "slot", "target", "owner", "hops", "one_hop", "took"}. `owner`
 is a NodeInfo; `hops` lists the nodes asked, in that order, none if this node itself knows the owner: {"node",
 "position", "took", "outcome"}, `node` being {"id", "address"} and `outcome` "closer", "owner" or "silent".
 `one_hop`: the view of this node names the same owner. Times are seconds. Waits for others, request_timeout at most.

 Errors: DHT_TOO_LARGE, DHT_NOT_STARTED, DHT_STOPPED, DHT_NOT_JOINED, DHT_TIMEOUT; DHT_UNREACHABLE if all ways ended
 at silent nodes.

 # Safety
 The rules at the top.
 */
dht_status dht_lookup_trace(dht_t *d,
                            const char *key,
                            char **json,
                            dht_error_t **err);

/*
 As dht_lookup_trace, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_lookup_trace.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_lookup_trace_bytes(dht_t *d,
                                  const uint8_t *key,
                                  size_t key_len,
                                  char **json,
                                  dht_error_t **err);

/*
 Reads `key`, and tells what every node did for that: {"trace_id", "operation", "key_id", "level", "took", "found",
 "version", "error", "message", "maybe_applied", "spans", "left_out"}. `error` is null, or the name of the error with
 which the read ended, and `message` its text. `spans` lists the steps, each right before those that it needed: {"depth",
 "node", "what", "attempt", "hedged", "begun", "took", "served", "on_the_way", "outcome"}, `node` being {"id",
 "address"}, `what` the kind of the request ("fetch", "apply", "store", "lookup" …), `begun` the time since the step above
 it began, `took` how long it was waited for, `served` how long the node worked and `on_the_way` the rest (both null if it
 did not answer, or is of an older release), `outcome` "done", "pending", "misrouted", "stale", "not_ready", "refused" or
 the name of an error. Times are seconds, each of one node's clock. `options_json` may be NULL and has no ttl.

 Errors: DHT_INVALID_ARGUMENT for wrong options, DHT_TOO_LARGE, DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_trace(dht_t *d,
                     const char *key,
                     const char *options_json,
                     char **json,
                     dht_error_t **err);

/*
 As dht_trace, for a key of bytes, which may be NULL where its length is 0.

 Errors: as dht_trace.

 # Safety
 The rules at the top; the length is that of what is there.
 */
dht_status dht_trace_bytes(dht_t *d,
                           const uint8_t *key,
                           size_t key_len,
                           const char *options_json,
                           char **json,
                           dht_error_t **err);

/*
 This node: a NodeInfo {"id", "address", "state", "last_seen", "incarnation", "vnodes", "zone"}. `address` is what
 dht_join of another node takes. After dht_leave, until dht_stop, it tells of a node that has left.

 Errors: DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_node_info(dht_t *d,
                         char **json,
                         dht_error_t **err);

/*
 The first other node before this node's position 0, a NodeInfo; null alone.

 Errors: DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_predecessor(dht_t *d, char **json, dht_error_t **err);

/*
 The next distinct others clockwise, a list of NodeInfo; empty alone.

 Errors: DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_successor_list(dht_t *d, char **json, dht_error_t **err);

/*
 The finger table of position 0, ascending: a list of {"index", "start", "node"}; finger k is the node that owns position 0 + 2^k.

 Errors: DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_finger_table(dht_t *d,
                            char **json,
                            dht_error_t **err);

/*
 The ring as this node sees it: {"hash_bits", "slot_bits", "replication_factor", "view", "nodes"}, each node a NodeInfo
 with "positions" and "share".

 Errors: DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_ring(dht_t *d,
                    char **json,
                    dht_error_t **err);

/*
 All nodes that this node remembers, those that are gone included: a list of NodeInfo.

 Errors: DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_members(dht_t *d, char **json, dht_error_t **err);

/*
 What was counted and measured since the start, a flat object; times are seconds. Operations are counted per key, at the
 node that was called. What each key means: statistics.md in share/doc/dht.

 "start_time" (Unix seconds), "uptime"; keys written or deleted: "stores_successful", "stores_failed", "store_success_rate"
 (0 to 1), "average_store_time", "store_time_p50", "store_time_p99"; keys read: "lookups_successful" (those without a value
 included), "lookups_failed", "lookups_not_found", "hits", "misses", "lookup_success_rate", "average_lookup_time",
 "lookup_time_p50", "lookup_time_p99"; errors by name: "errors" (an object).

 What this node keeps, replicas included: "data_items_stored", "data_bytes_stored", "evictions", "expirations",
 "conflicts_resolved", "replications_sent" (records), "under_replicated_slots".

 The network: "messages_sent", "messages_received", "bytes_sent", "bytes_received", "network_errors"; the ring:
 "nodes_joined", "nodes_left", "heartbeats_sent", "node_availability" (0 to 1), "stabilize_operations",
 "finger_table_updates", "finger_table_accuracy" (0 to 1); what others did that no node does: "misbehaviours",
 "misbehaviour_kinds", "misbehaving_peers" (objects).

 Errors: DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_statistics(dht_t *d,
                          char **json,
                          dht_error_t **err);

/*
 Whether this node and its part of the ring are well: {"joined", "handed_over", "fully_replicated",
 "under_replicated_slots", "bytes_to_go", "storage_ok"}.

 Errors: DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_health(dht_t *d, char **json, dht_error_t **err);

/*
 Statistics, health and the number of members by state as text in Prometheus' exposition format, version 0.0.4: what a
 page that is scraped answers, as "text/plain; version=0.0.4". Every metric is called dht_ and the name of the statistic,
 with _seconds behind times and _total behind what is counted since the start. What calls took is in the summaries
 dht_store_duration_seconds and dht_lookup_duration_seconds, without quantiles if enable_metrics is false.

 dht_misbehaving_peers_total has a label for each peer. Where untrusted ones can reach the node, drop it when scraping:
 who they say they are is for them to choose.

 Errors: DHT_NOT_STARTED, DHT_STOPPED.

 # Safety
 The rules at the top.
 */
dht_status dht_metrics(dht_t *d,
                       char **text,
                       dht_error_t **err);

/*
 Writes every record that this node keeps to a new file at `path`, while it goes on serving. The file is whole and synced,
 or not there. `json`, which may be NULL, gets {"records", "bytes"}. It holds this node's part of the ring: with as many
 nodes as replication_factor, or fewer, that is everything; else take one from each node. Blocks as long as it takes.

 Errors: DHT_INVALID_ARGUMENT if something is at `path` already, which stays; DHT_STORAGE if the file cannot be written;
 DHT_UNSUPPORTED on a client; DHT_OVERLOADED while another snapshot or restore of this node is under way;
 DHT_NOT_STARTED; DHT_STOPPED. No file is left then.

 # Safety
 The rules at the top.
 */
dht_status dht_snapshot(dht_t *d,
                        const char *path,
                        char **json,
                        dht_error_t **err);

/*
 Brings the records of the snapshot at `path` into the ring of this node, which may have other members and another hash
 than the one it was taken of. Merges by version: what is newer in the ring stays. `json`, which may be NULL, gets
 {"records", "superseded", "bytes"}; superseded counts those that met a higher version. The whole file is checked before
 anything is restored. What was deleted after the snapshot, and longer ago than tombstone_grace, comes back. Blocks as
 long as it takes; restoring again does no harm.

 Errors: DHT_INVALID_ARGUMENT if the file is no snapshot; DHT_STORAGE if it cannot be read, is damaged, or of a newer
 release; DHT_INCOMPATIBLE_RING if it is of another cluster_name; DHT_TOO_LARGE if a key or value exceeds the bounds of
 this ring; DHT_OVERLOADED while another snapshot or restore is under way; DHT_NOT_JOINED; DHT_NOT_STARTED: nothing was
 restored. DHT_STORAGE, DHT_OVERLOADED, DHT_NOT_JOINED, DHT_UNREACHABLE, DHT_TIMEOUT, DHT_MEMORY_FULL if a quorum of some
 record's replicas did not take it within the time of a call, and DHT_STOPPED: a part may be restored. Of a status that is in
 both lists dht_error_maybe_applied tells.

 # Safety
 The rules at the top.
 */
dht_status dht_restore(dht_t *d,
                       const char *path,
                       char **json,
                       dht_error_t **err);

/*
 As dht_restore, until another thread makes `given_up` other than 0, as for dht_count_until.

 Errors: DHT_CANCELLED if it was given up: a part may be restored, and no more is. As dht_restore.

 # Safety
 The rules at the top.
 */
dht_status dht_restore_until(dht_t *d,
                             const char *path,
                             const int32_t *given_up,
                             char **json,
                             dht_error_t **err);

/*
 Frees text of this library; NULL is allowed.

 # Safety
 `text` is NULL or from this library, unchanged in length and not yet freed.
 */
void dht_string_free(char *text);

/*
 Frees bytes of this library, `len` being the length that came with them; NULL is allowed.

 # Safety
 `bytes` is NULL or from this library, with its length, and not yet freed.
 */
void dht_bytes_free(uint8_t *bytes, size_t len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DHT_H */
