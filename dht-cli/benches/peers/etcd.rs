//! Three etcd processes that do not wait for the disk, spoken to through their JSON gateway.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::load::{key, run};
use crate::processes::{Processes, connect, free_ports, patiently};
use crate::{CALLERS, VALUE_LEN};

pub(crate) struct Cluster {
    ports: Vec<u16>,
    _nodes: Processes,
}

impl Cluster {
    pub(crate) async fn start() -> Result<Self, String> {
        let mut nodes = Processes::new("etcd");
        let ports = free_ports(12)[6..].to_vec();
        let (clients, peers) = ports.split_at(3);
        let url = |port: &u16| format!("http://127.0.0.1:{port}");
        let all: Vec<String> = peers.iter().enumerate().map(|(n, port)| format!("n{n}={}", url(port))).collect();
        for n in 0..3 {
            let mut command = Command::new("etcd");
            command.args(["--name", &format!("n{n}"), "--initial-cluster", &all.join(","), "--unsafe-no-fsync"]);
            command.args(["--listen-client-urls", &url(&clients[n]), "--advertise-client-urls", &url(&clients[n])]);
            command.args(["--listen-peer-urls", &url(&peers[n]), "--initial-advertise-peer-urls", &url(&peers[n])]);
            command.arg("--data-dir").arg(nodes.dir.join(format!("n{n}")));
            nodes.start(command.stdout(Stdio::null()))?;
        }
        let cluster = Self { ports: clients.to_vec(), _nodes: nodes };
        patiently(async || put(&mut BufReader::new(connect(cluster.ports[0]).await?), 0).await).await?;
        Ok(cluster)
    }

    pub(crate) async fn puts(&self, length: Duration) -> f64 {
        let mut connections = Vec::new();
        for n in 0..CALLERS {
            let stream = connect(self.ports[n % 3]).await.expect("it listens");
            connections.push(std::sync::Mutex::new(Some(BufReader::new(stream))));
        }
        run(length, |number| {
            let stream = connections[number].lock().expect("no panic").take().expect("each is taken once");
            let stream = std::sync::Arc::new(tokio::sync::Mutex::new(stream));
            move |n| {
                let stream = stream.clone();
                async move { put(&mut *stream.lock().await, n).await.expect("it is written") }
            }
        })
        .await
    }
}

async fn put(stream: &mut BufReader<tokio::net::TcpStream>, n: usize) -> Result<(), String> {
    // Hexadecimal digits are base64 as well.
    let body = format!("{{\"key\":\"{}\",\"value\":\"{}\"}}", key(n), "a".repeat(VALUE_LEN * 4 / 3 / 4 * 4));
    let len = body.len();
    let head = format!("POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Length: {len}\r\n\r\n");
    let text = |error: std::io::Error| error.to_string();
    stream.write_all(format!("{head}{body}").as_bytes()).await.map_err(text)?;
    let (mut line, mut status, mut length) = (String::new(), String::new(), 0);
    while line.trim() != "" || status.is_empty() {
        line.clear();
        if stream.read_line(&mut line).await.map_err(text)? == 0 {
            return Err("it closed the connection".to_owned());
        }
        if status.is_empty() {
            status.clone_from(&line);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(|error| format!("{error}"))?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.map_err(text)?;
    if status.contains(" 200 ") { Ok(()) } else { Err(format!("{status} {}", String::from_utf8_lossy(&body))) }
}
