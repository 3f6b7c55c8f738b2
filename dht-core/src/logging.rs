//! Events for whoever subscribed to `tracing`, if `enable_logging` is set.
//!
//! What knows its node asks that node's configuration (`log!`). Connections, files and certificates know none: they tell
//! what they meet while any node of the process has logging enabled (`event!`).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The target of what `Config::trace_sample` and traces on demand tell `tracing`, level debug: a span for each operation, an
/// event for each hop. Of its own, so that a subscriber can take these without all that is told at debug.
pub const TRACE_TARGET: &str = "dht::trace";

/// `log!(node, level, fields…, "message")`: an event that names the node.
macro_rules! log {
    ($node:expr, $level:ident, $($event:tt)+) => {
        if $node.config.enable_logging {
            tracing::$level!(node = %$node.node_id, $($event)+);
        }
    };
}

/// `event!(level, fields…, "message")`: an event of what belongs to no node in particular.
macro_rules! event {
    ($level:ident, $($event:tt)+) => {
        if $crate::logging::is_wanted() {
            tracing::$level!($($event)+);
        }
    };
}

/// How many nodes of the process have logging enabled.
static LISTENERS: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn is_wanted() -> bool {
    LISTENERS.load(Relaxed) > 0
}

/// While it lives, the process has a node with this setting.
pub(crate) struct Listening(bool);

impl Listening {
    pub(crate) fn new(enable_logging: bool) -> Self {
        if enable_logging {
            LISTENERS.fetch_add(1, Relaxed);
        }
        Self(enable_logging)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if self.0 {
            LISTENERS.fetch_sub(1, Relaxed);
        }
    }
}
