//! Server processes of a benchmark and where they listen.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

/// Killed, and their directory removed, when dropped.
pub(crate) struct Processes {
    children: Vec<Child>,
    pub(crate) dir: PathBuf,
}

impl Processes {
    pub(crate) fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("dht-bench-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory");
        Self { children: Vec::new(), dir }
    }

    /// Starts a program, or says why not.
    pub(crate) fn start(&mut self, command: &mut Command) -> Result<&mut Child, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        self.children.push(child.map_err(|error| format!("{name}: {error}"))?);
        self.children.last_mut().ok_or_else(|| "just pushed".to_owned())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Whether it had ended before does not matter.
            drop(child.kill());
            drop(child.wait());
        }
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

/// Ports that were free a moment ago, low enough for Redis, which adds 10,000.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let seed = std::process::id() as u16;
    let ports = (0..).map(|n: u16| 20_000 + (seed.wrapping_mul(31).wrapping_add(n * 7) % 20_000));
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.filter(free).take(count).collect()
}

/// Tries until it works, for ten seconds; else what went wrong last.
pub(crate) async fn patiently<T>(mut attempt: impl AsyncFnMut() -> Result<T, String>) -> Result<T, String> {
    let mut tries = 100;
    loop {
        tries -= 1;
        match attempt().await {
            Err(_) if tries > 0 => tokio::time::sleep(Duration::from_millis(100)).await,
            done => return done,
        }
    }
}

/// Connects as soon as somebody listens.
pub(crate) async fn connect(port: u16) -> Result<TcpStream, String> {
    let refused = |error: std::io::Error| format!("port {port}: {error}");
    let stream = patiently(async || TcpStream::connect(("127.0.0.1", port)).await.map_err(refused)).await?;
    stream.set_nodelay(true).map_err(refused)?;
    Ok(stream)
}
