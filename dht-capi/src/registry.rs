//! Handles: a `dht_t *` is a number that names one entry and no other, ever again. So a handle that was freed, by
//! another thread too, is found out instead of followed.
//!
//! There are no locks, so a forked child can use it whatever its parent's threads were doing.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use dht_core::binding::NodeHandle;
use dht_core::{Error, ErrorKind, Result};

/// A node. Only pointers to it exist; what they point to is nothing to look at.
pub struct dht_t {
    _private: [u8; 0],
}

/// Low bits of a handle: which place. The others: which of the entries that were there.
const PLACE_BITS: u32 = usize::BITS / 4;
/// Nodes of one process at a time.
const PLACES: usize = 1 << PLACE_BITS;
/// Places come in chunks, so that few nodes take little memory. The first one is the only one in most programs.
const CHUNK: usize = 64;

pub(crate) struct Entry {
    name: usize,
    pub(crate) node: NodeHandle,
}

type Place = ArcSwapOption<Entry>;

static CHUNKS: [OnceLock<Box<[Place]>>; PLACES / CHUNK] = [const { OnceLock::new() }; PLACES / CHUNK];
static ENTRIES: AtomicUsize = AtomicUsize::new(1);

/// Names `node`.
///
/// # Errors
/// `Overloaded` if there are too many.
pub(crate) fn insert(node: NodeHandle) -> Result<*mut dht_t> {
    // Never 0, so no handle is NULL. The numbers last for 2^48 nodes on 64-bit machines.
    let number = ENTRIES.fetch_add(1, Ordering::Relaxed) % (usize::MAX >> PLACE_BITS) + 1;
    let mut node = Some(node);
    for index in 0..PLACES {
        let place = &CHUNKS[index / CHUNK].get_or_init(|| (0..CHUNK).map(|_| Place::empty()).collect())[index % CHUNK];
        if place.load().is_some() {
            continue;
        }
        let Some(handle) = node.take() else { break };
        let name = number << PLACE_BITS | index;
        let entry = Arc::new(Entry { name, node: handle });
        let before = place.compare_and_swap(&None::<Arc<Entry>>, Some(entry.clone()));
        if before.is_none() {
            return Ok(ptr::without_provenance_mut(name));
        }
        // Another thread was faster; nobody else has seen the entry.
        node = Arc::into_inner(entry).map(|entry| entry.node);
    }
    Err(Error::new(ErrorKind::Overloaded, format!("there are {PLACES} nodes in this process: free some")))
}

/// The node of a handle.
///
/// # Errors
/// `InvalidArgument` for NULL, for what is no handle, and for one that was freed.
pub(crate) fn find(handle: *const dht_t) -> Result<Arc<Entry>> {
    match place(handle).and_then(Place::load_full) {
        Some(entry) if entry.name == handle.addr() => Ok(entry),
        _ if handle.is_null() => Err(Error::new(ErrorKind::InvalidArgument, "the handle is NULL")),
        _ => Err(Error::new(ErrorKind::InvalidArgument, "the handle was freed, or is none")),
    }
}

/// Takes the name from a node; the node itself lives until calls under way have ended. `None` as the errors of
/// [`find`].
pub(crate) fn remove(handle: *const dht_t) -> Option<Arc<Entry>> {
    let place = place(handle)?;
    let entry = place.load_full().filter(|entry| entry.name == handle.addr())?;
    let before = place.compare_and_swap(&entry, None);
    // Of two threads that free one handle, one does.
    before.as_ref().is_some_and(|before| Arc::ptr_eq(before, &entry)).then_some(entry)
}

fn place(handle: *const dht_t) -> Option<&'static Place> {
    let index = handle.addr() % PLACES;
    CHUNKS[index / CHUNK].get().map(|chunk| &chunk[index % CHUNK])
}
