//! Fuzz targets: functions that take any bytes and panic if dht-core breaks a promise.
//!
//! Each runs three ways: in `cargo test` over its seeds and some mutations of them, by the program `dht-fuzz` with more
//! mutations, and under libFuzzer (`make fuzz`, see README.md). What one of them finds becomes a file in
//! `corpus/<target>`, which every way begins with.

mod bytes_of;
mod config;
mod datagrams;
mod deaf;
mod frame;
pub mod heap;
mod input;
mod messages;
pub mod mutate;
mod node;
mod panics;
mod place;
mod secured;
pub mod seeds;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// One function to feed.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    feed: fn(&[u8]),
    /// Bytes that may be allocated at once while it runs, for an input of that many bytes.
    heap_max: fn(usize) -> usize,
    /// Mutations in `cargo test`.
    pub tried: u32,
}

/// What decoding may allocate at once: twice the bytes and 64 KiB, and the structures of elements (`docs/wire.md`) in
/// both shapes, of 1,024 items or of as many node records as fit.
fn decoded(len: usize) -> usize {
    (64 << 10) + (1_024 * messages::ITEM_MAX).max(len.saturating_mul(messages::EXPANSION_MAX)) + 2 * len
}

/// Text is kept as text, and the parsers build trees of it.
fn parsed(len: usize) -> usize {
    (256 << 10) + len.saturating_mul(256)
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", feed: frame::frame, heap_max: |len| (64 << 10) + 4 * len, tried: 3_000 },
    Target { name: "hello", feed: messages::hello, heap_max: |len| (64 << 10) + 2 * len, tried: 3_000 },
    Target { name: "call", feed: messages::call, heap_max: decoded, tried: 3_000 },
    Target { name: "reply", feed: messages::reply, heap_max: decoded, tried: 3_000 },
    Target { name: "config", feed: config::config, heap_max: parsed, tried: 1_000 },
    Target { name: "input", feed: input::input, heap_max: parsed, tried: 1_000 },
    Target { name: "node", feed: node::node, heap_max: node::heap_max, tried: 100 },
    Target { name: "secured", feed: secured::secured, heap_max: node::heap_max, tried: 300 },
    Target { name: "datagram", feed: datagrams::datagram, heap_max: |len| (64 << 10) + 4 * len, tried: 3_000 },
    Target { name: "datagrams", feed: datagrams::datagrams, heap_max: node::heap_max, tried: 100 },
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

impl Target {
    /// Feeds `data`.
    ///
    /// # Panics
    /// If a promise is broken: that is the finding.
    pub fn run(&self, data: &[u8]) {
        let panics = panics::count();
        let before = heap::start();
        (self.feed)(data);
        let most = heap::most().saturating_sub(before);
        assert_eq!(panics::count(), panics, "{}: a task of the node panicked", self.name);
        let max = (self.heap_max)(data.len());
        assert!(
            most <= max,
            "{}: {most} bytes allocated at once for an input of {}, at most {max}",
            self.name,
            data.len()
        );
    }
}
