//! Handles: a `dht_t *` or `dht_scan_t *` is a number that names one entry and no other, ever again. So a handle that was
//! freed, by another thread too, is found out instead of followed.
//!
//! There are no locks, so a forked child can use it whatever its parent's threads were doing.

use std::ops::Deref;
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

static NODES: Registry<NodeHandle> = Registry::new("nodes");

/// Names `node`.
///
/// # Errors
/// `Overloaded` if there are too many.
pub(crate) fn insert(node: NodeHandle) -> Result<*mut dht_t> {
    NODES.insert(node).map(ptr::without_provenance_mut)
}

/// The node of a handle.
///
/// # Errors
/// `InvalidArgument` for NULL, for what is no handle, and for one that was freed.
pub(crate) fn find(handle: *const dht_t) -> Result<Arc<Entry<NodeHandle>>> {
    NODES.find(handle.addr())
}

/// Takes the name from a node; the node itself lives until calls under way have ended. `None` as the errors of
/// [`find`].
pub(crate) fn remove(handle: *const dht_t) -> Option<Arc<Entry<NodeHandle>>> {
    NODES.remove(handle.addr())
}

/// Low bits of a handle: which place. The others: which of the entries that were there.
const PLACE_BITS: u32 = usize::BITS / 4;
/// Entries of one process at a time.
const PLACES: usize = 1 << PLACE_BITS;
/// Places come in chunks, so that few entries take little memory. The first one is the only one in most programs.
const CHUNK: usize = 64;

/// What is under one name.
pub(crate) struct Entry<T> {
    name: usize,
    held: T,
}

impl<T> Deref for Entry<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.held
    }
}

type Place<T> = ArcSwapOption<Entry<T>>;

/// All handles of one kind.
pub(crate) struct Registry<T: 'static> {
    what: &'static str,
    chunks: [OnceLock<Box<[Place<T>]>>; PLACES / CHUNK],
    entries: AtomicUsize,
}

impl<T> Registry<T> {
    /// `what` they are, in errors.
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what, chunks: [const { OnceLock::new() }; PLACES / CHUNK], entries: AtomicUsize::new(1) }
    }

    /// A name for `held`, never 0.
    ///
    /// # Errors
    /// `Overloaded` if there are too many.
    pub(crate) fn insert(&self, held: T) -> Result<usize> {
        // Never 0, so no handle is NULL. The numbers last for 2^48 entries on 64-bit machines.
        let number = self.entries.fetch_add(1, Ordering::Relaxed) % (usize::MAX >> PLACE_BITS) + 1;
        let mut held = Some(held);
        for index in 0..PLACES {
            let chunk = self.chunks[index / CHUNK].get_or_init(|| (0..CHUNK).map(|_| Place::empty()).collect());
            let place = &chunk[index % CHUNK];
            if place.load().is_some() {
                continue;
            }
            let Some(mine) = held.take() else { break };
            let name = number << PLACE_BITS | index;
            let entry = Arc::new(Entry { name, held: mine });
            let before = place.compare_and_swap(&None::<Arc<Entry<T>>>, Some(entry.clone()));
            if before.is_none() {
                return Ok(name);
            }
            // Another thread was faster; nobody else has seen the entry.
            held = Arc::into_inner(entry).map(|entry| entry.held);
        }
        let context = format!("there are {PLACES} {} in this process: free some", self.what);
        Err(Error::new(ErrorKind::Overloaded, context))
    }

    /// What has this name.
    ///
    /// # Errors
    /// `InvalidArgument` for 0, for what is no name, and for one that was taken away.
    pub(crate) fn find(&self, name: usize) -> Result<Arc<Entry<T>>> {
        match self.place(name).and_then(Place::load_full) {
            Some(entry) if entry.name == name => Ok(entry),
            _ if name == 0 => Err(Error::new(ErrorKind::InvalidArgument, "the handle is NULL")),
            _ => Err(Error::new(ErrorKind::InvalidArgument, "the handle was freed, or is none")),
        }
    }

    /// Takes the name away. `None` as the errors of [`Registry::find`].
    pub(crate) fn remove(&self, name: usize) -> Option<Arc<Entry<T>>> {
        let place = self.place(name)?;
        let entry = place.load_full().filter(|entry| entry.name == name)?;
        let before = place.compare_and_swap(&entry, None);
        // Of two threads that free one handle, one does.
        before.as_ref().is_some_and(|before| Arc::ptr_eq(before, &entry)).then_some(entry)
    }

    fn place(&self, name: usize) -> Option<&Place<T>> {
        let index = name % PLACES;
        self.chunks[index / CHUNK].get().map(|chunk| &chunk[index % CHUNK])
    }
}
