//! `Node`: one endpoint with many vnodes. Owns the view, the store, the transport, the clock and every background
//! task; the files beside this one are its conversations.
//!
//! Invariants: what decides lies in `State` behind one short lock that is never held over an await; readers of the
//! view take no lock; the view, the replica lists and the readable bits change together, in `refresh`.

mod admission;
mod admitted;
#[cfg(test)]
mod alone_tests;
mod answers;
mod atomic;
mod attempts;
mod become_member;
mod bring_own;
mod calls;
mod claims;
mod come_back;
mod coordinator;
mod cut_off;
mod describe;
mod end;
mod explicit_join;
mod fingers;
mod follow;
mod followed;
mod formed;
mod gossip;
mod inspect;
mod join;
mod last_life;
mod last_try;
mod leave;
mod let_in;
mod lines;
mod lookup;
mod mass_loss;
mod names;
mod news;
mod outbox;
mod owners;
mod ownership;
mod parts;
mod peers;
mod phase;
mod place;
mod prepare;
mod probe;
mod progress;
mod quorum;
mod read;
mod readable;
mod ready;
mod recent;
mod rectify;
mod relay;
pub(crate) mod remember;
mod repair;
mod replicate;
mod retries;
pub(crate) mod scan;
mod seeds;
mod serve;
mod sight;
mod snapshot;
mod stabilize;
mod stall;
mod state;
mod tasks;
mod trace;
mod turnover;
#[cfg(test)]
mod unjoined_tests;
mod unwind;
mod welcome;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Notify;

pub(crate) use end::stopped;
pub(crate) use follow::{Trace, What, hex as trace_hex};
pub(crate) use followed::{Named, trace_span};
pub use formed::FormedRing;
pub use inspect::{Inspection, Pointers};
pub(crate) use peers::Peer;
pub(crate) use phase::Phase;
use state::State;

use crate::config::{Config, Consistency};
use crate::data::hlc::Hlc;
use crate::data::record::{Content, OpId, Version};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::logging::Listening;
use crate::ring::hash::KeyHasher;
use crate::ring::id::{Id, IdSpace};
use crate::ring::list::Switch;
use crate::ring::members::{Known, Members};
use crate::ring::params::{RingConfig, RingParams};
use crate::ring::record::{Address, NodeId, NodeRecord, NodeState, RingId, Verdict};
use crate::ring::shared::SharedRing;
use crate::ring::slot::{Slot, SlotSpace};
use crate::ring::view::RingView;
use crate::ring::vnode::Pointer;
use crate::stats::Stats;
use crate::store::Store;
use crate::transport::{Service, Transport};
use crate::wire::facts::Facts;
use crate::wire::message::Head;

