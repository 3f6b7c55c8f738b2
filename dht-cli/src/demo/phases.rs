//! Storing all files and reading them all back, with what each call took and what was wrong.
//!
//! What was stored is remembered as the SHA-256 of the bytes that were sent, so a file that changes meanwhile cannot
//! hide an error, nor cause one.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use dht_core::{Consistency, Env, Error, ErrorKind, Format, GetOptions, PutOptions, Remote, Result, Value};
use futures_util::StreamExt;
use futures_util::stream::iter;
use sha2::{Digest, Sha256};

use super::progress::Progress;
use super::tree::{File, Skipped};

/// Calls under way at once.
const CONCURRENCY: usize = 16;
/// Faults described in full; the rest is counted.
const DESCRIBED_MAX: usize = 5;

/// What the phases need of a ring.
pub(crate) trait Store {
    /// Stores bytes under a key.
    fn put(&self, key: &[u8], value: Bytes) -> impl Future<Output = Result<()>>;
    /// Reads them back; `None` if there is no such key.
    fn get(&self, key: &[u8]) -> impl Future<Output = Result<Option<Bytes>>>;
}

/// A ring seen through one of its nodes.
pub(crate) struct Through {
    pub(crate) remote: Remote,
    /// `None`: the node's default.
    pub(crate) level: Option<Consistency>,
    pub(crate) timeout: Duration,
}

impl Store for Through {
    async fn put(&self, key: &[u8], value: Bytes) -> Result<()> {
        let options = PutOptions { ttl: None, consistency: self.level, timeout: Some(self.timeout) };
        self.remote.put(key, Value { format: Format::Bytes, bytes: value }, &options).await.map(drop)
    }

    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let options = GetOptions { consistency: self.level, timeout: Some(self.timeout) };
        match self.remote.get(key, &options).await? {
            None => Ok(None),
            Some(found) if found.value.format == Format::Bytes => Ok(Some(found.value.bytes)),
            Some(_) => Err(Error::new(ErrorKind::WrongFormat, "bytes were stored, JSON came back")),
        }
    }
}

/// A key and what must be found under it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stored {
    pub(crate) key: Vec<u8>,
    pub(crate) len: u64,
    pub(crate) sha256: [u8; 32],
}

/// What one pass over all keys came to, or several.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// How many times all keys were gone through.
    pub(crate) passes: u64,
    /// Calls made: keys, times the passes.
    pub(crate) keys: u64,
    /// Of values that arrived and were right.
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
    /// Of each call, ascending.
    pub(crate) latencies: Vec<Duration>,
    /// Keys that were not found.
    pub(crate) missing: u64,
    /// Keys under which other bytes were found.
    pub(crate) wrong: u64,
    /// Calls that gave an error.
    pub(crate) failed: u64,
    /// The first few of the faults counted above, for people.
    pub(crate) described: Vec<String>,
}

impl Phase {
    /// Every key was found with the very bytes that were stored.
    pub(crate) fn is_right(&self) -> bool {
        self.faults() == 0
    }

    /// Keys missing, wrong or failed.
    pub(crate) fn faults(&self) -> u64 {
        self.missing + self.wrong + self.failed
    }

    /// Keys each second.
    pub(crate) fn rate(&self) -> f64 {
        self.keys as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The latency that `percent` of the calls did not exceed (nearest rank); 0 without calls.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
        self.latencies.get(rank - 1).copied().unwrap_or_default()
    }

    /// The longest call; 0 without calls.
    pub(crate) fn slowest(&self) -> Duration {
        self.latencies.last().copied().unwrap_or_default()
    }

    /// This phase and another one after it, as one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.passes += other.passes;
        self.keys += other.keys;
        self.bytes += other.bytes;
        self.missing += other.missing;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.latencies.extend(other.latencies);
        self.described.extend(other.described);
        self.described.truncate(DESCRIBED_MAX);
        let elapsed = self.elapsed + other.elapsed;
        self.end(elapsed)
    }

    fn end(mut self, elapsed: Duration) -> Self {
        self.elapsed = elapsed;
        self.latencies.sort_unstable();
        self
    }

    fn fault(&mut self, key: &[u8], what: &str) {
        if self.described.len() < DESCRIBED_MAX {
            self.described.push(format!("{}: {}: {what}", self.name, String::from_utf8_lossy(key)));
        }
    }
}

