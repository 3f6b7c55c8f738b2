//! All keys of a prefix: one by one, counted, deleted.

use std::ffi::c_char;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use dht_core::binding::Effect;
use dht_core::{Format, Result, Scan};

use crate::boundary::{Out, OutBytes, block_until, bytes, call, contained, options};
use crate::error::dht_error_t;
use crate::registry::{self, Registry, dht_t};
use crate::status::dht_status;

/// A scan. Only pointers to it exist; what they point to is nothing to look at.
pub struct dht_scan_t {
    _private: [u8; 0],
}

/// A scan under way. It keeps no node running: what it scans is looked up for each step.
struct Entry {
    node: usize,
    scan: Mutex<Scan>,
}

static SCANS: Registry<Entry> = Registry::new("scans");

/// Begins a scan of all keys that begin with `prefix`, which may be NULL where its length is 0; dht_scan_next steps through
/// it. A key that is there throughout is found exactly once, whatever nodes join, leave or die meanwhile; one that is put
/// or deleted meanwhile may be found or not. The order is none. `options_json` may be NULL and have no ttl; its timeout is
/// that of each page of what is found. Free the scan with dht_scan_free.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options; DHT_NOT_STARTED; DHT_STOPPED; DHT_OVERLOADED if this process has more
/// scans than it can name.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_scan(
    d: *mut dht_t,
    prefix: *const u8,
    prefix_len: usize,
    options_json: *const c_char,
    scan: *mut *mut dht_scan_t,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_scan", err, || {
            let (prefix, out) = (bytes("prefix", prefix, prefix_len)?, Out::needed("scan", scan)?);
            let options = options(options_json)?.get()?;
            let running = registry::find(d)?.running()?;
            let scan = Mutex::new(running.dht().scan_with(prefix, options));
            out.set(ptr::without_provenance_mut(SCANS.insert(Entry { node: d.addr(), scan })?));
            Ok(true)
        })
    }
}

/// The next key of a scan with its value, each as dht_get_bytes gives bytes: free both with dht_bytes_free. `format`,
/// which may be NULL, gets 0 for JSON, 1 for bytes. `value` and `value_len` may both be NULL. Threads that share a scan
/// take turns.
///
/// Errors: DHT_NOT_FOUND at the end, and then no error is set. DHT_TOO_LARGE (the prefix), DHT_NOT_JOINED, DHT_QUORUM,
/// DHT_TIMEOUT, and DHT_OVERLOADED if the replicas of a key over which they differ have too much to do: the scan is where it
/// was, and goes on there if called again. DHT_STOPPED; DHT_INVALID_ARGUMENT if the node was freed.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_scan_next(
    scan: *mut dht_scan_t,
    key: *mut *mut u8,
    key_len: *mut usize,
    value: *mut *mut u8,
    value_len: *mut usize,
    format: *mut i32,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_scan_next", err, || {
            let key = OutBytes::needed(["key", "key_len"], key, key_len)?;
            let value = OutBytes::optional(["value", "value_len"], value, value_len)?;
            let format = Out::optional(format);
            let entry = SCANS.find(scan.addr())?;
            // Also tells a forked child apart, before it could wait for a thread of its parent.
            let running = registry::find(ptr::without_provenance(entry.node))?.running()?;
            let mut scan = entry.scan.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((name, found)) = running.block_on(Effect::Reads, scan.next(), None)? else { return Ok(false) };
            key.set(Some(&name));
            value.set(Some(&found.value.bytes));
            format.set(i32::from(found.value.format == Format::Bytes));
            Ok(true)
        })
    }
}

/// Frees a scan. NULL, and one that was freed, are allowed.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_scan_free(scan: *mut dht_scan_t) {
    contained((), || drop(SCANS.remove(scan.addr())));
}

/// How many keys begin with `prefix` and have a value, counted one by one. `prefix` may be NULL where its length is 0.
///
/// Errors: as dht_scan_next.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_count(
    d: *mut dht_t,
    prefix: *const u8,
    prefix_len: usize,
    count: *mut u64,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_count", err, || {
            let (prefix, out) = (bytes("prefix", prefix, prefix_len)?, Out::needed("count", count)?);
            count_keys(d, prefix, ptr::null(), out)
        })
    }
}

/// As dht_count, until another thread makes `given_up` other than 0, atomically. It may be NULL, must be aligned, and must
/// live until the call returns, which looks at it every 50 ms while it waits.
///
/// Errors: DHT_CANCELLED if it was given up; as dht_count.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_count_until(
    d: *mut dht_t,
    prefix: *const u8,
    prefix_len: usize,
    given_up: *const i32,
    count: *mut u64,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_count_until", err, || {
            let (prefix, out) = (bytes("prefix", prefix, prefix_len)?, Out::needed("count", count)?);
            count_keys(d, prefix, given_up, out)
        })
    }
}

/// About how many keys have a value, without asking anybody: what this node holds, scaled by the part of the ring that it
/// holds. A client, which holds nothing, asks some nodes.
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED; for a client also DHT_NOT_JOINED, DHT_UNREACHABLE.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_len(d: *mut dht_t, len: *mut u64, err: *mut *mut dht_error_t) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_len", err, || {
            let out = Out::needed("len", len)?;
            let running = registry::find(d)?.running()?;
            give(out, running.block_on(Effect::Reads, running.dht().len(), None))
        })
    }
}

/// Deletes all keys that begin with `prefix`; of length 0, for which it may be NULL: all keys. `count`, which may be NULL,
/// gets how many had a value. Keys that are put meanwhile may stay.
///
/// Errors: as dht_scan_next and dht_delete, the first that occurred; what was deleted before it stays deleted.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_clear(
    d: *mut dht_t,
    prefix: *const u8,
    prefix_len: usize,
    count: *mut u64,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_clear", err, || {
            let (prefix, out) = (bytes("prefix", prefix, prefix_len)?, Out::optional(count));
            clear_keys(d, prefix, ptr::null(), out)
        })
    }
}

/// As dht_clear, until another thread makes `given_up` other than 0, as for dht_count_until.
///
/// Errors: DHT_CANCELLED if it was given up: no more is deleted then, what was deleted stays deleted, and what was under way
/// may be. As dht_clear.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_clear_until(
    d: *mut dht_t,
    prefix: *const u8,
    prefix_len: usize,
    given_up: *const i32,
    count: *mut u64,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_clear_until", err, || {
            let (prefix, out) = (bytes("prefix", prefix, prefix_len)?, Out::optional(count));
            clear_keys(d, prefix, given_up, out)
        })
    }
}

/// # Safety
/// As [`block_until`].
unsafe fn count_keys(d: *const dht_t, prefix: &[u8], given_up: *const i32, out: Out<u64>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    // SAFETY: promised by the caller.
    give(out, unsafe { block_until(&running, Effect::Reads, running.dht().count(prefix), given_up) })
}

/// # Safety
/// As [`block_until`].
unsafe fn clear_keys(d: *const dht_t, prefix: &[u8], given_up: *const i32, out: Out<u64>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    // SAFETY: promised by the caller.
    give(out, unsafe { block_until(&running, Effect::Writes, running.dht().clear(prefix), given_up) })
}

fn give(out: Out<u64>, number: Result<u64>) -> Result<bool> {
    out.set(number?);
    Ok(true)
}
