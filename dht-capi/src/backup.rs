//! The records of one node in a file, and back into a ring.

use std::ffi::c_char;
use std::ptr;

use dht_core::Result;
use dht_core::binding::{Effect, json};

use crate::boundary::{Out, block_until, call, text};
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

/// Writes every record that this node keeps to a new file at `path`, while it goes on serving. The file is whole and synced,
/// or not there. `json`, which may be NULL, gets {"records", "bytes"}. It holds this node's part of the ring: with as many
/// nodes as replication_factor, or fewer, that is everything; else take one from each node. Blocks as long as it takes.
///
/// Errors: DHT_INVALID_ARGUMENT if something is at `path` already, which stays; DHT_STORAGE if the file cannot be written;
/// DHT_UNSUPPORTED on a client; DHT_OVERLOADED while another snapshot or restore of this node is under way;
/// DHT_NOT_STARTED; DHT_STOPPED. No file is left then.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_snapshot(
    d: *mut dht_t,
    path: *const c_char,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_snapshot", err, || {
            let (path, out) = (text("path", path)?, Out::optional(json));
            let running = registry::find(d)?.running()?;
            let info = running.block_on(Effect::Reads, running.dht().snapshot(path), None)?;
            if out.wanted() {
                out.set_text(json::shape(&info)?)?;
            }
            Ok(true)
        })
    }
}

/// Brings the records of the snapshot at `path` into the ring of this node, which may have other members and another hash
/// than the one it was taken of. Merges by version: what is newer in the ring stays. `json`, which may be NULL, gets
/// {"records", "superseded", "bytes"}; superseded counts those that met a higher version. The whole file is checked before
/// anything is restored. What was deleted after the snapshot, and longer ago than tombstone_grace, comes back. Blocks as
/// long as it takes; restoring again does no harm.
///
/// Errors: DHT_INVALID_ARGUMENT if the file is no snapshot; DHT_STORAGE if it cannot be read, is damaged, or of a newer
/// release; DHT_INCOMPATIBLE_RING if it is of another cluster_name; DHT_TOO_LARGE if a key or value exceeds the bounds of
/// this ring; DHT_OVERLOADED while another snapshot or restore is under way; DHT_NOT_JOINED; DHT_NOT_STARTED: nothing was
/// restored. DHT_STORAGE, DHT_OVERLOADED, DHT_NOT_JOINED, DHT_UNREACHABLE, DHT_TIMEOUT, DHT_MEMORY_FULL if a quorum of some
/// record's replicas did not take it within the time of a call, and DHT_STOPPED: a part may be restored. Of a status that is in
/// both lists dht_error_maybe_applied tells.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_restore(
    d: *mut dht_t,
    path: *const c_char,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_restore", err, || {
            let (path, out) = (text("path", path)?, Out::optional(json));
            restore(d, path, ptr::null(), out)
        })
    }
}

/// As dht_restore, until another thread makes `given_up` other than 0, as for dht_count_until.
///
/// Errors: DHT_CANCELLED if it was given up: a part may be restored, and no more is. As dht_restore.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_restore_until(
    d: *mut dht_t,
    path: *const c_char,
    given_up: *const i32,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_restore_until", err, || {
            let (path, out) = (text("path", path)?, Out::optional(json));
            restore(d, path, given_up, out)
        })
    }
}

/// # Safety
/// As [`block_until`].
unsafe fn restore(d: *const dht_t, path: &str, given_up: *const i32, out: Out<*mut c_char>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    // SAFETY: promised by the caller.
    let info = unsafe { block_until(&running, Effect::Writes, running.dht().restore(path), given_up) }?;
    if out.wanted() {
        out.set_text(json::shape(&info)?)?;
    }
    Ok(true)
}
