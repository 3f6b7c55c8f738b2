//! kill -9 of a process that serves from a `data_dir` with `durability = "always"`, again and again under load: whatever it
//! acknowledged is there when it serves again.
//!
//! `KILLS=n` kills so often; without it a few times.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Dir, PATIENCE, Served};
use dht_core::{Env, GetOptions, PutOptions, Remote, Value};

const KILLS: usize = 5;
const WORKERS: usize = 8;
const KEYS: usize = 25;
/// Acknowledged writes before a kill, at least; then it comes at any moment.
const ENOUGH: usize = 100;

/// Key, acknowledged number, number last tried.
type Written = Arc<Mutex<BTreeMap<String, (u64, u64)>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_every_kill() {
    let kills = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let (dir, env) = (Dir::new(), Env::system());
    let written = Written::default();
    let cluster = format!("kill-{:x}", env.random_u64());
    for kill in 0..=kills {
        let data = dir.path().join("data");
        let served = Served::start(cluster.clone(), |command| {
            command.arg("--data-dir").arg(&data).args(["--durability", "always"])
        })
        .await;
        let node = Remote::connect(&served.address, &cluster, PATIENCE).await.expect("it answers");
        let known = written.lock().expect("whole").clone();
        for (key, (acknowledged, tried)) in known {
            let found = read(&node, &key).await;
            let kept = found >= acknowledged && found <= tried;
            assert!(kept, "after {kill} kills {key} is {found}: {acknowledged} was acknowledged, {tried} tried");
        }
        if kill == kills {
            break;
        }
        let counted = Arc::new(tokio::sync::Semaphore::new(0));
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| tokio::spawn(work(node.clone(), worker, written.clone(), counted.clone())))
            .collect();
        let enough = tokio::time::timeout(PATIENCE, counted.acquire_many(ENOUGH as u32)).await;
        drop(enough.expect("it writes").expect("open"));
        tokio::time::sleep(Duration::from_micros(env.random_below(20_000) as u64)).await;
        common::signal("KILL", served.pid()).await;
        for worker in workers {
            worker.await.expect("no panic");
        }
    }
    println!("{kills} kills, {} keys", written.lock().expect("whole").len());
}

/// A commit is due every tenth of a second: what was acknowledged 2 s before is in the file, however busy the machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_a_while_before_a_kill_is_there_with_interval() {
    let (dir, cluster) = (Dir::new(), format!("kill-{:x}", Env::system().random_u64()));
    let data = dir.path().join("data");
    let serve = || {
        Served::start(cluster.clone(), |command| {
            command.arg("--data-dir").arg(&data).args(["--durability", "interval"])
        })
    };
    let served = serve().await;
    let node = Remote::connect(&served.address, &cluster, PATIENCE).await.expect("it answers");
    for key in 0..100_u64 {
        let value = Value::from_serialize(&key).expect("JSON");
        node.put(key.to_string().as_bytes(), value, &PutOptions::default()).await.expect("it serves");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    common::signal("KILL", served.pid()).await;
    drop(served);
    let served = serve().await;
    let node = Remote::connect(&served.address, &cluster, PATIENCE).await.expect("it answers");
    for key in 0..100 {
        assert_eq!(read(&node, &key.to_string()).await, key);
    }
}

/// Puts rising numbers under the keys of one worker, until the node is gone.
async fn work(node: Remote, worker: usize, written: Written, counted: Arc<tokio::sync::Semaphore>) {
    loop {
        for key in 0..KEYS {
            let key = format!("{worker}/{key}");
            let number = {
                let mut written = written.lock().expect("whole");
                let (_, tried) = written.entry(key.clone()).or_default();
                *tried += 1;
                *tried
            };
            let value = Value::from_serialize(&number).expect("JSON");
            if node.put(key.as_bytes(), value, &PutOptions::default()).await.is_err() {
                return;
            }
            written.lock().expect("whole").entry(key).or_default().0 = number;
            counted.add_permits(1);
        }
    }
}

async fn read(node: &Remote, key: &str) -> u64 {
    let found = node.get(key.as_bytes(), &GetOptions::default()).await.expect("it answers");
    found.map_or(0, |found| found.value.deserialize().expect("a number"))
}
