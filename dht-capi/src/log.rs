//! Events on stderr, for programs that set `enable_logging` or `trace_sample` and have no other way to see them.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use dht_core::{Config, Env, TRACE_TARGET};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// A node of this process samples traces.
static TRACES: AtomicBool = AtomicBool::new(false);

/// From now on what a node with this configuration tells goes to stderr, unless the program, being in Rust, has a subscriber of
/// its own.
pub(crate) fn to_stderr(config: &Config) {
    static ONCE: Once = Once::new();
    let traces = config.trace_sample > 0;
    if traces {
        TRACES.store(true, Relaxed);
    }
    if config.enable_logging || traces {
        // It fails where there is a subscriber, which is never replaced.
        ONCE.call_once(|| drop(tracing::subscriber::set_global_default(Stderr(Env::system()))));
    }
}

/// One line for each event of the library above the level debug, and for each of a trace once a node samples some.
struct Stderr(Env);

impl Subscriber for Stderr {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.target() {
            // A later node may want them.
            TRACE_TARGET => Interest::sometimes(),
            _ if self.enabled(metadata) => Interest::always(),
            _ => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match metadata.target() {
            TRACE_TARGET => TRACES.load(Relaxed),
            target => *metadata.level() <= Level::INFO && target.starts_with("dht"),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let ms = self.0.wall_ms();
        let mut line = Line(format!("{}.{:03} {} dht:", ms / 1000, ms % 1000, event.metadata().level()));
        event.record(&mut line);
        line.0.push('\n');
        // Where stderr is closed there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(line.0.as_bytes());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
