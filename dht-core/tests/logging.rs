//! `enable_logging` is all or nothing: without it connections, files and certificates are silent as well.

mod cluster;
mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster::{Reserved, SOON, eventually, named, seen, start, stop_all};
use common::until;
use dht_core::{Config, Dht, ErrorKind, Secret};
use tracing_subscriber::fmt::MakeWriter;

/// What belongs to no node is told while any of the process has logging enabled: one test at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

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
    let _alone = ALONE.lock().await;
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

/// Also what a node is told after `start` has returned; once, however often it tries.
#[tokio::test]
async fn why_a_node_does_not_join_is_warned_of_when_it_changes_and_told_to_callers() {
    let _alone = ALONE.lock().await;
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let seed = Reserved::new();
    let config = |node_id: &str| Config { enable_logging: true, ..named(node_id) };
    let request_timeout = Duration::from_millis(400);
    let early = start(Config { seeds: vec![seed.endpoint()], request_timeout, ..config("early") }).await;
    let port = seed.port();
    let other = Config { cluster_name: "other".to_owned(), port: seed.release(), ..Config::default() };
    let stranger = start(other).await;
    eventually(SOON, "the reason is another", async || {
        let error = early.put("key", &1).await.expect_err("it is in no ring");
        assert_eq!(error.kind(), ErrorKind::NotJoined, "{error}");
        seen(error.context().contains("INCOMPATIBLE_RING: "), || error.to_string())
    })
    .await;
    // Some tries more.
    let error = early.wait_ready(Duration::from_secs(2)).await.expect_err("it is in no ring");
    assert!(error.context().contains("INCOMPATIBLE_RING: "), "{error}");
    let told = lines.0.lock().expect("no panic").concat();
    let warned: Vec<&str> =
        told.lines().filter(|line| line.contains("WARN") && line.contains(": not joined ")).collect();
    // One for each reason; a connection that breaks off while the other node starts may be a third.
    assert!((2..=3).contains(&warned.len()), "{told}");
    assert!(warned[0].contains("UNREACHABLE"), "{warned:?}");
    assert_eq!(warned.iter().filter(|line| line.contains("INCOMPATIBLE_RING")).count(), 1, "{warned:?}");
    stranger.stop().await;
    let right = start(Config { port, ..named("right") }).await;
    early.wait_ready(SOON).await.expect("it joins");
    stop_all(&[early, right]).await;
}

/// Who comes, leaves and is given up is told by those who stay.
#[tokio::test]
async fn the_log_tells_who_is_in_the_ring() {
    let _alone = ALONE.lock().await;
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let heartbeat_interval = Duration::from_millis(100);
    let config = |node_id: &str| Config { node_id: node_id.into(), heartbeat_interval, ..Config::default() };
    let stays = Dht::start(Config { enable_logging: true, ..config("stays") }).await.expect("it founds a ring");
    let others = |node_id: &str| Dht::start(Config { seeds: vec![stays.address()], ..config(node_id) });
    let (leaves, dies) = (others("leaves").await.expect("it joins"), others("dies").await.expect("it joins"));
    leaves.leave(Duration::from_secs(10)).await.expect("it hands over");
    dies.stop().await;
    until("all is told", || {
        let told = lines.0.lock().expect("no panic").concat();
        let tells = |what: &str, peer: &str| told.lines().any(|line| line.contains(what) && line.contains(peer));
        let came = tells("is in the ring", "peer=leaves") && tells("is in the ring", "peer=dies");
        came && tells("leaves the ring", "peer=leaves") && tells("is given up", "peer=dies")
    })
    .await;
    stays.leave(Duration::from_secs(10)).await.expect("it is alone");
    assert!(lines.0.lock().expect("no panic").concat().contains("has left the ring"));
}
