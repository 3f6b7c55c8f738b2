//! An explicit-state model check of the list change: every order in which a few nodes may hear of joins
//! and deaths, exchange records, catch up, write and delete, breadth first, so that a violation comes with its
//! shortest history. Records, views and slot tables are the real ones; only the conversations between nodes are
//! rewritten here, each as one step that may also never happen, which is a lost message.
//!
//! Checked in every state: once a quorum write has completed, no quorum of reads under one list can miss it. The
//! answers of one read may be given at different times, so they are collected: whoever answered a read without the
//! write, under which list.

use std::sync::Arc;

use hashbrown::HashSet;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_128;

use super::super::{Agreement, Incarnate, ListId, SlotTable, Standing, Switch, quorum};
use crate::env::Env;
use crate::ring::id::IdSpace;
use crate::ring::members::{Learnt, Members};
use crate::ring::record::{NodeId, NodeRecord, NodeState, Verdict, test_record};
use crate::ring::slot::{Slot, SlotSpace};
use crate::ring::view::{RingView, positions_of};

const REPLICAS: usize = 3;
const SLOT: Slot = Slot(0);
/// More states than this and a scenario has to be made smaller.
const STATES_MAX: usize = 3_000_000;

/// A clause of the protocol that is left out, to see that the check would notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    /// Acknowledgements of newcomers count.
    NewcomersAcknowledge,
    /// Newcomers answer reads.
    NewcomersAnswer,
    /// A write is taken whatever list it names.
    AnyListIsTaken,
    /// A source need not have adopted the list that the newcomer catches up for.
    SourceOfAnyList,
    /// A source need not be caught up itself.
    SourceOfAnyStanding,
    /// One source is enough.
    OneSourceIsEnough,
    /// A newcomer that takes what all have need not have heard them all.
    SomeAreEnough,
    /// A write that a longer list acknowledged is looked for as if the list had always been that short.
    ShortListIsWeak,
    /// A member of the new list counts as caught up whatever it was before.
    NobodyIsNew,
    /// A refuted death leaves no mark in the list's name.
    RefutedUnmarked,
    /// A loser deletes as soon as it is out of the list.
    LoserDeletesAtOnce,
    /// A newcomer counts although a node that its list has pushed out still lives by an older one.
    LoserNeedNotKnow,
}

/// What may happen, in this order, each at any time.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Join(usize),
    Crash(usize),
    /// Declared dead, but lives.
    FalseDeath(usize),
}

struct Scenario {
    /// The ring at the beginning; nodes are numbered clockwise from the slot's last id.
    members: &'static [usize],
    /// Nodes that are joining at the beginning.
    joiners: &'static [usize],
    /// Whether the members know of the joiners before they become active.
    announced: bool,
    happenings: &'static [Happening],
    writers: &'static [usize],
    /// Of the nodes; those beyond it have none.
    zones: &'static [&'static str],
    flaw: Flaw,
}

/// One step of a history.
#[derive(Clone, Copy, Debug)]
enum Step {
    Happens(Happening),
    /// The node hears one record, the n-th that was made public.
    Hear(usize, usize),
    /// The first asks the second for all it knows: all of it arrives at once.
    Sync(usize, usize),
    /// The node starts the write, or offers it to its present list.
    Write(usize),
    /// The replica takes the write and its acknowledgement arrives.
    Store(usize),
    /// The first merges the slot from the second.
    CatchUp(usize, usize),
    /// The node deletes a slot that all members of its present list have.
    Delete(usize),
}

/// One node.
struct Peer {
    alive: bool,
    members: Members,
    view: RingView,
    table: SlotTable,
    /// It has the write.
    has: bool,
}

impl Clone for Peer {
    fn clone(&self) -> Self {
        let SlotTable { states, outstanding, owners_until, .. } = &self.table;
        let (states, outstanding, owners_until) = (states.clone(), outstanding.clone(), *owners_until);
        let table = SlotTable { states, outstanding, owners_until, ..SlotTable::default() };
        let members = self.members.copy();
        Self { alive: self.alive, view: members.view(), members, table, has: self.has }
    }
}

