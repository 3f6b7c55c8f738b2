//! Three `dht serve` processes, and a client in this one.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use dht_core::{Config, Consistency, Dht, GetOptions, PutOptions, Value};

use crate::load::{key, run};
use crate::processes::Processes;
use crate::{KEYS, VALUE_LEN};

pub(crate) struct Ring {
    client: Dht,
    _nodes: Processes,
}

impl Ring {
    pub(crate) async fn start() -> Self {
        let mut nodes = Processes::new("ours");
        let cluster_name = format!("bench-{}", std::process::id());
        let mut seeds: Vec<String> = Vec::new();
        for _ in 0..3 {
            let (address, _) = serve(&mut nodes, &cluster_name, seeds.first());
            seeds.push(address);
        }
        Self { client: client(cluster_name, seeds).await, _nodes: nodes }
    }

    pub(crate) async fn puts(&self, length: Duration) -> f64 {
        run(length, |_| {
            let client = self.client.clone();
            move |n| {
                let client = client.clone();
                async move {
                    let value = Bytes::from(vec![b'v'; VALUE_LEN]);
                    client.put_bytes(key(n), value, PutOptions::default()).await.expect("a quorum has it");
                }
            }
        })
        .await
    }

    pub(crate) async fn fill(&self) {
        put_all(&self.client, KEYS).await;
    }

    pub(crate) async fn gets(&self, length: Duration) -> f64 {
        let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
        run(length, |_| {
            let client = self.client.clone();
            move |n| {
                let client = client.clone();
                async move {
                    let found = client.get_bytes(key(n), one).await.expect("it answers");
                    assert_eq!(found.map(|value| value.len()), Some(VALUE_LEN));
                }
            }
        })
        .await
    }

    pub(crate) async fn stop(&self) {
        self.client.stop().await;
    }
}

/// Starts a node of its own process; its address and process.
pub(crate) fn serve(nodes: &mut Processes, cluster_name: &str, seed: Option<&String>) -> (String, u32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dht"));
    command.args(["serve", "--port", "0", "--cluster-name", cluster_name]).stdout(Stdio::piped());
    if let Some(seed) = seed {
        command.args(["--seeds", seed]);
    }
    let node = nodes.start(&mut command).expect("it was built with this");
    let mut line = String::new();
    let out = node.stdout.take().expect("piped");
    BufReader::new(out).read_line(&mut line).expect("it says where it listens");
    (line.trim_end().rsplit(' ').next().expect("it ends with the address").to_owned(), node.id())
}

/// A client that has found the ring.
pub(crate) async fn client(cluster_name: String, seeds: Vec<String>) -> Dht {
    let config = Config { cluster_name, seeds, virtual_nodes: Some(0), ..Config::default() };
    let client = Dht::start(config).await.expect("it starts");
    client.wait_ready(Duration::from_secs(60)).await.expect("the ring is there");
    client
}

/// Puts the first `count` keys, many at a time.
pub(crate) async fn put_all(client: &Dht, count: usize) {
    let keys: Vec<usize> = (0..count).collect();
    for part in keys.chunks(1_000) {
        let entries = part.iter().map(|n| (key(*n), Value::from_bytes(vec![b'v'; VALUE_LEN])));
        let results = client.put_many(entries, PutOptions::default()).await.expect("it serves");
        for result in results {
            result.expect("a quorum has it");
        }
    }
}