/// One running instance.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) params: RingParams,
    pub(crate) ids: IdSpace,
    pub(crate) slots: SlotSpace,
    hasher: KeyHasher,
    pub(crate) env: Env,
    transport: Arc<dyn Transport>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) stats: Stats,
    pub(crate) node_id: NodeId,
    /// What was remembered of its last life when it started.
    former: Option<Facts>,
    /// That is not its last life: see `look_for_later_life`.
    outdated: AtomicBool,
    /// The ring went on without it: see `judge_last_life`.
    outlived: AtomicBool,
    /// Others that a next life finds again; `usize::MAX`: nothing was written yet.
    remembered_others: AtomicUsize,
    node_digest: u64,
    pub(crate) boot: u64,
    /// Unix time of the start.
    started_ms: u64,
    pub(crate) address: Address,
    hlc: Hlc,
    sequence: AtomicU64,
    /// Operations that `trace_sample` counted.
    sampled: AtomicU64,
    state: Mutex<State>,
    view: ArcSwap<RingView>,
    ring: ArcSwap<Ring>,
    readable: readable::Readable,
    lines: Arc<lines::Lines>,
    /// What this node carried out as an owner, and what it stored for other owners.
    recent: recent::Recent,
    stored: recent::Recent,
    unchanged: recent::Unchanged,
    life: phase::Life,
    progress: progress::Progress,
    repair_wanted: Notify,
    gossip_wanted: Notify,
    /// Somebody waits for the exchange with a node that is known to disagree.
    exchange_urgent: Notify,
    /// Somebody is remembered who seems to know other nodes; changes with `State::news`.
    disagreement: AtomicBool,
    stabilize_wanted: Notify,
    /// It is on its way into a ring: see `join::WayIn`.
    entering: AtomicBool,
    last_try: last_try::LastTry,
    /// When the disk first did not take what others sent, in milliseconds of uptime; 0: it took everything.
    missed_at_ms: AtomicU64,
    /// Why it stopped, if nobody told it to.
    stopped_for: OnceLock<Error>,
    /// It left, and not without having handed over everything.
    handed_over: AtomicBool,
    /// A ring in which a member of ours was met is being looked at.
    uniting: AtomicBool,
    tasks: tasks::Tasks,
    tails: tasks::Tails,
    outbox: outbox::Outbox,
    snapshots: snapshot::Snapshots,
    round_trips: peers::RoundTrips,
    stall: stall::Stall,
    retries: retries::Retries,
    cut_off: cut_off::CutOff,
    pace: repair::Pace,
    _listening: Listening,
    itself: Weak<Self>,
}

/// Which ring this node is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    pub(crate) id: Option<RingId>,
    pub(crate) config: RingConfig,
}

impl Ring {
    /// What stands for its id in node records; 0: it has none.
    fn digest(&self) -> u32 {
        self.id.map_or(0, RingId::digest)
    }
}

/// What a node is made of besides its configuration.
pub(crate) struct Parts {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Env,
    pub(crate) node_id: NodeId,
    pub(crate) boot: u64,
    /// What others dial.
    pub(crate) address: Address,
    /// What this node keeps in common with others of this process.
    pub(crate) shared: Option<Arc<SharedRing>>,
}