impl Peer {
    fn list(&self) -> Vec<NodeId> {
        let members = self.view.replica_list(SLOT, REPLICAS);
        members.iter().map(|&m| self.view.member(m).node_id.clone()).collect()
    }

    fn lacks(&self, record: &NodeRecord) -> bool {
        self.members.get(&record.node_id).is_none_or(|known| record.supersedes(known.record()))
    }

    /// An exchange between the two would change nothing.
    fn agrees(&self, other: &Self) -> bool {
        let lists = (self.table.list(SLOT), other.table.list(SLOT));
        let same_list = !matches!(lists, (Some(a), Some(b)) if a.members == b.members && a.counter != b.counter);
        let ranks = |peer: &Self| peer.members.iter().map(|k| k.record().rank()).collect::<Vec<_>>();
        same_list && ranks(self) == ranks(other)
    }

    /// What `Node::refresh` does.
    fn refresh(&mut self, slots: SlotSpace, now: Instant, flaw: Flaw) {
        let after = self.members.view();
        let missed = self.members.take_missed();
        let me = self.members.own().node_id.clone();
        let switch = Switch {
            slots,
            me: &me,
            ring: 0,
            before: &self.view,
            after: &after,
            replicas_before: REPLICAS,
            replicas: REPLICAS,
            missed: &missed,
            now,
        };
        self.table.assert_outstanding();
        self.table.switch(&switch, |_, _| {});
        self.table.assert_outstanding();
        if flaw == Flaw::NobodyIsNew {
            self.table.give_up_waiting(&[SLOT], |_| true);
        }
        self.view = after;
    }
}

/// A write that is being made.
#[derive(Clone)]
struct Write {
    writer: usize,
    list: ListId,
    to: Vec<usize>,
    acks: Vec<usize>,
}

#[derive(Clone)]
struct World {
    peers: Vec<Arc<Peer>>,
    happened: usize,
    /// Records that were made public.
    news: Vec<NodeRecord>,
    write: Option<Write>,
    completed: bool,
    /// Who answered a read without the completed write, under which list of how many.
    missing: Vec<(ListId, usize, usize)>,
}

struct Check {
    scenario: Scenario,
    slots: SlotSpace,
    names: Vec<NodeId>,
    now: Instant,
}

impl Check {
    fn new(scenario: Scenario) -> Self {
        let ids = IdSpace::new(64).expect("64 bits are in range");
        let slots = SlotSpace::new(ids, 0);
        let count = scenario.members.len() + scenario.joiners.len();
        let mut placed: Vec<_> = (0..count)
            .map(|n| {
                let record = one_position(&format!("n{n}"));
                (positions_of("model", ids, &record)[0], record.node_id)
            })
            .collect();
        placed.sort();
        let names = placed.into_iter().map(|(_, node_id)| node_id).collect();
        Self { scenario, slots, names, now: Env::simulated(1, 1).now() }
    }

    fn index(&self, node_id: &NodeId) -> usize {
        self.names.iter().position(|n| n == node_id).expect("every record is of a node of the model")
    }

    fn record(&self, node: usize) -> NodeRecord {
        let joining = self.scenario.joiners.contains(&node);
        let state = if joining { NodeState::Joining } else { NodeState::Active };
        let record = one_position(self.names[node].as_str());
        let zone = self.scenario.zones.get(node).copied().unwrap_or_default().to_owned();
        NodeRecord { boot: 100 + node as u64, placed_at: u64::from(!joining), state, zone, ..record }
    }

    fn start(&self) -> World {
        let peer = |node: usize| {
            let mut members = Members::new("model", self.slots.ids(), self.slots, self.record(node), self.now);
            let joining = self.scenario.joiners.contains(&node);
            for &other in self.scenario.members {
                members.merge(&self.record(other), self.now);
            }
            if self.scenario.announced {
                for &other in self.scenario.joiners {
                    members.merge(&self.record(other), self.now);
                }
            }
            let view = members.view();
            let mut table = SlotTable::default();
            let list = view.replica_list(SLOT, REPLICAS);
            if !joining && list.iter().any(|&m| view.member(m).node_id == self.names[node]) {
                table.found(self.slots, &view, REPLICAS);
            }
            Arc::new(Peer { alive: true, members, view, table, has: false })
        };
        World {
            peers: (0..self.names.len()).map(peer).collect(),
            happened: 0,
            news: Vec::new(),
            write: None,
            completed: false,
            missing: Vec::new(),
        }
    }

