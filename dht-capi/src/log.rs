//! Events on stderr, for programs that set `enable_logging` and have no other way to see them.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Once;

use dht_core::Env;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// From now on events go to stderr, unless the program, being in Rust, has a subscriber of its own.
pub(crate) fn to_stderr() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails where there is a subscriber, which is never replaced.
        let _ = tracing::subscriber::set_global_default(Stderr(Env::system()));
    });
}

/// One line for each event of the library, above the level debug.
struct Stderr(Env);

impl Subscriber for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("dht")
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