impl Node {
    /// A node in no ring, whose transport answers from now on. `config` has been validated.
    pub(crate) fn new(config: Config, parts: Parts) -> Result<Arc<Self>> {
        let params = RingParams::of(&config);
        let out_of_range = || Error::new(ErrorKind::Config, format!("hash_bits = {}: out of range", config.hash_bits));
        let (ids, slots) = params.spaces().ok_or_else(out_of_range)?;
        let ring_config = RingConfig {
            version: 1,
            replication_factor: config.replication_factor as u16,
            tombstone_grace: config.tombstone_grace,
            max_key_size: config.max_key_size,
            max_value_size: config.max_value_size,
        };
        let started_ms = parts.env.wall_ms();
        let former = remember::recall(&*parts.store)?;
        // No further than the ring may have been, whatever the file says.
        let ahead_ms = former.as_ref().map_or(0, |former| former.ahead_ms.min(offset_max_ms(&config)));
        let hlc = Hlc::above(parts.store.highest_stamp(), ahead_ms);
        let me = NodeRecord {
            node_id: parts.node_id.clone(),
            boot: parts.boot,
            address: parts.address.clone(),
            incarnation: 1,
            placed_at: 0,
            placed_in: 0,
            state: NodeState::Joining,
            verdict: Verdict::Alive,
            vnodes: u32::from(config.vnode_count()),
            choices: Vec::new(),
            zone: config.zone.clone(),
            read_only: false,
        };
        let me = come_back::own_record(me, former.as_ref());
        let mut members = Members::new(&config.cluster_name, ids, slots, me, parts.env.now());
        members.share(parts.shared);
        members.limit(config.max_table_nodes);
        let view = members.view();
        let stats = Stats::new(config.enable_metrics);
        let state = State::new(members, ids, config.seeds.clone());
        let node = Arc::new_cyclic(|itself| Self {
            itself: itself.clone(),
            _listening: Listening::new(config.enable_logging),
            params,
            ids,
            slots,
            hasher: params.hasher(ids),
            tasks: tasks::Tasks::new(parts.env.clone()),
            retries: retries::Retries::new(parts.env.now()),
            cut_off: cut_off::CutOff::default(),
            pace: repair::Pace::new(config.repair_rate, parts.env.now()),
            env: parts.env,
            transport: parts.transport,
            store: parts.store,
            stats,
            node_digest: parts.node_id.digest(),
            node_id: parts.node_id,
            former,
            outdated: AtomicBool::new(false),
            outlived: AtomicBool::new(false),
            remembered_others: AtomicUsize::new(usize::MAX),
            boot: parts.boot,
            started_ms,
            address: parts.address,
            hlc,
            sequence: AtomicU64::new(1),
            sampled: AtomicU64::new(0),
            state: Mutex::new(state),
            view: ArcSwap::from(Arc::new(view)),
            ring: ArcSwap::from_pointee(Ring { id: None, config: ring_config }),
            readable: readable::Readable::new(slots.count()),
            recent: recent::Recent::default(),
            stored: recent::Recent::default(),
            unchanged: recent::Unchanged::default(),
            lines: Arc::new(lines::Lines::new(config.buffer_size)),
            life: phase::Life::default(),
            progress: progress::Progress::default(),
            repair_wanted: Notify::new(),
            gossip_wanted: Notify::new(),
            exchange_urgent: Notify::new(),
            disagreement: AtomicBool::new(false),
            stabilize_wanted: Notify::new(),
            entering: AtomicBool::new(false),
            last_try: last_try::LastTry::default(),
            missed_at_ms: AtomicU64::new(0),
            stopped_for: OnceLock::new(),
            handed_over: AtomicBool::new(false),
            uniting: AtomicBool::new(false),
            tails: tasks::Tails::new(config.buffer_size),
            outbox: outbox::Outbox::default(),
            round_trips: peers::RoundTrips::default(),
            stall: stall::Stall::default(),
            snapshots: snapshot::Snapshots::default(),
            config,
        });
        node.transport.accept(Arc::new(Inbound(Arc::downgrade(&node))));
        Ok(node)
    }

    /// Starts what runs for the life of the node.
    pub(crate) fn run(self: &Arc<Self>) {
        self.tasks.spawn(stall::watch(self.clone()));
        self.tasks.spawn(probe::heartbeats(self.clone()));
        self.tasks.spawn(gossip::exchange(self.clone()));
        self.tasks.spawn(seeds::search(self.clone()));
        self.tasks.spawn(stabilize::stabilize(self.clone()));
        self.tasks.spawn(rectify::check_predecessor(self.clone()));
        self.tasks.spawn(fingers::fix_fingers(self.clone()));
        if self.walks() {
            self.tasks.spawn(unwind::unwind(self.clone()));
        }
        self.tasks.spawn(repair::repair(self.clone()));
        self.tasks.spawn(repair::sweep(self.clone()));
        self.tasks.spawn(repair::tell_sources(self.clone()));
        if self.store.persistent() {
            self.tasks.spawn(remember::remember(self.clone()));
            self.tasks.spawn(repair::stop_without_disk(self.clone()));
        }
    }