    /// Every step that may change something.
    fn steps(&self, world: &World) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(&next) = self.scenario.happenings.get(world.happened) {
            steps.push(Step::Happens(next));
        }
        for (n, peer) in world.peers.iter().enumerate().filter(|(_, p)| p.alive) {
            let news = world.news.iter().enumerate().filter(|(_, record)| peer.lacks(record));
            steps.extend(news.map(|(k, _)| Step::Hear(n, k)));
            let state = peer.table.get(SLOT);
            for (other, source) in world.peers.iter().enumerate().filter(|(other, p)| p.alive && *other != n) {
                if n < other && !peer.agrees(source) {
                    steps.push(Step::Sync(n, other));
                }
                if state.is_some_and(|s| s.catch_up.is_some()) && self.is_asked(world, n, source) {
                    steps.push(Step::CatchUp(n, other));
                }
            }
            if !world.completed && self.scenario.writers.contains(&n) {
                steps.push(Step::Write(n));
            }
            if let Some(write) = &world.write
                && !world.completed
                && write.to.contains(&n)
                && !write.acks.contains(&n)
                && world.peers[write.writer].alive
            {
                steps.push(Step::Store(n));
            }
            if state.is_some_and(|s| !s.listed) {
                steps.push(Step::Delete(n));
            }
        }
        steps
    }

    /// A newcomer gathers from who is not caught up only when it has merged from all who are.
    fn is_asked(&self, world: &World, node: usize, source: &Peer) -> bool {
        let counts = |peer: &Peer| peer.table.get(SLOT).is_some_and(|s| s.standing == Standing::CaughtUp);
        let Some(state) = world.peers[node].table.get(SLOT) else { return false };
        let Some(catch_up) = &state.catch_up else { return false };
        let agrees = |peer: &Peer| peer.table.list(SLOT).is_some_and(|list| list.members == state.list.members);
        let merged = |peer: &Peer| catch_up.merged.iter().any(|(_, boot)| *boot == peer.members.own().boot);
        let mut peers = world.peers.iter().filter(|p| p.alive && counts(p) && agrees(p));
        counts(source) || self.scenario.flaw == Flaw::SourceOfAnyStanding || peers.all(|p| merged(p))
    }

    fn apply(&self, world: &World, step: Step) -> World {
        let mut world = world.clone();
        match step {
            Step::Happens(happening) => self.happen(&mut world, happening),
            Step::Hear(node, k) => {
                let record = world.news[k].clone();
                self.learn(&mut world, node, &[record]);
            }
            Step::Sync(node, other) => self.sync(&mut world, node, other),
            Step::Write(node) => self.write(&mut world, node),
            Step::Store(node) => self.store(&mut world, node),
            Step::CatchUp(node, source) => self.catch_up(&mut world, node, source),
            Step::Delete(node) => self.delete(&mut world, node),
        }
        if let Some(write) = &world.write
            && write.acks.len() >= quorum(write.to.len() + 1)
        {
            world.completed = true;
        }
        if world.completed {
            self.note_answers(&mut world);
        }
        world
    }

    fn happen(&self, world: &mut World, happening: Happening) {
        world.happened += 1;
        match happening {
            Happening::Join(node) => {
                let peer = Arc::make_mut(&mut world.peers[node]);
                let active = peer.members.declare(|me| me.state = NodeState::Active, self.now);
                peer.refresh(self.slots, self.now, self.scenario.flaw);
                world.news.push(active);
            }
            Happening::Crash(node) => {
                let peer = Arc::make_mut(&mut world.peers[node]);
                peer.alive = false;
                world.news.push(NodeRecord { verdict: Verdict::Dead, ..peer.members.own().clone() });
            }
            Happening::FalseDeath(node) => {
                let own = world.peers[node].members.own().clone();
                world.news.push(NodeRecord { verdict: Verdict::Dead, ..own });
            }
        }
    }

    /// What `Node::learn` does.
    fn learn(&self, world: &mut World, node: usize, records: &[NodeRecord]) {
        let peer = Arc::make_mut(&mut world.peers[node]);
        let placed_at = peer.members.own().placed_at;
        let mut changed = false;
        for record in records {
            match peer.members.merge(record, self.now) {
                Learnt::Nothing => {}
                Learnt::News => changed = true,
                Learnt::Refuted => {
                    changed = true;
                    if self.scenario.flaw == Flaw::RefutedUnmarked {
                        peer.members.declare(|me| me.placed_at = placed_at, self.now);
                    }
                    world.news.push(peer.members.own().clone());
                }
                Learnt::Duplicate | Learnt::Leap => panic!("no node of the model has a namesake, or lies"),
            }
        }
        if changed {
            peer.refresh(self.slots, self.now, self.scenario.flaw);
        }
    }

    /// What `Node::sync` and `Node::serve_sync` do.
    fn sync(&self, world: &mut World, node: usize, other: usize) {
        let records = |peer: &Peer| peer.members.iter().map(|k| k.record().clone()).collect::<Vec<_>>();
        let list = |world: &World, node: usize| world.peers[node].table.list(SLOT);
        let theirs_before = records(&world.peers[other]);
        let mut lacking = records(&world.peers[node]);
        lacking.retain(|record| world.peers[other].lacks(record));
        if lacking.is_empty()
            && let Some(ours) = list(world, node)
        {
            Arc::make_mut(&mut world.peers[other]).table.raise_counter(SLOT, ours);
        }
        let theirs = list(world, other);
        self.learn(world, node, &theirs_before);
        if let Some(theirs) = theirs {
            Arc::make_mut(&mut world.peers[node]).table.raise_counter(SLOT, theirs);
        }
        self.learn(world, other, &lacking);
    }

    /// What `Node::replicate` does to start a round: keeps the record here and offers it to the present list.
    fn write(&self, world: &mut World, node: usize) {
        if world.write.as_ref().is_some_and(|w| w.writer != node) {
            return;
        }
        let peer = Arc::make_mut(&mut world.peers[node]);
        let Some(list) = peer.table.get(SLOT).filter(|s| s.listed).map(|s| s.list) else { return };
        let Agreement::Same { counts } = peer.table.agree(SLOT, list, true) else { return };
        peer.has = true;
        if list.counter == 0 || world.write.as_ref().is_some_and(|w| w.list == list && w.acks.contains(&node)) {
            return;
        }
        let to = peer.list().iter().map(|id| self.index(id)).filter(|n| *n != node).collect();
        let before = world.write.take().filter(|w| w.list == list);
        let mut acks = before.map(|w| w.acks).unwrap_or_default();
        if counts || self.scenario.flaw == Flaw::NewcomersAcknowledge {
            acks.push(node);
        }
        world.write = Some(Write { writer: node, list, to, acks });
    }

    /// What `Node::serve_store` does, and `Node::count` with its answer.
    fn store(&self, world: &mut World, node: usize) {
        let Some(write) = &mut world.write else { return };
        let peer = Arc::make_mut(&mut world.peers[node]);
        let counts = match peer.table.agree(SLOT, write.list, true) {
            Agreement::Same { counts } => counts || self.scenario.flaw == Flaw::NewcomersAcknowledge,
            Agreement::Stale(_) if self.scenario.flaw == Flaw::AnyListIsTaken => {
                peer.table.get(SLOT).is_some_and(|s| s.standing == Standing::CaughtUp)
            }
            Agreement::Stale(_) => return,
        };
        peer.has = true;
        if counts && !write.acks.contains(&node) {
            write.acks.push(node);
            write.acks.sort_unstable();
        }
    }

    /// What `repair::catch_up` does.
    fn catch_up(&self, world: &mut World, node: usize, source: usize) {
        let flaw = self.scenario.flaw;
        let from = world.peers[source].clone();
        let (list, standing) = from.table.told(SLOT);
        let peer = Arc::make_mut(&mut world.peers[node]);
        let Some(ours) = peer.table.list(SLOT) else { return };
        if list.members != 0 && ours.members != list.members && flaw != Flaw::SourceOfAnyList {
            return;
        }
        peer.table.raise_counter(SLOT, list);
        peer.has |= from.has;
        if flaw != Flaw::LoserNeedNotKnow && !self.losers_adopted(world, node) {
            return;
        }
        let counts = standing == Standing::CaughtUp || flaw == Flaw::SourceOfAnyStanding;
        let peer = Arc::make_mut(&mut world.peers[node]);
        let own = from.members.own();
        let source = (own.node_id.clone(), own.boot);
        match counts {
            true => peer.table.merged_from(SLOT, ours, &source),
            false => peer.table.gathered_from(SLOT, ours, &source),
        };
        let Peer { members, table, .. } = peer;
        let lives = |(node_id, boot): &Incarnate| {
            let known = members.get(node_id).map(|k| k.record());
            let lives = known.is_some_and(|r| r.boot == *boot && r.boot != members.own().boot && r.present());
            lives && flaw != Flaw::SomeAreEnough
        };
        table.gathered_all(SLOT, ours, lives);
        let weak = flaw == Flaw::ShortListIsWeak && peer.view.members().len() == REPLICAS;
        if flaw == Flaw::OneSourceIsEnough || weak {
            peer.table.give_up_waiting(&[SLOT], |_| true);
        }
    }

    /// Whoever a newcomer's list has pushed out goes by that list too, or is known to be gone. Else a death that
    /// brings it back could reach it before the join does, and it would take itself for a member all along.
    fn losers_adopted(&self, world: &World, node: usize) -> bool {
        let peer = &world.peers[node];
        let Some(state) = peer.table.get(SLOT) else { return false };
        let Some(catch_up) = &state.catch_up else { return false };
        let list = peer.list();
        let beyond = peer.view.list_and_heirs(SLOT, REPLICAS);
        let beyond = beyond.iter().map(|&m| &peer.view.member(m).node_id);
        let former = catch_up.sources.iter().flat_map(|source| source.iter().map(|(node_id, _)| node_id));
        former.chain(beyond).filter(|node_id| !list.contains(node_id)).all(|node_id| {
            let present = peer.members.get(node_id).is_some_and(|known| known.record().present());
            let theirs = world.peers[self.index(node_id)].table.list(SLOT);
            !present || theirs.is_none_or(|theirs| theirs.members == state.list.members)
        })
    }

    /// What `repair::hand_over` does once it is through.
    fn delete(&self, world: &mut World, node: usize) {
        let peer = &world.peers[node];
        let Some(ours) = peer.table.list(SLOT) else { return };
        let confirmed = |id: &NodeId| {
            let member = &world.peers[self.index(id)];
            let state = member.table.get(SLOT).filter(|_| member.alive);
            let agrees = state.is_some_and(|s| s.list.members == ours.members && s.standing == Standing::CaughtUp);
            agrees && (member.has || !peer.has)
        };
        if peer.list().iter().all(confirmed) || self.scenario.flaw == Flaw::LoserDeletesAtOnce {
            let peer = Arc::make_mut(&mut world.peers[node]);
            peer.has = false;
            if self.scenario.flaw != Flaw::LoserDeletesAtOnce {
                peer.table.drop_slot(SLOT);
            }
        }
    }

    /// Who would answer a read now, without the write.
    fn note_answers(&self, world: &mut World) {
        for (node, peer) in world.peers.iter().enumerate().filter(|(_, p)| p.alive && !p.has) {
            let Some(state) = peer.table.get(SLOT).filter(|s| s.listed) else { continue };
            if state.readable() || self.scenario.flaw == Flaw::NewcomersAnswer {
                let answer = (state.list, peer.list().len(), node);
                if !world.missing.contains(&answer) {
                    world.missing.push(answer);
                    world.missing.sort_unstable();
                }
            }
        }
    }

    /// A quorum of one list answered without the completed write.
    fn violated(&self, world: &World) -> bool {
        let answers = |list: ListId| world.missing.iter().filter(|(l, ..)| *l == list).count();
        world.missing.iter().any(|&(list, len, _)| answers(list) >= quorum(len))
    }

    /// What tells one state from another.
    fn digest(&self, world: &World) -> u128 {
        let mut words: Vec<u64> = vec![world.happened as u64, world.completed.into()];
        let list = |words: &mut Vec<u64>, list: ListId| words.extend([list.counter, list.members]);
        for (id, len, node) in &world.missing {
            list(&mut words, *id);
            words.extend([*len as u64, *node as u64]);
        }
        if let Some(write) = &world.write {
            list(&mut words, write.list);
            let numbers = [write.writer, write.to.len(), write.acks.len()].into_iter();
            words.extend(numbers.chain(write.to.iter().copied()).chain(write.acks.iter().copied()).map(|n| n as u64));
        }
        let record = |r: &NodeRecord| {
            let (incarnation, boot, verdict) = r.rank();
            [boot, incarnation, verdict as u64, r.placed_at, r.state as u64]
        };
        let mut news: Vec<_> = world.news.iter().map(record).collect();
        news.sort_unstable();
        words.extend(news.into_iter().flatten());
        for peer in &world.peers {
            words.extend([u64::MAX, peer.alive.into(), peer.has.into()]);
            words.extend(peer.members.iter().flat_map(|known| record(known.record())));
            let Some(state) = peer.table.get(SLOT) else { continue };
            list(&mut words, state.list);
            words.extend([state.listed.into(), state.standing as u64]);
            if let Some(catch_up) = &state.catch_up {
                for merged in [catch_up.merged.as_slice(), &catch_up.gathered] {
                    let mut merged: Vec<u64> = merged.iter().map(|(_, boot)| *boot).collect();
                    merged.sort_unstable();
                    words.push(u64::MAX);
                    words.extend(merged);
                }
                for source in &catch_up.sources {
                    words.push(u64::MAX);
                    words.extend(source.iter().map(|(_, boot)| *boot));
                }
            }
        }
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        xxh3_128(&bytes)
    }

    /// Looks at every state that can be reached; the shortest history that breaks the promise, or how many there are.
    fn run(&self) -> Result<usize, Vec<Step>> {
        let start = self.start();
        let mut seen = HashSet::<u128, foldhash::fast::FixedState>::default();
        seen.insert(self.digest(&start));
        let mut history: Vec<(usize, Option<Step>)> = vec![(0, None)];
        let mut layer = vec![(0, start)];
        while !layer.is_empty() {
            let mut next = Vec::new();
            for (at, world) in layer {
                for step in self.steps(&world) {
                    let after = self.apply(&world, step);
                    if !seen.insert(self.digest(&after)) {
                        continue;
                    }
                    assert!(seen.len() <= STATES_MAX, "the scenario is too large to be checked");
                    history.push((at, Some(step)));
                    if self.violated(&after) {
                        return Err(trace(&history));
                    }
                    next.push((history.len() - 1, after));
                }
            }
            layer = next;
        }
        Ok(seen.len())
    }
}

