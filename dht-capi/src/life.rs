//! From `dht_new` to `dht_free`.

use std::ffi::c_char;
use std::sync::Once;
use std::time::Duration;

use dht_core::binding::{self, Effect, NodeHandle};
use dht_core::{Config, ErrorKind};

use crate::boundary::{Out, call, contained, text, text_as};
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

/// Makes a node that is not started. `config_json` is an object with the keys of the configuration; NULL: the defaults.
/// Each key with its default and bounds: configuration.md in share/doc/dht. Until dht_start only dht_hash_key works; other
/// calls are DHT_NOT_STARTED. Free the handle with dht_free.
///
/// Errors: DHT_CONFIG naming key, value and bound; DHT_INSECURE; DHT_OVERLOADED at 65,536 handles, of a 32-bit process at 256.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_new(
    config_json: *const c_char,
    out: *mut *mut dht_t,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_new", err, || {
            let out = Out::needed("out", out)?;
            let config = match config_json.is_null() {
                true => Config::default(),
                false => Config::from_json(text_as("config_json", config_json, ErrorKind::Config)?)?,
            };
            let node = NodeHandle::new(config)?;
            count_forks();
            crate::log::to_stderr(node.config());
            out.set(registry::insert(node)?);
            Ok(true)
        })
    }
}

/// Starts the node. Without seeds it founds a ring and serves at once; with seeds it returns after joining, or after
/// `request_timeout`, and goes on trying. A no-op if it runs.
///
/// Errors: DHT_ADDRESS; DHT_STORAGE for a `data_dir` that cannot be used; DHT_CONFIG for one of another node or ring, and for
/// certificates; DHT_INSECURE for a name that resolves beyond loopback; DHT_INCOMPATIBLE_RING, DHT_AUTH, DHT_NODE_ID_IN_USE,
/// DHT_RING_FULL, DHT_CLOCK_SKEW if the ring refuses: nothing runs then, and it may be started again. DHT_STOPPED after dht_stop
/// or dht_leave.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_start(d: *mut dht_t, err: *mut *mut dht_error_t) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_start", err, || registry::find(d)?.start_blocking(None).map(|()| true)) }
}

/// Ends the node at once, within a second, without hand-over or goodbye: to the ring, a crash. Later calls succeed.
///
/// Errors: DHT_NOT_STARTED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_stop(d: *mut dht_t, err: *mut *mut dht_error_t) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_stop", err, || registry::find(d)?.stop_blocking().map(|()| true)) }
}

/// Hands over what only this node holds, says goodbye and ends. Later calls succeed.
///
/// Errors: DHT_TIMEOUT if not everything was handed over within `timeout_ms`: the node has ended nevertheless, and
/// with a data_dir may come back with its data. DHT_STOPPED if it was stopped meanwhile, before everything was handed over.
/// DHT_NOT_STARTED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_leave(d: *mut dht_t, timeout_ms: u64, err: *mut *mut dht_error_t) -> dht_status {
    let timeout = Duration::from_millis(timeout_ms);
    // SAFETY: promised by the caller.
    unsafe { call("dht_leave", err, || registry::find(d)?.leave_blocking(timeout, None).map(|()| true)) }
}

/// Waits until the node is joined, agrees with its neighbours on who is there, and has caught up with all that it
/// should hold.
///
/// Errors: DHT_TIMEOUT after `timeout_ms`; DHT_NOT_STARTED; DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_wait_ready(d: *mut dht_t, timeout_ms: u64, err: *mut *mut dht_error_t) -> dht_status {
    let timeout = Duration::from_millis(timeout_ms);
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_wait_ready", err, || {
            let running = registry::find(d)?.running()?;
            running.block_on(Effect::Reads, running.dht().wait_ready(timeout), None).map(|()| true)
        })
    }
}

/// Joins the ring of one of `addresses`, "host:port" separated by commas. Returns when this node is active there; data
/// of both rings merges by version. A no-op in the ring it is in. A ring must have let it in within `request_timeout`; copying
/// may take `request_timeout` × (`max_retries` + 1) in all.
///
/// Errors: DHT_INVALID_ARGUMENT for what is no address and for this node's own alone; DHT_ADDRESS; DHT_UNREACHABLE;
/// DHT_INCOMPATIBLE_RING, DHT_AUTH, DHT_CLOCK_SKEW, DHT_NODE_ID_IN_USE, DHT_RING_FULL: the node stays where it was;
/// DHT_OVERLOADED if those that answer have too much to do. DHT_TIMEOUT if
/// it was let in and is still copying, which goes on. DHT_NOT_STARTED; DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_join(d: *mut dht_t, addresses: *const c_char, err: *mut *mut dht_error_t) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_join", err, || {
            let entry = registry::find(d)?;
            let addresses = binding::addresses(text("addresses", addresses)?)?;
            let running = entry.running()?;
            running.block_on(Effect::Reads, running.dht().join(&addresses), None).map(|()| true)
        })
    }
}

/// Frees a handle; a node that runs is stopped as by dht_stop. Other threads may be inside calls with it. NULL, and a
/// handle that was freed, are allowed.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_free(d: *mut dht_t) {
    contained((), || {
        let Some(entry) = registry::remove(d) else { return };
        // Here rather than where the last call lets go of it. It can fail only where there is nothing to stop.
        if entry.stop_blocking().is_err_and(|error| error.kind() == ErrorKind::Forked) {
            // Dropped, it would wake whoever waits for its end, behind locks that threads of the parent may have held at
            // the fork. The child keeps a few hundred bytes instead.
            std::mem::forget(entry);
        }
    });
}

/// From now on the system tells of forks, so that no call needs to ask for the pid.
fn count_forks() {
    static ONCE: Once = Once::new();
    extern "C" fn in_child() {
        binding::note_fork();
    }
    ONCE.call_once(|| {
        // SAFETY: the handler only adds to an atomic, which any state of a forked child allows.
        if unsafe { libc::pthread_atfork(None, None, Some(in_child)) } == 0 {
            binding::count_forks();
        }
    });
}
