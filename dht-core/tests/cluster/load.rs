//! Continuous load with an oracle: workers write rising numbers under keys of their own and read them back, and every
//! read is held against what was acknowledged before it began.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dht_core::{Dht, ErrorKind};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::now;

/// Keys of each worker.
const KEYS: usize = 40;

/// The nodes that workers call, as they come and go.
pub(crate) type Called = Arc<Mutex<Vec<Dht>>>;

/// What a key must hold: at least what was acknowledged, at most what was tried.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) key: String,
    pub(crate) acknowledged: Option<u64>,
    tried: Option<u64>,
}

impl Promise {
    /// Whether `found` is what a read of this key may give.
    pub(crate) fn holds(&self, found: Option<u64>) -> bool {
        found >= self.acknowledged && found <= self.tried
    }
}

/// One call that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) ended: Instant,
    pub(crate) kind: ErrorKind,
    pub(crate) text: String,
}

/// What a load saw.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) calls: usize,
    pub(crate) longest: Duration,
    pub(crate) failures: Vec<Failure>,
    /// Reads that broke a promise, in words.
    pub(crate) wrong: Vec<String>,
    pub(crate) promises: Vec<Promise>,
}

/// A running load.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    workers: JoinSet<Account>,
}

impl Load {
    /// Starts `workers` workers on the nodes in `called`.
    pub(crate) fn start(called: &Called, workers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = JoinSet::new();
        for worker in 0..workers {
            running.spawn(work(worker, called.clone(), stop.clone()));
        }
        Self { stop, workers: running }
    }

    /// Ends the load after the calls under way and adds up what the workers saw.
    pub(crate) async fn end(mut self) -> Account {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Account::default();
        while let Some(account) = self.workers.join_next().await {
            let account = account.expect("a worker does not panic");
            sum.calls += account.calls;
            sum.longest = sum.longest.max(account.longest);
            sum.failures.extend(account.failures);
            sum.wrong.extend(account.wrong);
            sum.promises.extend(account.promises);
        }
        sum
    }
}

async fn work(worker: usize, called: Called, stop: Arc<AtomicBool>) -> Account {
    let mut account = Account::default();
    let promise = |i| Promise { key: format!("w{worker}-{i}"), acknowledged: None, tried: None };
    account.promises = (0..KEYS).map(promise).collect();
    for turn in 0u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let at = turn as usize % KEYS;
        let promise = &mut account.promises[at];
        promise.tried = Some(turn);
        let node = pick(&called, turn as usize + worker);
        let begun = now();
        let result = node.put(&promise.key, &turn).await;
        took(&mut account, begun, "put", result.as_ref().err());
        if result.is_ok() {
            account.promises[at].acknowledged = Some(turn);
        }
        // Half a round later, so that the slots that a failure touches are read as well as written.
        let promise = account.promises[(at + KEYS / 2) % KEYS].clone();
        let node = pick(&called, turn as usize + worker + 1);
        let begun = now();
        let result = node.get::<u64>(&promise.key).await;
        took(&mut account, begun, "get", result.as_ref().err());
        if let Ok(found) = result
            && !promise.holds(found)
        {
            account.wrong.push(format!("{node:?} read {found:?} against {promise:?}"));
        }
    }
    account
}

fn pick(called: &Called, turn: usize) -> Dht {
    let nodes = called.lock().expect("no holder panics");
    nodes[turn % nodes.len()].clone()
}

fn took(account: &mut Account, begun: Instant, call: &str, error: Option<&dht_core::Error>) {
    let ended = now();
    account.calls += 1;
    account.longest = account.longest.max(ended - begun);
    if let Some(error) = error {
        let text = format!("{call} after {:?}: {error:#}", ended - begun);
        account.failures.push(Failure { ended, kind: error.kind(), text });
    }
}
