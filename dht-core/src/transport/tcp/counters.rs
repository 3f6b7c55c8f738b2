//! What a transport counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::super::Traffic;
use super::super::misbehaviour::Misdeeds;

/// Totals since the transport was made; independent of each other, so relaxed.
#[derive(Default)]
pub(in crate::transport) struct Counters {
    messages_sent: AtomicU64,
    messages_received: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    network_errors: AtomicU64,
    /// What peers did wrong.
    pub(in crate::transport) misdeeds: Misdeeds,
}

impl Counters {
    /// `messages` frames are wholly, and `bytes` bytes, with the operating system.
    pub(in crate::transport) fn sent(&self, messages: usize, bytes: usize) {
        self.messages_sent.fetch_add(messages as u64, Relaxed);
        self.bytes_sent.fetch_add(bytes as u64, Relaxed);
    }

    /// One whole frame was understood.
    pub(in crate::transport) fn message_received(&self) {
        self.messages_received.fetch_add(1, Relaxed);
    }

    /// Bytes came in.
    pub(in crate::transport) fn bytes_received(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Relaxed);
    }

    /// A dial failed, a connection broke, or a frame was malformed.
    pub(in crate::transport) fn network_error(&self) {
        self.network_errors.fetch_add(1, Relaxed);
    }

    pub(in crate::transport) fn snapshot(&self, connections: usize) -> Traffic {
        Traffic {
            messages_sent: self.messages_sent.load(Relaxed),
            messages_received: self.messages_received.load(Relaxed),
            bytes_sent: self.bytes_sent.load(Relaxed),
            bytes_received: self.bytes_received.load(Relaxed),
            network_errors: self.network_errors.load(Relaxed),
            connections: connections as u64,
        }
    }
}
