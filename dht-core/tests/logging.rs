//! `enable_logging` is all or nothing: without it connections, files and certificates are silent as well.

use std::sync::{Arc, Mutex};

use dht_core::{Config, Dht, Secret};
use tracing_subscriber::fmt::MakeWriter;

/// Lines that were written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl std::io::Write for Lines {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").push(String::from_utf8_lossy(text).into_owned());
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
        let told = lines.0.lock().expect("no panic").clone();
        if enable_logging {
            let of_no_node = ["can be guessed", "connection not taken"];
            assert!(of_no_node.iter().all(|what| told.iter().any(|line| line.contains(what))), "{told:?}");
        } else {
            assert!(told.is_empty(), "{told:?}");
        }
    }
}
