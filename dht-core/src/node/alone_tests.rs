//! A node that is alone: a put that a join overtakes, a disk that does not answer, a read that a write overtakes, a snapshot
//! while it leaves, and what it remembers of those who are looked for no more.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;

use crate::data::fingerprint::Fingerprint;
use crate::data::record::{Content, KeyDigest, Record, Version};
use crate::dht::Foundation;
use crate::error::{ErrorKind, Result};
use crate::node::Phase;
use crate::ring::members::GRAVEYARD_AGE_MAX;
use crate::ring::record::{NodeId, NodeRecord, Verdict, test_record};
use crate::ring::slot::Slot;
use crate::store::{MemoryStore, Merged, Store, Ticket, Usage};
use crate::transport::{Hello, TcpOptions, TcpTransport, Transport};
use crate::wire::facts::Facts;
use crate::wire::message::Response;
use crate::{Config, Consistency, Dht, Env, Expected, GetOptions, PutOptions, Value};

const PATIENCE: Duration = Duration::from_secs(60);

/// How far the put of [`KEY`] got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Before,
    /// About to keep its record; waits until that may go on.
    Held,
    May,
}

const KEY: &[u8] = b"held";
/// Whenever it is looked up another write has just come in, and is not on the disk yet.
const OVERTAKEN: &[u8] = b"overtaken";

/// Keeps everything at once but the first record of [`KEY`].
struct Holding {
    store: MemoryStore,
    step: Mutex<Step>,
    changed: Condvar,
    /// The disk takes nothing any more.
    stalled: AtomicBool,
    facts: Option<Facts>,
}

impl Holding {
    fn new(config: &Config, step: Step) -> Arc<Self> {
        Arc::new(Self::with(config, step, None))
    }

    fn with(config: &Config, step: Step, facts: Option<Facts>) -> Self {
        let store = MemoryStore::new(crate::ring::params::slot_count(config).expect("valid"));
        let (step, changed, stalled) = (Mutex::new(step), Condvar::new(), AtomicBool::new(false));
        Self { store, step, changed, stalled, facts }
    }

    fn go(&self, step: Step) {
        *self.step.lock().unwrap() = step;
        self.changed.notify_all();
    }

    fn wait(&self, wanted: Step) {
        let step = self.step.lock().unwrap();
        let (step, _) = self.changed.wait_timeout_while(step, PATIENCE, |step| *step != wanted).unwrap();
        assert_eq!(*step, wanted, "it takes too long");
    }
}

impl Store for Holding {
    fn merge(&self, slot: Slot, record: Record) -> Result<Merged> {
        let first = *self.step.lock().unwrap() == Step::Before;
        if first && record.key == KEY {
            self.go(Step::Held);
            self.wait(Step::May);
        }
        self.store.merge(slot, record)
    }

    fn get(&self, slot: Slot, map: u32, key: &[u8]) -> Result<Option<Record>> {
        self.store.get(slot, map, key)
    }

    fn content(&self, slot: Slot, map: u32, key: &[u8]) -> Result<Option<Content>> {
        if key == OVERTAKEN {
            self.stalled.store(true, Relaxed);
        }
        self.store.content(slot, map, key)
    }

    fn fingerprint(&self, slot: Slot) -> Result<Fingerprint> {
        self.store.fingerprint(slot)
    }

    fn versions(&self, slot: Slot) -> Result<Vec<(KeyDigest, Version)>> {
        self.store.versions(slot)
    }

    fn records(&self, slot: Slot, digests: &[KeyDigest], bytes_max: usize) -> Result<(Vec<Record>, usize)> {
        self.store.records(slot, digests, bytes_max)
    }

    fn remove_slot(&self, slot: Slot, expected: Fingerprint) -> Result<bool> {
        self.store.remove_slot(slot, expected)
    }

    fn occupied(&self) -> Result<Vec<Slot>> {
        self.store.occupied()
    }

