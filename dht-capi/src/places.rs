//! Where keys lie, and the way there.

use std::ffi::c_char;

use dht_core::binding::{Effect, json};
use dht_core::{GetOptions, Result};

use crate::boundary::{Out, bytes, call, options, text};
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

/// The id of `key` on the ring, lower-case hexadecimal of ceil(hash_bits / 4) digits. Works before dht_start too.
///
/// Errors: DHT_TOO_LARGE.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_hash_key(
    d: *mut dht_t,
    key: *const c_char,
    hex: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_hash_key", err, || {
            let (key, out) = (text("key", key)?, Out::needed("hex", hex)?);
            hash_key(d, key.as_bytes(), out)
        })
    }
}

/// As dht_hash_key, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_hash_key.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_hash_key_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    hex: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_hash_key_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::needed("hex", hex)?);
            hash_key(d, key, out)
        })
    }
}

/// The nodes that keep `key`, owner first, as this node sees the ring: a list of NodeInfo.
///
/// Errors: DHT_TOO_LARGE, DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_locate(
    d: *mut dht_t,
    key: *const c_char,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_locate", err, || {
            let (key, out) = (text("key", key)?, Out::needed("json", json)?);
            locate(d, key.as_bytes(), out)
        })
    }
}

/// As dht_locate, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_locate.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_locate_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_locate_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::needed("json", json)?);
            locate(d, key, out)
        })
    }
}

/// The way of a lookup to the owner of `key`: {"key_id", "slot", "target", "owner", "hops", "one_hop", "took"}. `owner`
/// is a NodeInfo; `hops` lists the nodes asked, in that order, none if this node itself knows the owner: {"node",
/// "position", "took", "outcome"}, `node` being {"id", "address"} and `outcome` "closer", "owner" or "silent".
/// `one_hop`: the view of this node names the same owner. Times are seconds. Waits for others, request_timeout at most.
///
/// Errors: DHT_TOO_LARGE, DHT_NOT_STARTED, DHT_STOPPED, DHT_NOT_JOINED, DHT_TIMEOUT; DHT_UNREACHABLE if all ways ended
/// at silent nodes.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_lookup_trace(
    d: *mut dht_t,
    key: *const c_char,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_lookup_trace", err, || {
            let (key, out) = (text("key", key)?, Out::needed("json", json)?);
            lookup_trace(d, key.as_bytes(), out)
        })
    }
}

/// As dht_lookup_trace, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_lookup_trace.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_lookup_trace_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_lookup_trace_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::needed("json", json)?);
            lookup_trace(d, key, out)
        })
    }
}

/// Reads `key`, and tells what every node did for that: {"trace_id", "operation", "key_id", "level", "took", "found",
/// "version", "error", "message", "maybe_applied", "spans", "left_out"}. `error` is null, or the name of the error with
/// which the read ended, and `message` its text. `spans` lists the steps, each right before those that it needed: {"depth",
/// "node", "what", "attempt", "hedged", "begun", "took", "served", "on_the_way", "outcome"}, `node` being {"id",
/// "address"}, `what` the kind of the request ("fetch", "apply", "store", "lookup" …), `begun` the time since the step above
/// it began, `took` how long it was waited for, `served` how long the node worked and `on_the_way` the rest (both null if it
/// did not answer, or is of an older release), `outcome` "done", "pending", "misrouted", "stale", "not_ready", "refused" or
/// the name of an error. Times are seconds, each of one node's clock. `options_json` may be NULL and has no ttl.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, DHT_TOO_LARGE, DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_trace(
    d: *mut dht_t,
    key: *const c_char,
    options_json: *const c_char,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_trace", err, || {
            let (key, out) = (text("key", key)?, Out::needed("json", json)?);
            trace(d, key.as_bytes(), options(options_json)?.get()?, out)
        })
    }
}

/// As dht_trace, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_trace.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_trace_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    options_json: *const c_char,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_trace_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::needed("json", json)?);
            trace(d, key, options(options_json)?.get()?, out)
        })
    }
}

fn hash_key(d: *const dht_t, key: &[u8], out: Out<*mut c_char>) -> Result<bool> {
    out.set_text(registry::find(d)?.hash_key(key)?).map(|()| true)
}

fn locate(d: *const dht_t, key: &[u8], out: Out<*mut c_char>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    out.set_text(json::shape(&running.dht().locate(key)?)?).map(|()| true)
}

fn lookup_trace(d: *const dht_t, key: &[u8], out: Out<*mut c_char>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    let trace = running.block_on(Effect::Reads, running.dht().lookup_trace(key), None)?;
    out.set_text(json::shape(&trace)?).map(|()| true)
}

fn trace(d: *const dht_t, key: &[u8], options: GetOptions, out: Out<*mut c_char>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    let trace = running.block_on(Effect::Reads, running.dht().trace_get(key, options), None)?;
    out.set_text(json::shape(&trace)?).map(|()| true)
}
