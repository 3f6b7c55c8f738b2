//! Rings that are secured, through the public interface: who gets in, what the others are told, and that no secret is
//! ever shown.

use crate::common;

#[path = "common/authority.rs"]
mod authority;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authority::{Authority, Files};
use common::{PATIENCE, start, stop, until};
use dht_core::{Config, Dht, Error, ErrorKind, Remote, Secret, TlsConfig};

const SECRET: &str = "correct-horse-battery-staple";

fn key(node_id: &str, key: &str) -> Config {
    Config { node_id: node_id.into(), cluster_key: Some(Secret::new(key)), ..Config::default() }
}

fn tls(files: &Files) -> Config {
    let Files { cert, key, ca } = files.clone();
    Config { tls: Some(TlsConfig { cert, key, ca }), ..Config::default() }
}

fn seeded(config: Config, by: &Dht) -> Config {
    Config { seeds: vec![by.address()], ..config }
}

/// A ring of three: two members and a client; each sees what the others write.
async fn works(configs: [Config; 3]) -> Vec<Dht> {
    let [first, second, third] = configs;
    let first = start(first).await;
    let second = start(seeded(second, &first)).await;
    second.wait_ready(PATIENCE).await.expect("ready");
    let client = start(Config { virtual_nodes: Some(0), ..seeded(third, &first) }).await;
    let nodes = vec![first, second, client];
    for (i, node) in nodes.iter().enumerate() {
        node.put(&format!("key {i}"), &i).await.expect("written");
        for other in &nodes {
            assert_eq!(other.get::<usize>(&format!("key {i}")).await.expect("read"), Some(i));
        }
    }
    assert_eq!(nodes[2].members().expect("joined").len(), 2);
    nodes
}

/// Both ways in are shut, and what was there before is there.
async fn shut_out(stranger: Config, member: &Dht) -> Error {
    let error = Dht::start(seeded(stranger.clone(), member)).await.expect_err("a stranger");
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    assert!(!error.maybe_applied());
    let alone = start(stranger.clone()).await;
    alone.put("own", &1).await.expect("it is a ring of its own");
    let joining = alone.join(&[member.address()]).await.expect_err("a stranger");
    assert_eq!(joining.kind(), ErrorKind::Auth, "{joining}");
    assert_eq!(alone.get::<i32>("own").await.expect("it goes on"), Some(1));
    alone.stop().await;
    let remote = Remote::connect_with(&member.address(), &stranger, Duration::from_secs(10)).await;
    assert_eq!(remote.expect_err("a stranger").kind(), ErrorKind::Auth);
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_with_a_key_lets_in_who_knows_it() {
    let nodes = works(["a", "b", "c"].map(|id| key(id, SECRET))).await;
    for (stranger, says) in [(key("d", "another key"), "same cluster_key"), (Config::default(), "cluster_key")] {
        let error = shut_out(stranger, &nodes[0]).await;
        assert!(error.context().contains(says), "{error}");
        assert!(!format!("{error:#} {error:?}").contains(SECRET));
    }
    let remote = Remote::connect_with(&nodes[1].address(), &key("", SECRET), PATIENCE).await.expect("it knows the key");
    let got = remote.get(b"key 0", &Default::default()).await.expect("read");
    assert_eq!(got.map(|found| found.value.bytes), Some("0".into()));
    assert_eq!(nodes[0].members().expect("joined").len(), 2);
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_with_certificates_lets_in_who_has_one() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    // Their names are in their certificates.
    let nodes = works(["a", "b", "c"].map(|id| tls(&ours.node(id)))).await;
    assert_eq!(nodes.iter().map(Dht::node_id).collect::<Vec<_>>(), ["a", "b", "c"]);
    let error = shut_out(tls(&theirs.node("d")), &nodes[0]).await;
    assert!(error.context().contains("tls.ca"), "{error}");
    shut_out(key("d", SECRET), &nodes[0]).await;
    let remote = Remote::connect_with(&nodes[1].address(), &tls(&ours.node("e")), PATIENCE).await;
    remote.expect("it has a certificate").get(b"key 0", &Default::default()).await.expect("read");
    // Another name than the certificate has is refused before anything starts.
    let error = Dht::start(Config { node_id: "other".into(), ..tls(&ours.node("f")) }).await.expect_err("not its name");
    assert!(error.kind() == ErrorKind::Config && error.context().contains("URI:dht:other"), "{error}");
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_opens_more_than_loopback() {
    let authority = Authority::new();
    for config in [key("a", SECRET), tls(&authority.node("a"))] {
        let open = start(Config { address: "0.0.0.0".into(), ..config }).await;
        open.put("k", &1).await.expect("written");
        open.stop().await;
    }
}

/// One node after the other gets the new key beside the old one, then without it; the ring never stops working.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_changed_without_an_outage() {
    let mut nodes = vec![start(key("n0", "old")).await];
    for id in ["n1", "n2"] {
        nodes.push(start(seeded(key(id, "old"), &nodes[0])).await);
    }
    for node in &nodes {
        node.wait_ready(PATIENCE).await.expect("ready");
    }
    nodes[0].put("kept", &7).await.expect("written");
    for (step, keys) in ["new,old", "new"].into_iter().enumerate() {
        for i in 0..3 {
            nodes[i].leave(PATIENCE).await.expect("handed over");
            let by = &nodes[(i + 1) % 3];
            let again = start(seeded(key(&format!("n{i}"), keys), by)).await;
            again.wait_ready(PATIENCE).await.expect("ready");
            nodes[i] = again;
            for node in &nodes {
                assert_eq!(node.get::<i32>("kept").await.expect("read"), Some(7), "step {step}, node {i}");
                node.put("new", &i).await.expect("written");
            }
        }
    }
    shut_out(key("late", "old"), &nodes[0]).await;
    stop(nodes).await;
}

/// All that is logged, at any level, from here on.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // This runtime has one thread, so everything that is logged here is seen.
    let _guard = tracing::subscriber::set_default(subscriber);
    let other = "not-the-same-secret";
    let logging = |id: &str, secret: &str| Config { enable_logging: true, ..key(id, secret) };
    let first = start(logging("a", SECRET)).await;
    let second = start(seeded(logging("b", &format!("{other},{SECRET}")), &first)).await;
    second.put("k", &1).await.expect("written");
    let error = Dht::start(seeded(logging("c", other), &first)).await.expect_err("a stranger");
    let error = [error, Dht::start(logging("d", "a,b,c-secret")).await.expect_err("three keys")];
    until("the log tells of it", || String::from_utf8_lossy(&log.0.lock().expect("no panic")).contains("cluster_key"))
        .await;
    let config = logging("a", SECRET);
    let shown = format!("{config:?} {error:?} {:#} {:#}", error[0], error[1]);
    let written = serde_json::to_string(&config).expect("JSON") + &toml::to_string(&config).expect("TOML");
    let logged = String::from_utf8_lossy(&log.0.lock().expect("no panic")).into_owned();
    for secret in [SECRET, other, "c-secret"] {
        for (what, text) in [("log", &logged), ("Debug or Display", &shown), ("configuration", &written)] {
            assert!(!text.contains(secret), "{what} has {secret}");
        }
    }
    stop(vec![first, second]).await;
}
