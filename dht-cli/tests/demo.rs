//! `dht demo` from outside: it proves what it should, and leaves no process behind, however it ends.

#![cfg(unix)]

mod common;

use std::process::Stdio;

use common::{Dir, PATIENCE, dht, finish, is_alive, run, signal, until};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

/// A tree of a few kinds of files: 40 small ones, an empty one, one over 1 MiB, a link.
fn tree() -> Dir {
    let dir = Dir::new();
    for i in 0..40_u8 {
        dir.write(&format!("d{}/f{i}", i % 4), &vec![i; usize::from(i) * 100]);
    }
    dir.write("empty", b"");
    dir.write("large", &vec![7; (1 << 20) + 17]);
    std::os::unix::fs::symlink("large", dir.path().join("link")).expect("a link");
    dir
}

/// The node processes that a demo has told of.
fn pids(lines: &[String]) -> Vec<u32> {
    let pid = |line: &String| line.split(" is process ").nth(1)?.split(' ').next()?.parse().ok();
    lines.iter().filter_map(pid).collect()
}

async fn assert_gone(pids: &[u32]) {
    for pid in pids {
        assert!(!is_alive(*pid).await, "process {pid} has outlived the demo");
    }
}

/// A demo that has started `nodes` nodes and goes on; what it still tells is read and dropped.
async fn started(dir: &Dir, nodes: usize) -> (Child, Vec<u32>) {
    let mut command = dht();
    command.args(["demo", "--nodes", &nodes.to_string(), "--files"]).arg(dir.path()).stdout(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut lines = Vec::new();
    while pids(&lines).len() < nodes {
        let line = tokio::time::timeout(PATIENCE, stderr.next_line()).await.expect("it goes on").expect("text");
        lines.push(line.unwrap_or_else(|| panic!("it ended: {lines:?}")));
    }
    let told = tokio::spawn(async move { while let Ok(Some(_)) = stderr.next_line().await {} });
    drop(told);
    let pids = pids(&lines);
    for pid in &pids {
        assert!(is_alive(*pid).await, "the demo has not ended: its processes are there");
    }
    (child, pids)
}

#[tokio::test]
async fn loses_nothing_and_leaves_nothing() {
    let dir = tree();
    let path = dir.path().to_str().expect("text");
    for (nodes, replication) in [(5, 3), (3, 2)] {
        let (nodes_text, replication_text) = (format!("{nodes}"), format!("{replication}"));
        let args = ["--json", "demo", "--files", path, "--nodes", &nodes_text, "--replication", &replication_text];
        let output = tokio::time::timeout(PATIENCE * 4, dht().args(args).output());
        let ran: common::Ran = output.await.expect("it ends").expect("it runs").into();
        assert_eq!(ran.status, 0, "{}", ran.err);
        let report = ran.json();
        assert_eq!((&report["files"], &report["keys_lost"], &report["right"]), (&42.into(), &0.into(), &true.into()));
        assert_eq!((&report["skipped"]["links"], &report["stopped_at"]), (&1.into(), &serde_json::Value::Null));
        let passes: Vec<_> = report["reads"].as_array().expect("passes").iter().map(|pass| &pass["name"]).collect();
        assert_eq!(passes, ["read", "read while healing", "read at level all", "read after hand-over"]);
        assert_ne!(report["store"]["through"], report["reads"][0]["through"], "another node reads");
        let items: u64 = report["items"].as_object().expect("nodes").values().filter_map(|held| held.as_u64()).sum();
        assert_eq!(items, 42 * replication);
        let lines: Vec<String> = ran.err.lines().map(str::to_owned).collect();
        let pids = pids(&lines);
        assert_eq!(pids.len(), nodes + 1, "the nodes and a replacement: {lines:?}");
        assert_gone(&pids).await;
    }
}

#[tokio::test]
async fn the_table_for_people() {
    let dir = Dir::new();
    dir.write("only", b"one");
    let path = dir.path().to_str().expect("text");
    let args = ["demo", "--files", path, "--nodes", "2", "--replication", "2", "--seed", "1"];
    // A variable that is meant for another node, and would stop every node that reads it.
    let ran = finish(dht().args(args).env("DHT_HASH_BITS", "0")).await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    for text in ["seconds to heal", "keys lost", "p50 / p99", "balance", "yes, each time"] {
        assert!(ran.text().contains(text), "{text} is not in {}", ran.text());
    }
}

#[tokio::test]
async fn ends_its_processes_on_ctrl_c() {
    let dir = tree();
    for name in ["INT", "TERM"] {
        let (mut child, pids) = started(&dir, 3).await;
        signal(name, child.id().expect("running")).await;
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("ours");
        let expected = if name == "INT" { 130 } else { 143 };
        assert_eq!(status.code(), Some(expected), "SIG{name}");
        assert_gone(&pids).await;
    }
}

#[tokio::test]
async fn its_processes_end_when_it_is_killed() {
    let dir = tree();
    let (mut child, pids) = started(&dir, 3).await;
    child.kill().await.expect("killed");
    for pid in pids {
        until("the process has ended", async || !is_alive(pid).await).await;
    }
}

#[tokio::test]
async fn nothing_to_store() {
    let dir = Dir::new();
    let ran = run(&["demo", "--json", "--files", dir.path().to_str().expect("text")]).await;
    assert_eq!((ran.status, &ran.error()["error"]), (3, &"INVALID_ARGUMENT".into()));
    let missing = dir.path().join("missing");
    let ran = run(&["demo", "--files", missing.to_str().expect("text")]).await;
    assert_eq!(ran.status, 3);
    assert!(ran.err.contains("missing"), "{}", ran.err);
}