fn trace(history: &[(usize, Option<Step>)]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = history.len() - 1;
    while let (before, Some(step)) = history[at] {
        steps.push(step);
        at = before;
    }
    steps.reverse();
    steps
}

fn one_position(node_id: &str) -> NodeRecord {
    NodeRecord { vnodes: 1, ..test_record(node_id) }
}

use Happening::{Crash, FalseDeath, Join};

fn scenario(
    members: &'static [usize],
    joiners: &'static [usize],
    happenings: &'static [Happening],
    writers: &'static [usize],
) -> Scenario {
    Scenario { members, joiners, announced: true, happenings, writers, zones: &[], flaw: Flaw::None }
}

fn a_join() -> Scenario {
    scenario(&[0, 2, 3], &[1], &[Join(1)], &[0, 1, 2])
}

fn a_refuted_death() -> Scenario {
    scenario(&[0, 1, 2, 3], &[], &[FalseDeath(1)], &[0])
}

/// The joiner pushes out the last of the list, and the death of another member brings it back.
fn a_join_and_a_death() -> Scenario {
    scenario(&[0, 1, 3, 4], &[2], &[Join(2), Crash(1)], &[2])
}

fn two_joins() -> Scenario {
    scenario(&[1, 2, 4], &[0, 3], &[Join(3), Join(0)], &[2])
}

