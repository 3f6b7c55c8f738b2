//! What the tests of the program share: running it, serving a node, and asking about processes.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, reason = "a module of each test file")]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use dht_core::Env;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// Nothing that is waited for here takes so long, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program, without variables of the machine that would configure it.
pub fn dht() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dht"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"DHT_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What a command that ends by itself came to.
pub struct Ran {
    pub status: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Ran {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {:?} {}", self.text(), self.err))
    }

    /// The JSON object on standard error.
    pub fn error(&self) -> Value {
        serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {:?}", self.err))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("ended by itself"),
            out: output.stdout,
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// Runs the program to its end.
pub async fn run(args: &[&str]) -> Ran {
    finish(dht().args(args)).await
}

/// Runs a command to its end.
pub async fn finish(command: &mut Command) -> Ran {
    tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").expect("it runs").into()
}

/// Runs the program with `input` on its standard input.
pub async fn run_with_input(args: &[&str], input: &[u8]) -> Ran {
    let mut child = dht().args(args).stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input).await.expect("it reads");
    drop(stdin);
    tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").expect("it runs").into()
}

/// A served node of a ring of its own, killed when dropped.
pub struct Served {
    pub child: Child,
    pub line: String,
    pub address: String,
    pub cluster: String,
    pub stdout: BufReader<ChildStdout>,
}

impl Served {
    pub async fn new() -> Self {
        Self::with(|command| command).await
    }

    /// Serves after `change` had its way with the command.
    pub async fn with(change: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        Self::start(format!("test-{:x}", Env::system().random_u64()), change).await
    }

    /// Serves another node of the same ring, joined through this one.
    pub async fn joined_by_another(&self) -> Self {
        Self::start(self.cluster.clone(), |command| command.args(["--seeds", &self.address])).await
    }

    /// Serves a node of `cluster` after `change` had its way with the command.
    pub async fn start(cluster: String, change: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = dht();
        command.args(["serve", "--port", "0", "--cluster-name", &cluster]).stderr(Stdio::inherit());
        change(&mut command);
        let mut child = command.spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, stdout.read_line(&mut line)).await;
        read.expect("it serves").expect("it prints");
        let address = match serde_json::from_str::<Value>(&line) {
            Ok(announced) => announced["address"].as_str().expect("an address").to_owned(),
            Err(_) => line.trim_end().rsplit(' ').next().expect("an address").to_owned(),
        };
        Self { child, line, address, cluster, stdout }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("not waited for")
    }

    /// Runs a client command against this node.
    pub async fn client(&self, args: &[&str]) -> Ran {
        run(&[args, &["--node", &self.address, "--cluster-name", &self.cluster]].concat()).await
    }

    /// The exit status, once it has ended.
    pub async fn status(&mut self) -> std::process::ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("it is ours")
    }
}

/// A temporary directory, removed when dropped.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("dht-cli-{:x}", Env::system().random_u64()));
        std::fs::create_dir(&dir).expect("a temporary directory");
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
        std::fs::write(&path, contents).expect("a file");
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Sends a signal, by its name without SIG.
#[cfg(unix)]
pub async fn signal(name: &str, pid: u32) {
    // The shell's own `kill`: small machines have no program of this name.
    let sent = finish(Command::new("sh").args(["-c", &format!("kill -{name} {pid}")])).await;
    assert_eq!(sent.status, 0, "{}", sent.err);
}

/// Whether a process runs. One that has ended and is not waited for runs no more.
#[cfg(unix)]
pub async fn is_alive(pid: u32) -> bool {
    if Path::new("/proc/self/stat").exists() {
        return match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => !stat.contains(") Z"),
            Err(_) => false,
        };
    }
    let asked = Command::new("sh").args(["-c", &format!("kill -0 {pid}")]).stderr(Stdio::null()).status().await;
    asked.expect("a shell").success()
}

/// Asks until `done`, and fails when patience is at its end. An observation of other processes, which send no word.
pub async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let looking = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while !done().await {
            looks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("still not: {what}"));
}
