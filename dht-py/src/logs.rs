//! The core's events in Python's `logging`, below the logger "dht", once a node asks for it (`enable_logging`, `trace_sample`).
//!
//! The subscriber is this module's: other extension modules have their own copy of `tracing` and do not see it.

use std::fmt::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::courier::Courier;

/// Lines that wait for Python; more are dropped and counted.
const QUEUED_MAX: usize = 10_000;

static COURIER: Courier<Line> = Courier::new("dht-logging", deliver);
static QUEUED: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);
static SUBSCRIBE: Once = Once::new();

struct Line {
    level: Level,
    target: &'static str,
    text: String,
}

/// From now on events reach `logging`.
pub(crate) fn enable() -> PyResult<()> {
    COURIER.start()?;
    SUBSCRIBE.call_once(|| {
        // It fails if there is one already, which is then ours to leave.
        let _ = tracing::subscriber::set_global_default(ToPython);
    });
    Ok(())
}

/// Delivers what is queued, and ends the thread.
pub(crate) fn close(py: Python<'_>) {
    COURIER.close(py);
}

struct ToPython;

impl Subscriber for ToPython {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG && metadata.target().starts_with("dht")
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
        if QUEUED.fetch_add(1, Ordering::Relaxed) >= QUEUED_MAX {
            QUEUED.fetch_sub(1, Ordering::Relaxed);
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let text = fields.message + &fields.others;
        COURIER.send(Line { level: *metadata.level(), target: metadata.target(), text });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String never fails.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}

fn deliver(py: Python<'_>, lines: Vec<Line>) {
    QUEUED.fetch_sub(lines.len(), Ordering::Relaxed);
    let dropped = DROPPED.swap(0, Ordering::Relaxed);
    let logged = || -> PyResult<()> {
        let logger = py.import("logging")?.getattr("getLogger")?;
        if dropped > 0 {
            logger.call1(("dht",))?.call_method1("log", (30, format!("{dropped} lines of the log were dropped")))?;
        }
        for line in lines {
            let name = line.target.replacen("dht_core", "dht", 1).replace("::", ".");
            let level = match line.level {
                Level::ERROR => 40,
                Level::WARN => 30,
                Level::INFO => 20,
                _ => 10,
            };
            logger.call1((name,))?.call_method1("log", (level, "%s", line.text))?;
        }
        Ok(())
    };
    if let Err(error) = logged() {
        // A handler raised: Python's own way to tell, since nobody is there to catch it.
        error.write_unraisable(py, None);
    }
}