fn holds(scenario: Scenario) {
    match Check::new(scenario).run() {
        Ok(states) => assert!(states > 100, "only {states} states: nothing was checked"),
        Err(steps) => panic!("a completed write was missed:\n{steps:?}"),
    }
}

/// Without the clause the check finds a history that breaks the promise.
fn caught(flaw: Flaw, scenario: Scenario) {
    let found = Check::new(Scenario { flaw, ..scenario }).run();
    assert!(found.is_err(), "{flaw:?} was not noticed in {found:?} states");
}

#[test]
fn one_join() {
    holds(a_join());
}

#[test]
fn one_death() {
    holds(scenario(&[0, 1, 2, 3], &[], &[Crash(1)], &[0, 2]));
}

#[test]
fn one_refuted_death() {
    holds(a_refuted_death());
}

#[test]
fn a_join_and_the_death_of_the_joiner() {
    holds(scenario(&[0, 2, 3], &[1], &[Join(1), Crash(1)], &[0, 1]));
}

#[test]
fn a_join_and_the_death_of_the_joiner_that_nobody_knew() {
    let unannounced = scenario(&[0, 2, 3], &[1], &[Join(1), Crash(1)], &[0]);
    holds(Scenario { announced: false, ..unannounced });
}

#[test]
fn a_join_and_the_death_of_a_member() {
    holds(a_join_and_a_death());
}

