//! One `dht serve` process of the demo.
//!
//! It cannot outlive the demo, however that ends: dropping it kills it; it is in a process group of its own, so that
//! Ctrl-C reaches only the demo, which then ends it in an orderly way; and it stops by itself when its standard input
//! ends, which the kernel brings about even after a SIGKILL of the demo.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dht_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::Program;

/// A process that says nothing for so long will not serve.
const START_MAX: Duration = Duration::from_secs(30);
/// The kernel is done with a killed process long before.
const REAP_MAX: Duration = Duration::from_secs(10);
/// Of what a process complained, the end is kept.
const COMPLAINT_MAX: usize = 4 << 10;

/// A running node of the demo.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    pub(crate) node_id: String,
    pub(crate) pid: u32,
    process: Child,
    /// Held open: a process that writes into a closed pipe would fail.
    stdout: BufReader<ChildStdout>,
    complaints: Arc<Mutex<Vec<u8>>>,
    listener: JoinHandle<()>,
}

/// The line a served node prints.
#[derive(Deserialize)]
struct Announced {
    address: String,
}

impl NodeProcess {
    /// Starts the process; it does not serve yet. `flags` follow `serve --node-id NODE_ID`.
    pub(crate) fn spawn(program: &Program, node_id: &str, flags: &[String]) -> Result<Self> {
        let mut command = match program {
            Program::ThisExecutable => Command::new(std::env::current_exe().map_err(cannot_start)?),
            Program::Command { path, leading } => {
                let mut command = Command::new(path);
                command.args(leading);
                command
            }
        };
        command.args(["serve", "--json", "--exit-with-stdin", "--node-id", node_id]).args(flags);
        // The flags above say it all; a variable meant for another node must not change the demo.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"DHT_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut process = command.spawn().map_err(cannot_start)?;
        let (Some(stdout), Some(stderr), Some(pid)) = (process.stdout.take(), process.stderr.take(), process.id())
        else {
            return Err(Error::new(ErrorKind::Internal, "a process was started without its pipes"));
        };
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::spawn(listen(stderr, Arc::clone(&complaints)));
        let stdout = BufReader::new(stdout);
        Ok(Self { node_id: node_id.to_owned(), pid, process, stdout, complaints, listener })
    }

    /// Waits for the line with the address, and returns the address.
    pub(crate) async fn address(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(START_MAX, self.stdout.read_line(&mut line)).await;
        let what = match read {
            Err(_) => format!("has not served within {START_MAX:?}"),
            Ok(Err(error)) => format!("cannot be read from: {error}"),
            Ok(Ok(0)) => "ended before it served".to_owned(),
            Ok(Ok(_)) => match serde_json::from_str::<Announced>(&line) {
                Ok(announced) => return Ok(announced.address),
                Err(error) => format!("printed {line:?} instead of its address ({error})"),
            },
        };
        // What it complained of is the reason; it is complete once the process has ended.
        self.kill().await?;
        let text = format!("node {} (process {}) {what}{}", self.node_id, self.pid, self.complaints());
        Err(Error::new(ErrorKind::Unreachable, text))
    }

    /// SIGKILL: a crash, without goodbye. Returns at once.
    pub(crate) fn start_kill(&mut self) -> Result<()> {
        self.process.start_kill().map_err(|error| self.cannot("be killed", error))
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        // It may have ended by itself, which is fine.
        if self.exited()?.is_none() {
            self.start_kill()?;
        }
        match tokio::time::timeout(REAP_MAX, self.process.wait()).await {
            Err(_) => Err(self.cannot("be ended", std::io::ErrorKind::TimedOut.into())),
            Ok(Err(error)) => Err(self.cannot("be waited for", error)),
            Ok(Ok(_)) => {
                // Its end of the pipe is closed now, unless a process of its own holds it.
                if tokio::time::timeout(Duration::from_secs(1), &mut self.listener).await.is_err() {
                    self.listener.abort();
                }
                Ok(())
            }
        }
    }

    /// How it ended, if it has.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.process.try_wait().map_err(|error| self.cannot("be asked for its state", error))
    }

    /// The end of what it wrote to standard error, after ": "; empty if it wrote nothing.
    pub(crate) fn complaints(&self) -> String {
        let kept = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        match String::from_utf8_lossy(&kept).trim() {
            "" => String::new(),
            text => format!(": {text}"),
        }
    }

    fn cannot(&self, what: &str, error: std::io::Error) -> Error {
        let text = format!("process {} of node {} cannot {what}", self.pid, self.node_id);
        Error::new(ErrorKind::Internal, text).with_source(error)
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn cannot_start(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, "a node's process cannot be started").with_source(error)
}

/// Reads on so that the process never blocks, and keeps the end.
async fn listen(mut stderr: ChildStderr, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(len @ 1..) = stderr.read(&mut buffer).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..len]);
        let surplus = kept.len().saturating_sub(COMPLAINT_MAX);
        kept.drain(..surplus);
    }
}