/// Stores all files. A call that fails ends it: nothing can be proven about a key whose write is not acknowledged.
/// Files that cannot be read any more, or have grown too large, are added to `skipped`.
pub(crate) async fn store(
    store: &impl Store,
    files: &[File],
    value_size: usize,
    skipped: &mut Skipped,
    env: &Env,
    progress: &Progress,
) -> Result<(Vec<Stored>, Phase)> {
    let mut phase = Phase { name: "store", passes: 1, ..Phase::default() };
    progress.begin(phase.name, files.len());
    let started = env.now();
    let mut puts = iter(files).map(|file| put_file(store, file, value_size, env)).buffer_unordered(CONCURRENCY);
    let mut stored = Vec::with_capacity(files.len());
    while let Some(put) = puts.next().await {
        match put? {
            Put::Stored(item, latency) => {
                phase.keys += 1;
                phase.bytes += item.len;
                phase.latencies.push(latency);
                stored.push(item);
            }
            Put::TooLarge => skipped.too_large += 1,
            Put::Unreadable => skipped.unreadable += 1,
        }
        progress.step();
    }
    stored.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok((stored, phase.end(env.now() - started)))
}

enum Put {
    Stored(Stored, Duration),
    TooLarge,
    Unreadable,
}

async fn put_file(store: &impl Store, file: &File, value_size: usize, env: &Env) -> Result<Put> {
    let path = file.path.clone();
    #[expect(clippy::disallowed_methods, reason = "the demo is not simulated, and files must not block its calls")]
    let read = tokio::task::spawn_blocking(move || {
        let bytes = std::fs::read(path)?;
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        Ok::<_, std::io::Error>((Bytes::from(bytes), sha256))
    });
    let (bytes, sha256) = match read.await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) => return Ok(Put::Unreadable),
        Err(panic) => return Err(Error::new(ErrorKind::Internal, "reading a file").with_source(panic)),
    };
    if bytes.len() > value_size {
        return Ok(Put::TooLarge);
    }
    let stored = Stored { key: file.key.clone(), len: bytes.len() as u64, sha256 };
    let asked = env.now();
    store.put(&file.key, bytes).await.map_err(|error| {
        let text = format!("storing {}: {}", String::from_utf8_lossy(&file.key), error.context());
        let told = Error::new(error.kind(), text);
        if error.maybe_applied() { told.unknown_outcome() } else { told }
    })?;
    Ok(Put::Stored(stored, env.now() - asked))
}

/// Reads every key and compares. What is wrong is counted, not returned as an error: one bad key must not hide the
/// state of the others.
pub(crate) async fn verify(
    name: &'static str,
    store: &impl Store,
    stored: &[Stored],
    env: &Env,
    progress: &Progress,
) -> Phase {
    let mut phase = Phase { name, passes: 1, ..Phase::default() };
    progress.begin(name, stored.len());
    let started = env.now();
    let mut gets = iter(stored)
        .map(|item| async move {
            let asked = env.now();
            let got = store.get(&item.key).await;
            (item, got, env.now() - asked)
        })
        .buffer_unordered(CONCURRENCY);
    while let Some((item, got, latency)) = gets.next().await {
        phase.keys += 1;
        phase.latencies.push(latency);
        match got {
            Ok(Some(bytes)) if <[u8; 32]>::from(Sha256::digest(&bytes)) == item.sha256 => phase.bytes += item.len,
            Ok(Some(bytes)) => {
                phase.wrong += 1;
                phase.fault(&item.key, &format!("{} bytes stored, {} other bytes read", item.len, bytes.len()));
            }
            Ok(None) => {
                phase.missing += 1;
                phase.fault(&item.key, "not found");
            }
            Err(error) => {
                phase.failed += 1;
                phase.fault(&item.key, &format!("{error:#}"));
            }
        }
        progress.step();
    }
    phase.end(env.now() - started)
}

#[cfg(test)]
#[path = "phases_tests.rs"]
mod tests;