    /// A handle for a task of its own; `None` while the node is being dropped.
    fn myself(&self) -> Option<Arc<Self>> {
        self.itself.upgrade()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Transitions leave the state whole before anything can panic, so a poisoned lock holds a valid one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn view(&self) -> Arc<RingView> {
        self.view.load_full()
    }

    pub(crate) fn ring(&self) -> Ring {
        **self.ring.load()
    }

    pub(crate) fn replicas(&self) -> usize {
        usize::from(self.ring.load().config.replication_factor)
    }

    pub(crate) fn key_id(&self, key: &[u8]) -> Id {
        self.hasher.id(key)
    }

    pub(crate) fn slot_of(&self, key: &[u8]) -> Slot {
        self.slots.of(self.hasher.id(key))
    }

    pub(crate) fn is_client(&self) -> bool {
        self.config.vnode_count() == 0
    }

    /// A name for one operation, for ever unique.
    pub(crate) fn operation_id(&self) -> OpId {
        let sequence = self.sequence.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        OpId { origin: self.boot, sequence }
    }

    /// What the sender of a message says of its clock, if it does.
    pub(crate) fn hear_clock(&self, head: &Head) {
        if head.clock != 0 {
            self.hlc.hear(head.clock, self.env.wall_ms(), offset_max_ms(&self.config));
        }
    }

    fn stamp(&self) -> Version {
        Version { hlc: self.hlc.stamp(self.env.wall_ms()), node: self.node_digest, boot: self.boot }
    }

    /// Derives the view from the members and switches to it: view, replica lists and readable bits.
    fn refresh(&self, state: &mut State) {
        let before = self.view.load_full();
        let after = state.members.view_after(&before);
        let missed = state.members.take_missed();
        let replicas = self.replicas();
        let switch = Switch {
            slots: self.slots,
            me: &self.node_id,
            ring: self.ring().digest(),
            before: &before,
            after: &after,
            replicas_before: replicas,
            replicas,
            missed: &missed,
            now: self.env.now(),
        };
        let moved = !before.same_placement(&after);
        self.note_turnover(state, &before, &after, moved);
        if moved || !missed.is_empty() {
            let mut switched = false;
            state.table.switch(&switch, |slot, now| {
                switched = true;
                self.readable.set(slot, now.readable());
            });
            // Where others come and go nothing here is to be repaired at once: what waits for them looks again by and by.
            if switched {
                self.repair_wanted.notify_one();
            }
            self.stabilize_wanted.notify_one();
        }
        if moved {
            self.tell_of_turnover(state, &before, &after);
            let State { vnodes, members, fingers, .. } = state;
            let keeps = |pointer: &Pointer| members.has_position(pointer) || planted!("keep_gone");
            for vnode in vnodes.iter_mut() {
                vnode.retain(keeps);
            }
            fingers.retain(keeps);
        }
        self.view.store(after);
        self.progress.step();
    }

    /// The fast path of one read at level one: from memory, if this node is a caught-up replica. `None`: ask others.
    #[inline]
    pub(crate) fn read_here(&self, key: &[u8], level: Consistency) -> Option<Result<Option<Content>>> {
        let slot = self.slot_of(key);
        if !self.readable.get(slot) || (level != Consistency::One && !self.alone()) || !self.life.phase().serves() {
            return None;
        }
        let found = self.store.content(slot, 0, key);
        // After the look: what is merged between the two would be told before it is on the disk otherwise.
        if !self.store.settled(slot).is_ready() {
            return None;
        }
        match found {
            // Others may have it.
            Err(_) if !self.alone() => None,
            found => Some(found),
        }
    }
}

/// Clocks that are further apart are not followed.
fn offset_max_ms(config: &Config) -> u64 {
    u64::try_from(config.max_clock_offset.as_millis()).unwrap_or(u64::MAX)
}

/// The error of an operation that nobody gave a result: a defect of ours.
pub(crate) fn no_result() -> Error {
    Error::new(ErrorKind::Internal, "an operation was left without a result")
}

/// Text of a key for errors and logs, cut short.
pub(crate) fn shown(key: &Bytes) -> String {
    let head = &key[..key.len().min(64)];
    format!("{:?}{}", String::from_utf8_lossy(head), if key.len() > 64 { "…" } else { "" })
}

/// What the transport calls. Weak, so that a node without handles ends although its transport still knows it.
struct Inbound(Weak<Node>);

impl Service for Inbound {
    fn serve(&self, call: crate::transport::Call) -> crate::transport::Answer {
        match self.0.upgrade() {
            Some(node) => node.serve(call),
            None => crate::transport::Answer::Nothing,
        }
    }
}