/// A list that has become shorter is as strong as its write quorums were when it was longer.
fn a_death_that_shortens_the_list_and_a_join() -> Scenario {
    scenario(&[0, 2, 3], &[1], &[Crash(3), Join(1)], &[2])
}

#[test]
fn a_death_in_a_ring_of_three_and_a_join() {
    holds(a_death_that_shortens_the_list_and_a_join());
}

#[test]
fn two_joins_one_after_the_other() {
    holds(two_joins());
}

/// The joiner pushes out a node of its zone that is not the next in line: 1 is. The death of the joiner's neighbour in
/// the list brings that one in, the death of the joiner would bring the other back.
fn zoned(happenings: &'static [Happening], writers: &'static [usize]) -> Scenario {
    Scenario { zones: &["a", "a", "b", "b", "c"], ..scenario(&[0, 1, 3, 4], &[2], happenings, writers) }
}

#[test]
fn a_join_into_a_zone() {
    holds(zoned(&[Join(2)], &[0, 2]));
}

#[test]
fn a_join_into_a_zone_and_a_death() {
    holds(zoned(&[Join(2), Crash(4)], &[2]));
    holds(zoned(&[Join(2), Crash(0)], &[2]));
    holds(zoned(&[Join(2), Crash(2)], &[0]));
}