    fn sweep(&self, slot: Slot, now_ms: u64, forget_before_ms: u64) -> Result<u64> {
        self.store.sweep(slot, now_ms, forget_before_ms)
    }

    fn bytes_in(&self, slot: Slot) -> u64 {
        self.store.bytes_in(slot)
    }

    fn usage(&self) -> Usage {
        self.store.usage()
    }

    fn persistent(&self) -> bool {
        true
    }

    fn remembered(&self) -> Option<Bytes> {
        self.facts.as_ref().map(Facts::encode)
    }

    fn ticket(&self, _: Slot) -> Ticket {
        if self.stalled.load(Relaxed) { Ticket::of(&Arc::default(), 1) } else { Ticket::ready() }
    }

    fn settled(&self, slot: Slot) -> Ticket {
        self.ticket(slot)
    }
}

async fn start_on(store: Arc<Holding>, config: Config) -> Dht {
    let env = Env::system();
    let options = TcpOptions {
        bind: Some("127.0.0.1:0".to_owned()),
        hello: Hello::new(&config.cluster_name, NodeId::new(&config.node_id), 7, false),
        buffer_size: config.buffer_size,
        max_connections: config.max_connections,
        frame_max: crate::transport::frame_max(&config),
        connect_timeout: PATIENCE,
        security: None,
    };
    let transport = TcpTransport::bind(options, env.clone()).await.expect("a free port");
    let address = transport.local_address();
    let foundation = Foundation { transport: Arc::new(transport), store, env, address, boot: 7, shared: None };
    Dht::start_with(config, foundation).await.expect("it starts")
}

/// A call ends at its deadline, however long the disk takes; only of a write the outcome is unknown then. What is told of what
/// is there has to be on the disk too.
#[tokio::test]
async fn calls_do_not_wait_for_a_disk_beyond_their_deadline() {
    let config = Config { node_id: "alone".to_owned(), ..Config::default() };
    let store = Holding::new(&config, Step::May);
    let node = start_on(store.clone(), config).await;
    node.put("key", &1).await.expect("it is served");
    store.stalled.store(true, Relaxed);
    let timeout = Some(Duration::from_millis(500));
    let put = PutOptions { timeout, ..PutOptions::default() };
    let get = GetOptions { timeout, ..GetOptions::default() };
    let absent = || Expected::Absent;
    let swap = |key| node.compare_and_swap_value(key, absent(), Value::from_bytes("new"), put);
    let many = async { node.put_many([("key", Value::from_bytes("new"))], put).await.map(|mut all| all.remove(0)) };
    let outcomes = [
        ("put", node.put_with("key", &2, put).await.err(), true),
        ("put_many", many.await.and_then(|first| first).err(), true),
        ("a swap of what is there", swap("key").await.err(), false),
        ("delete", node.delete_with("key", get).await.err(), true),
        ("a delete of nothing", node.delete_with("nothing", get).await.err(), false),
        ("get", node.get_bytes("key", get).await.err(), false),
    ];
    for (call, error, maybe_applied) in outcomes {
        let error = error.unwrap_or_else(|| panic!("{call} was answered before it was on the disk"));
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Quorum), "{call}: {error}");
        assert_eq!(error.maybe_applied(), maybe_applied, "{call}: {error}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_put_that_a_join_overtakes_is_on_both_nodes() {
    let config = Config { node_id: "first".to_owned(), backup_replicas: false, ..Config::default() };
    let store = Holding::new(&config, Step::Before);
    let first = start_on(store.clone(), config).await;

    let putting = tokio::spawn({
        let first = first.clone();
        let patient = PutOptions { timeout: Some(PATIENCE), ..PutOptions::default() };
        async move { first.put_bytes(KEY, &b"value"[..], patient).await }
    });
    tokio::task::block_in_place(|| store.wait(Step::Held));
    let second = Dht::start(Config { seeds: vec![first.address()], ..Config::default() }).await.expect("it starts");
    second.wait_ready(PATIENCE).await.expect("it is copied to");
    store.go(Step::May);

    let outcome = putting.await.expect("no panic").expect("it is served");
    assert_eq!((outcome.acks, outcome.set_size), (2, 2), "{outcome:?}");
    let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
    let found = second.get_bytes(KEY, one).await.expect("it is served");
    assert_eq!(found.as_deref(), Some(&b"value"[..]), "as the newcomer has it");
    second.stop().await;
    first.stop().await;
}

