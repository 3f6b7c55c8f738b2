//! `enable_logging` is all or nothing: without it connections, files and certificates are silent as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dht_core::{Config, Dht, Secret};
use tracing_subscriber::fmt::MakeWriter;

/// Counts lines.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl std::io::Write for Lines {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(1, Relaxed);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_node_without_logging_tells_nothing_to_a_subscriber_of_everything() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(lines.clone()).finish();
    // This runtime has one thread, so everything that is logged here is seen.
    let _guard = tracing::subscriber::set_default(subscriber);
    for enable_logging in [false, true] {
        // Short enough to be warned of before there is a node; the second node is refused by the first one's connection.
        let config = |key: &str| Config { enable_logging, cluster_key: Some(Secret::new(key)), ..Config::default() };
        let node = Dht::start(config("short")).await.expect("it founds a ring");
        let stranger = Config { seeds: vec![node.address()], ..config("other") };
        Dht::start(stranger).await.expect_err("another key");
        node.stop().await;
        assert_eq!(lines.0.load(Relaxed) > 0, enable_logging, "{lines:?}", lines = lines.0);
    }
}
