//! What a key costs: one server of each kind, filled with many keys.

use std::process::{Command, Stdio};

use crate::processes::{Processes, connect, free_ports};
use crate::{ours, redis};

/// Resident bytes for each key that one `dht serve` keeps.
pub(crate) async fn of_ours(keys: usize) -> f64 {
    let mut nodes = Processes::new("footprint");
    let cluster = format!("footprint-{}", std::process::id());
    let (address, process) = ours::serve(&mut nodes, &cluster, None);
    let client = ours::client(cluster, vec![address]).await;
    let before = resident(process);
    ours::put_all(&client, keys).await;
    let grown = resident(process) - before;
    client.stop().await;
    grown / keys as f64
}

/// The same of one Redis server without persistence.
pub(crate) async fn of_redis(keys: usize) -> Result<f64, String> {
    let mut nodes = Processes::new("footprint-redis");
    let port = free_ports(1)[0];
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]);
    let dir = nodes.dir.clone();
    let process = nodes.start(command.arg(dir).stdout(Stdio::null()))?.id();
    let pipe = redis::Pipe::new(connect(port).await?);
    let before = resident(process);
    redis::put_all(&pipe, keys).await;
    Ok((resident(process) - before) / keys as f64)
}

fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs, on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident process");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("kilobytes") * 1024.0
}