#[test]
fn a_death_in_a_zone() {
    holds(zoned(&[FalseDeath(0)], &[3]));
    holds(zoned(&[Crash(4)], &[0, 1]));
}

#[test]
fn every_clause_is_needed() {
    caught(Flaw::NewcomersAcknowledge, a_join());
    caught(Flaw::NewcomersAnswer, a_join());
    caught(Flaw::AnyListIsTaken, a_join());
    caught(Flaw::SourceOfAnyList, a_refuted_death());
    caught(Flaw::OneSourceIsEnough, a_join());
    caught(Flaw::SomeAreEnough, a_join());
    caught(Flaw::ShortListIsWeak, a_death_that_shortens_the_list_and_a_join());
    caught(Flaw::NobodyIsNew, a_join());
    caught(Flaw::LoserDeletesAtOnce, a_join());
    caught(Flaw::RefutedUnmarked, a_refuted_death());
    caught(Flaw::LoserNeedNotKnow, a_join_and_a_death());
    caught(Flaw::NewcomersAcknowledge, zoned(&[Join(2)], &[0, 2]));
}

#[test]
fn a_source_has_to_be_caught_up() {
    caught(Flaw::SourceOfAnyStanding, scenario(&[0, 3, 4], &[1, 2], &[Join(1), Join(2)], &[3]));
}
