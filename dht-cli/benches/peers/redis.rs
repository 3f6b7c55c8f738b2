//! Redis Cluster: three masters with a replica each.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::load::{key, run};
use crate::processes::{Processes, connect, free_ports, patiently};
use crate::{CALLERS, KEYS, VALUE_LEN};

pub(crate) struct Cluster {
    masters: Vec<u16>,
    _nodes: Processes,
}

impl Cluster {
    pub(crate) async fn start() -> Result<Self, String> {
        let mut nodes = Processes::new("redis");
        let ports = free_ports(6);
        for port in &ports {
            let dir = nodes.dir.join(port.to_string());
            std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
            let mut command = Command::new("redis-server");
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--cluster-enabled", "yes"]);
            command.args(["--save", "", "--appendonly", "no", "--protected-mode", "no", "--dir"]).arg(dir);
            nodes.start(command.stdout(Stdio::null()))?;
        }
        for port in &ports {
            drop(connect(*port).await?);
        }
        let addresses = ports.iter().map(|port| format!("127.0.0.1:{port}"));
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(addresses);
        create.args(["--cluster-replicas", "1", "--cluster-yes"]).stdout(Stdio::null()).stderr(Stdio::null());
        let created = create.status().map_err(|error| format!("redis-cli: {error}"))?;
        if !created.success() {
            return Err("the cluster was not created".to_owned());
        }
        let cluster = Self { masters: ports[..3].to_vec(), _nodes: nodes };
        patiently(async || cluster.ready().await).await?;
        Ok(cluster)
    }

    /// Every master has agreed on the slots.
    async fn ready(&self) -> Result<(), String> {
        for port in &self.masters {
            let mut one = Connection(connect(*port).await?, BytesMut::new());
            let info = one.ask(b"CLUSTER INFO\r\n", 1).await;
            if !info[0].contains("cluster_state:ok") {
                return Err(format!("the master at {port} is not ready"));
            }
        }
        Ok(())
    }

    /// Each caller on connections of its own: `WAIT` holds one up.
    pub(crate) async fn puts(&self, length: Duration) -> f64 {
        let mut all = Vec::new();
        for _ in 0..CALLERS {
            let mut own = Vec::new();
            for port in &self.masters {
                let stream = connect(*port).await.expect("it listens");
                own.push(Mutex::new(Connection(stream, BytesMut::new())));
            }
            all.push(Arc::new(own));
        }
        run(length, |number| {
            let own = all[number].clone();
            move |n| {
                let own = own.clone();
                async move {
                    let key = key(n);
                    let command = format!("{}WAIT 1 0\r\n", set(&key));
                    let replies = own[master(&key)].lock().await.ask(command.as_bytes(), 2).await;
                    assert_eq!(replies, ["+OK\r\n", ":1\r\n"]);
                }
            }
        })
        .await
    }

    pub(crate) async fn fill(&self) {
        let pipes = self.pipes().await;
        for n in 0..KEYS {
            let key = key(n);
            assert_eq!(pipes[master(&key)].ask(set(&key).into()).await, "+OK\r\n");
        }
    }

    /// All callers on one connection per master, as on ours.
    pub(crate) async fn gets(&self, length: Duration) -> f64 {
        let pipes = self.pipes().await;
        run(length, |_| {
            let pipes = pipes.clone();
            move |n| {
                let pipes = pipes.clone();
                async move {
                    let key = key(n);
                    let found = pipes[master(&key)].ask(format!("*2\r\n$3\r\nGET\r\n$16\r\n{key}\r\n").into()).await;
                    assert_eq!(found.len(), VALUE_LEN + 8, "{found}");
                }
            }
        })
        .await
    }

    async fn pipes(&self) -> Arc<Vec<Pipe>> {
        let mut pipes = Vec::new();
        for port in &self.masters {
            pipes.push(Pipe::new(connect(*port).await.expect("it listens")));
        }
        Arc::new(pipes)
    }
}

/// Sets the first `count` keys of one server, as many at a time as a connection takes.
pub(crate) async fn put_all(pipe: &Pipe, count: usize) {
    let keys: Vec<usize> = (0..count).collect();
    for part in keys.chunks(CALLERS) {
        let replies = part.iter().map(|n| pipe.ask(set(&key(*n)).into()));
        for reply in futures_util::future::join_all(replies).await {
            assert_eq!(reply, "+OK\r\n");
        }
    }
}

fn set(key: &str) -> String {
    let value = "v".repeat(VALUE_LEN);
    format!("*3\r\n$3\r\nSET\r\n$16\r\n{key}\r\n${VALUE_LEN}\r\n{value}\r\n")
}

/// The master of a key: slots are the CRC-16 (XMODEM) of the key, cut in three as `redis-cli` does.
fn master(key: &str) -> usize {
    let crc = key.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 })
    });
    match crc % 16_384 {
        0..=5_460 => 0,
        5_461..=10_922 => 1,
        _ => 2,
    }
}

/// The first whole reply, if it is there: a line, or a line with so many bytes behind it.
fn take_reply(buffer: &mut BytesMut) -> Option<String> {
    let line = buffer.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let mut len = line;
    if buffer[0] == b'$'
        && let Ok(bytes) = std::str::from_utf8(&buffer[1..line - 2]).unwrap_or_default().parse::<usize>()
    {
        len += bytes + 2;
    }
    (buffer.len() >= len).then(|| String::from_utf8_lossy(&buffer.split_to(len)).into_owned())
}

/// One request after the other.
struct Connection(TcpStream, BytesMut);

impl Connection {
    async fn ask(&mut self, command: &[u8], replies: usize) -> Vec<String> {
        self.0.write_all(command).await.expect("it takes it");
        let mut all = Vec::new();
        while all.len() < replies {
            match take_reply(&mut self.1) {
                Some(reply) => all.push(reply),
                None => assert!(self.0.read_buf(&mut self.1).await.expect("it answers") > 0),
            }
        }
        all
    }
}

/// Many requests at a time, written together as they come.
pub(crate) struct Pipe(mpsc::Sender<(Bytes, oneshot::Sender<String>)>);

impl Pipe {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (tell, mut asked) = mpsc::channel::<(Bytes, oneshot::Sender<String>)>(CALLERS * 2);
        let (waits, mut waiting) = mpsc::channel::<oneshot::Sender<String>>(CALLERS * 2);
        let (mut source, mut sink) = stream.into_split();
        tokio::spawn(async move {
            let mut out = BytesMut::new();
            while let Some((command, told)) = asked.recv().await {
                let mut next = Some((command, told));
                while let Some((command, told)) = next {
                    out.extend_from_slice(&command);
                    waits.send(told).await.expect("the reader lives");
                    next = asked.try_recv().ok();
                }
                sink.write_all(&out).await.expect("it takes it");
                out.advance(out.len());
            }
        });
        tokio::spawn(async move {
            let mut buffer = BytesMut::new();
            while let Some(told) = waiting.recv().await {
                let reply = loop {
                    match take_reply(&mut buffer) {
                        Some(reply) => break reply,
                        None => assert!(source.read_buf(&mut buffer).await.expect("it answers") > 0),
                    }
                };
                // A caller that is gone needs no answer.
                drop(told.send(reply));
            }
        });
        Self(tell)
    }

    async fn ask(&self, command: Bytes) -> String {
        let (told, reply) = oneshot::channel();
        self.0.send((command, told)).await.expect("the writer lives");
        reply.await.expect("it answers")
    }
}
