//! What the present thread has allocated: for the promise that a message costs its receiver little more than its bytes.

#![allow(unsafe_code, reason = "an allocator cannot be written without; it only counts and passes on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread has allocated less those that it has freed, which may be another thread's.
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counted.
pub struct Counting;

// SAFETY: every call is the system allocator's, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout.size(), 0);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(0, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while the system copies, if it does.
        count(0, size);
        count(layout.size(), 0);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

fn count(freed: usize, allocated: usize) {
    // A thread that ends has no counters any more; nobody asks for them either.
    let _ = LIVE.try_with(|live| {
        live.set(live.get().saturating_sub(freed).saturating_add(allocated));
        let _ = MOST.try_with(|most| most.set(most.get().max(live.get())));
    });
}

/// Begins anew to look for the most; what is allocated now.
pub fn start() -> usize {
    let live = LIVE.get();
    MOST.set(live);
    live
}

/// The most that was allocated at once since [`start`].
pub fn most() -> usize {
    MOST.get()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_allocated_is_counted_also_when_it_is_freed_again() {
        let before = super::start();
        drop(std::hint::black_box(vec![0_u8; 1 << 20]));
        let most = super::most() - before;
        assert!((1 << 20..1 << 21).contains(&most), "{most}");
    }
}