/// With `always` nobody is told what a loss of power may take back.
#[tokio::test]
async fn what_was_written_as_a_read_looked_is_not_told_before_it_is_on_the_disk() {
    let config = Config { node_id: "alone".to_owned(), ..Config::default() };
    let store = Holding::new(&config, Step::May);
    let dht = start_on(store.clone(), config).await;
    for key in [&b"key"[..], OVERTAKEN] {
        dht.put_bytes(key, &b"value"[..], PutOptions::default()).await.expect("it is served");
    }
    let node = dht.node().expect("it runs");
    let found = node.read_here(b"key", Consistency::One).expect("from memory").expect("it can be read");
    assert!(found.is_some());
    assert!(node.read_here(OVERTAKEN, Consistency::One).is_none(), "it is asked for again, and waited for");
    store.stalled.store(false, Relaxed);
    dht.stop().await;
}

/// It lets go of what it hands over, so the file would not have everything; a leave does not wait for it either.
#[tokio::test]
async fn no_snapshot_is_made_of_a_node_that_leaves() {
    let config = Config { node_id: "alone".to_owned(), ..Config::default() };
    let dht = start_on(Holding::new(&config, Step::May), config).await;
    dht.put("key", &1).await.expect("it is served");
    let path = std::env::temp_dir().join(format!("dht-leaves-{:x}", Env::system().random_u64()));
    dht.node().expect("it runs").life.enter(Phase::Leaving);
    let error = dht.snapshot(&path).await.expect_err("it would not have everything");
    assert!(error.kind() == ErrorKind::Stopped && error.context().contains("leaves"), "{error}");
    assert!(!path.exists(), "no file is left");
    dht.stop().await;
}

/// A node was stopped for so long that nobody looks for it any more; then all others are stopped too, and all come back.
#[tokio::test]
async fn who_is_looked_for_no_more_is_told_that_the_ring_went_on() {
    let config = Config { node_id: "alone".to_owned(), ..Config::default() };
    let dht = start_on(Holding::new(&config, Step::May), config.clone()).await;
    let gone = NodeRecord { placed_at: 1, ..test_record("gone") };
    let facts = {
        let node = dht.node().expect("it runs");
        let now = node.env.now();
        let mut state = node.state();
        state.members.merge(&gone, now);
        state.members.judge(&gone.node_id, gone.boot, Verdict::Dead, now);
        state.members.bury(now + GRAVEYARD_AGE_MAX);
        drop(state);
        node.facts().expect("it is in a ring")
    };
    assert!(facts.others.is_empty(), "it is looked for no more");
    dht.stop().await;

    let store = Arc::new(Holding::with(&config, Step::May, Some(facts.clone())));
    let dht = start_on(store, config.clone()).await;
    let node = dht.node().expect("it runs");
    let Response::LastLife { records } = node.serve_last_life(std::slice::from_ref(&gone)) else { panic!("no answer") };
    assert_eq!(records, [NodeRecord { verdict: Verdict::Dead, ..gone.clone() }]);
    assert_eq!(node.facts().expect("it is in its ring").buried, records, "the next life knows it too");
    dht.stop().await;

    let theirs = Facts { node_id: gone.node_id.clone(), own: Some(gone), buried: Vec::new(), ..facts };
    let config = Config { node_id: "gone".to_owned(), ..config };
    let dht = start_on(Arc::new(Holding::with(&config, Step::May, Some(theirs))), config).await;
    let node = dht.node().expect("it runs");
    node.judge_last_life(&records);
    assert!(node.is_outlived(), "what it kept is not all there is");
    dht.stop().await;
}
