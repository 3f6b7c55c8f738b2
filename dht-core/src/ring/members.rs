//! `Members`: all node records this node knows, and what it suspects. A tally over `now`; whoever asks others is above.
//!
//! Invariant: of each node_id the highest record ever merged is kept (see `NodeRecord::supersedes`), and the own
//! record outranks whatever others say of this node: a suspicion or a death is refuted by a higher incarnation
//! (SWIM, Das et al. 2002, §4.2). Gone nodes stay in a bounded graveyard for a while, so that a split can be noticed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::choice::choose;
use super::id::{Id, IdSpace};
use super::record::{Address, Member, NodeId, NodeRecord, NodeState, Verdict};
use super::shared::SharedRing;
use super::slot::SlotSpace;
use super::view::{RingView, positions_of};
use super::vnode::Pointer;

/// How long a gone node is remembered and probed.
pub(crate) const GRAVEYARD_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Gone nodes remembered at most: 4,096 records of some 200 bytes.
pub(crate) const GRAVEYARD_LEN_MAX: usize = 4096;
/// How often a node outbids another that calls itself the same before it believes that the other lives.
const OUTBID_MAX: u32 = 8;

/// How far an incarnation may be above what is known of the node: a node that raised its own a thousand times a second
/// gets there in 50 days without being heard of. Whoever would be believed beyond could leave a node no incarnation to
/// refute with.
const LEAP_MAX: u64 = 1 << 32;
/// Deaths that a node refutes at once, and how long it takes until it may refute one more: each makes it a newcomer in
/// its lists, so whoever tells every second that it is dead must not decide how often that happens.
const REFUTALS_MAX: u32 = 8;
const REFUTAL_INTERVAL: Duration = Duration::from_secs(5);

/// What a merge changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Learnt {
    /// Nothing newer than what was known.
    Nothing,
    /// Something worth telling others; replica lists may differ from now on.
    News,
    /// Others doubt this node; it has raised its incarnation, which they must hear.
    Refuted,
    /// Another living node calls itself the same.
    Duplicate,
    /// An incarnation so far above what was known that no node can have counted to it: nothing was believed.
    Leap,
}

/// What is known of one node.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) member: Arc<Member>,
    /// Since when it is suspected, or gone.
    pub(crate) since: Instant,
    /// When it last answered this node; `None` if it never did.
    pub(crate) heard: Option<Instant>,
    /// Its address refused us: stronger evidence than silence.
    pub(crate) refused: bool,
}

impl Known {
    pub(crate) fn record(&self) -> &NodeRecord {
        &self.member.record
    }
}

/// All node records.
#[derive(Debug)]
pub(crate) struct Members {
    cluster: String,
    ids: IdSpace,
    slots: SlotSpace,
    me: NodeId,
    boot: u64,
    all: BTreeMap<NodeId, Known>,
    /// Who has which boot.
    boots: BTreeMap<u64, NodeId>,
    /// Neither present nor forgotten.
    gone: BTreeSet<NodeId>,
    /// Gone for so long that they are looked for no more: what is left is to know them should they come.
    buried: BTreeMap<NodeId, Known>,
    /// Present, and suspected. Looked at every heartbeat, where a walk over all would cost the square of the ring.
    suspects: BTreeSet<NodeId>,
    outbids: u32,
    /// Deaths of this node that it may still refute, and since when they have been counted.
    refutals: (u32, Instant),
    /// Records kept, as far as those of gone nodes can make room.
    len_max: usize,
    /// Nodes learnt of only when they were gone already, since the last view: they may have been in lists meanwhile.
    missed: Vec<Arc<Member>>,
    shared: Option<Arc<SharedRing>>,
    pub(crate) joined: u64,
    pub(crate) left: u64,
}

impl Members {
    pub(crate) fn new(cluster: &str, ids: IdSpace, slots: SlotSpace, me: NodeRecord, now: Instant) -> Self {
        let (node_id, boot) = (me.node_id.clone(), me.boot);
        let mut members = Self {
            cluster: cluster.to_owned(),
            ids,
            slots,
            me: node_id,
            boot,
            all: BTreeMap::new(),
            boots: BTreeMap::new(),
            gone: BTreeSet::new(),
            buried: BTreeMap::new(),
            suspects: BTreeSet::new(),
            outbids: 0,
            refutals: (REFUTALS_MAX, now),
            len_max: usize::MAX,
            missed: Vec::new(),
            shared: None,
            joined: 0,
            left: 0,
        };
        members.insert(me, now);
        members
    }

    /// From now on equal records and views are kept once with all that share this.
    pub(crate) fn share(&mut self, shared: Option<Arc<SharedRing>>) {
        self.shared = shared;
    }

    /// From now on gone nodes are remembered only where so many records leave room for them.
    pub(crate) fn limit(&mut self, len_max: usize) {
        self.len_max = len_max;
    }

    /// Takes in what somebody says of a node.
    pub(crate) fn merge(&mut self, record: &NodeRecord, now: Instant) -> Learnt {
        let before = self.all.get(&record.node_id);
        if before.is_some_and(|known| record.incarnation > known.record().incarnation.saturating_add(LEAP_MAX)) {
            return Learnt::Leap;
        }
        if record.node_id == self.me {
            return self.hear_of_myself(record, now);
        }
        if before.is_some_and(|known| !record.supersedes(known.record())) {
            return Learnt::Nothing;
        }
        // Others may bury it later: what they say of its death is nothing new.
        let old = |buried: &Known| !record.present() && !record.supersedes(buried.record());
        if before.is_none() && self.buried.get(&record.node_id).is_some_and(old) {
            return Learnt::Nothing;
        }
        let was_present = before.is_some_and(|known| known.record().present());
        let no_room = self.gone.len() >= GRAVEYARD_LEN_MAX || self.all.len() >= self.len_max;
        if before.is_none() && !record.present() && no_room {
            return Learnt::Nothing;
        }
        // It entered the lists (`placed_at` says when) and left them again, and this node saw neither.
        let entered = record.placed_at > 0
            && before.is_none_or(|k| (k.record().boot, k.record().placed_at) != (record.boot, record.placed_at));
        if entered && !record.placed() {
            self.missed.push(self.member(record.clone()));
        }
        match (was_present, record.present()) {
            (false, true) => self.joined += 1,
            (true, false) => self.left += 1,
            _ => {}
        }
        let (node_id, mut record) = (&record.node_id, record.clone());
        // Who passed it on may be too old to know.
        let same = |k: &&NodeRecord| (k.boot, k.incarnation) == (record.boot, record.incarnation);
        if let Some(known) = before.map(Known::record).filter(same).filter(|_| record.placed_in == 0) {
            record.placed_in = known.placed_in;
        }
        self.insert(record, now);
        self.buried.remove(node_id);
        if self.all.len() > self.len_max {
            // This node itself may have left.
            let others = self.gone().filter(|known| known.record().node_id != self.me);
            let longest = others.min_by_key(|known| (known.since, &known.record().node_id));
            if let Some(longest) = longest.map(|known| known.record().node_id.clone()) {
                self.forget(&longest);
            }
        }
        Learnt::News
    }

    /// Changes the own record in a way that others must hear: under a higher incarnation.
    pub(crate) fn declare(&mut self, change: impl FnOnce(&mut NodeRecord), now: Instant) -> NodeRecord {
        let mut record = self.own().clone();
        record.incarnation += 1;
        let placed_before = record.placed();
        change(&mut record);
        if record.placed() && !placed_before {
            record.placed_at = record.incarnation;
        }
        self.insert(record.clone(), now);
        record
    }

    /// Adds a verdict on a node at the incarnation that is known; returns the record to spread if that is news.
    pub(crate) fn judge(&mut self, node_id: &NodeId, boot: u64, verdict: Verdict, now: Instant) -> Option<NodeRecord> {
        let known = self.all.get(node_id)?.record();
        if *node_id == self.me || known.boot != boot || known.verdict >= verdict || !known.present() {
            return None;
        }
        let record = NodeRecord { verdict, ..known.clone() };
        (self.merge(&record, now) == Learnt::News).then_some(record)
    }

    /// The node answered this node just now.
    pub(crate) fn heard(&mut self, node_id: &NodeId, now: Instant) {
        if let Some(known) = self.all.get_mut(node_id) {
            known.heard = Some(now);
            known.refused = false;
        }
    }

    /// The node's address refused a connection: with a suspicion, the process is most likely gone.
    pub(crate) fn refused(&mut self, node_id: &NodeId) {
        if let Some(known) = self.all.get_mut(node_id) {
            known.refused = true;
        }
    }

    /// Suspects whose time is up: after `refused_max` if the address refuses, else after `silent_max`; since they were
    /// suspected, or since they last answered: then what they refute it by is on its way.
    pub(crate) fn overdue(&self, now: Instant, refused_max: Duration, silent_max: Duration) -> Vec<(NodeId, u64)> {
        let due = |known: &&Known| {
            let limit = if known.refused { refused_max } else { silent_max };
            now >= known.heard.map_or(known.since, |heard| heard.max(known.since)) + limit
        };
        self.suspects().filter(due).map(|k| (k.record().node_id.clone(), k.record().boot)).collect()
    }

    /// One that was gone for so long that it is looked for no more.
    pub(crate) fn buried(&self, node_id: &NodeId) -> Option<&Known> {
        self.buried.get(node_id)
    }

    pub(crate) fn all_buried(&self) -> impl Iterator<Item = &Known> {
        self.buried.values()
    }

    /// Looks no more for who has been gone for long, and for the oldest of too many.
    pub(crate) fn bury(&mut self, now: Instant) {
        let old = |k: &&Known| now.duration_since(k.since) >= GRAVEYARD_AGE_MAX;
        // This node itself, which may have left, is never forgotten.
        let others = || self.gone().filter(|known| known.record().node_id != self.me);
        let mut forgotten: Vec<NodeId> = others().filter(old).map(|k| k.record().node_id.clone()).collect();
        let excess = (self.gone.len() - forgotten.len()).saturating_sub(GRAVEYARD_LEN_MAX);
        if excess > 0 {
            let mut rest: Vec<(Instant, &NodeId)> =
                others().filter(|k| !old(k)).map(|k| (k.since, &k.record().node_id)).collect();
            rest.sort_unstable();
            forgotten.extend(rest.into_iter().take(excess).map(|(_, node_id)| node_id.clone()));
        }
        for node_id in forgotten {
            self.forget(&node_id);
        }
    }

    fn forget(&mut self, gone: &NodeId) {
        self.gone.remove(gone);
        let Some(known) = self.all.remove(gone) else { return };
        self.boots.remove(&known.record().boot);
        // Its positions are of no use any more.
        let member = Arc::new(Member { record: known.record().clone(), positions: Arc::default() });
        self.buried.insert(gone.clone(), Known { member, ..known });
        if self.buried.len() > GRAVEYARD_LEN_MAX {
            let oldest = self.buried.values().min_by_key(|known| (known.since, &known.record().node_id));
            if let Some(oldest) = oldest.map(|known| known.record().node_id.clone()) {
                self.buried.remove(&oldest);
            }
        }
    }

    /// Knows exactly these, this node among them: a ring that is there at once.
    pub(crate) fn assume(&mut self, members: &[Arc<Member>], now: Instant) {
        self.forget_others();
        for member in members {
            let node_id = member.record.node_id.clone();
            self.classify(&member.record);
            self.boots.insert(member.record.boot, node_id.clone());
            self.all.insert(node_id, Known { member: member.clone(), since: now, heard: None, refused: false });
        }
    }

    /// Forgets everybody but this node: it is about to enter another ring.
    pub(crate) fn forget_others(&mut self) {
        let me = self.me.clone();
        self.all.retain(|node_id, _| *node_id == me);
        self.boots.retain(|_, node_id| *node_id == me);
        self.gone.retain(|node_id| *node_id == me);
        self.buried.clear();
        self.suspects.clear();
        self.missed.clear();
    }

    /// Nodes that came and went unseen since the last call.
    pub(crate) fn take_missed(&mut self) -> Vec<Arc<Member>> {
        std::mem::take(&mut self.missed)
    }

    pub(crate) fn view(&self) -> RingView {
        RingView::derive(self.ids, self.slots, self.all.values().map(|k| &k.member))
    }

    /// The same, from the view `before` the last changes.
    pub(crate) fn view_after(&self, before: &RingView) -> Arc<RingView> {
        let all = || self.all.values().map(|known| &known.member);
        let derive = || RingView::derive_after(Some(before), self.ids, self.slots, all());
        let Some(shared) = &self.shared else { return Arc::new(derive()) };
        let (fingerprint, members) = RingView::placed(all());
        shared.view(self.slots, &members, fingerprint, derive)
    }

    /// The view as it would be if this node were active.
    pub(crate) fn prospective_view(&self) -> RingView {
        self.view_with(self.own())
    }

    /// The view as it would be with `record` active too.
    pub(crate) fn view_with(&self, record: &NodeRecord) -> RingView {
        let newcomer = self.as_if_active(record);
        RingView::derive(self.ids, self.slots, self.except(&record.node_id).chain([&newcomer]))
    }

    /// The choices for the positions of `record` that make the shares most even, given who is here or joining.
    pub(crate) fn choices_for(&self, record: &NodeRecord) -> Vec<u8> {
        let others = self.once_joined(&record.node_id);
        choose(&self.cluster, self.slots, &RingView::derive(self.ids, self.slots, others.iter()), record)
    }

    /// Whether `record` can be active: it holds a position, also when all who are joining do, and takes nobody's last.
    pub(crate) fn has_room_for(&self, record: &NodeRecord) -> bool {
        let mut all = self.once_joined(&record.node_id);
        all.push(self.as_if_active(record));
        let later = RingView::derive(self.ids, self.slots, all.iter());
        let placed = later.member_index(&record.node_id).is_some_and(|m| later.positions_of(m).next().is_some());
        placed && self.view_with(record).homeless().is_none()
    }

    /// All but that one, the joining ones as if they were active.
    fn once_joined(&self, without: &NodeId) -> Vec<Arc<Member>> {
        let once_joined = |member: &Arc<Member>| match member.record.state {
            NodeState::Joining if member.record.verdict != Verdict::Dead => self.as_if_active(&member.record),
            _ => member.clone(),
        };
        self.except(without).map(once_joined).collect()
    }

    fn except<'a>(&'a self, node_id: &'a NodeId) -> impl Iterator<Item = &'a Arc<Member>> {
        self.all.iter().filter(move |(id, _)| *id != node_id).map(|(_, k)| &k.member)
    }

    fn as_if_active(&self, record: &NodeRecord) -> Arc<Member> {
        self.member(NodeRecord { state: NodeState::Active, verdict: Verdict::Alive, ..record.clone() })
    }

    pub(crate) fn own(&self) -> &NodeRecord {
        self.all[&self.me].record()
    }

    pub(crate) fn own_positions(&self) -> &Arc<[Id]> {
        &self.all[&self.me].member.positions
    }

    pub(crate) fn get(&self, node_id: &NodeId) -> Option<&Known> {
        self.all.get(node_id)
    }

    pub(crate) fn by_boot(&self, boot: u64) -> Option<&Known> {
        self.all.get(self.boots.get(&boot)?).filter(|k| k.record().boot == boot)
    }

    pub(crate) fn by_address(&self, address: &Address) -> Option<&Known> {
        self.all.values().find(|k| k.record().address == *address && k.record().present())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.all.values()
    }

    /// True if the pointer is at a member that has that position: whom this node knows to be gone, or not to be in yet,
    /// it does not take over from those who have not heard.
    pub(crate) fn has_position(&self, pointer: &Pointer) -> bool {
        if planted!("joining_in_lists") {
            return self.all.get(&pointer.node_id).is_some_and(|known| known.record().present());
        }
        let known = self.all.get(&pointer.node_id).filter(|known| known.record().placed());
        known.is_some_and(|known| known.member.positions.get(pointer.index as usize) == Some(&pointer.id))
    }

    /// The others that are neither gone nor given up.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Known> {
        self.all.values().filter(|k| k.record().present() && k.record().node_id != self.me)
    }

    /// How many those are.
    pub(crate) fn others_len(&self) -> usize {
        let own = usize::from(self.own().present());
        self.all.len() - self.gone.len() - own
    }

    /// The others that are present and suspected, ascending.
    pub(crate) fn suspects(&self) -> impl Iterator<Item = &Known> {
        self.suspects.iter().filter_map(|node_id| self.all.get(node_id))
    }

    /// Those of them that have not answered this node since.
    pub(crate) fn unheard_suspects(&self) -> impl Iterator<Item = &Known> {
        self.suspects().filter(|known| known.heard.is_none_or(|heard| heard < known.since))
    }

    /// The graveyard.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &Known> {
        self.gone.iter().filter_map(|node_id| self.all.get(node_id))
    }

    fn classify(&mut self, record: &NodeRecord) {
        let belongs = |set: &mut BTreeSet<NodeId>, belongs: bool| match belongs {
            true => set.insert(record.node_id.clone()),
            false => set.remove(&record.node_id),
        };
        belongs(&mut self.gone, !record.present());
        let suspected = record.present() && record.verdict == Verdict::Suspect && record.node_id != self.me;
        belongs(&mut self.suspects, suspected);
    }

    fn hear_of_myself(&mut self, record: &NodeRecord, now: Instant) -> Learnt {
        let mut mine = self.own().clone();
        if !record.supersedes(&mine) || planted!("no_refutation") {
            return Learnt::Nothing;
        }
        if record.boot != self.boot && record.verdict != Verdict::Dead && record.state != NodeState::Left {
            self.outbids += 1;
            if self.outbids > OUTBID_MAX {
                return Learnt::Duplicate;
            }
        }
        if record.verdict == Verdict::Dead && record.boot == self.boot && !self.may_refute(now) {
            return Learnt::Nothing;
        }
        mine.incarnation = record.incarnation + 1;
        if record.verdict == Verdict::Dead && mine.state == NodeState::Active {
            // The others' lists went on without us: those with us in them must not look the same as before.
            mine.placed_at = mine.incarnation;
        }
        let since = self.all[&self.me].since;
        self.insert(mine, since);
        Learnt::Refuted
    }

    fn may_refute(&mut self, now: Instant) -> bool {
        let (left, since) = self.refutals;
        let gained = now.saturating_duration_since(since).as_secs() / REFUTAL_INTERVAL.as_secs();
        let left = left.saturating_add(u32::try_from(gained).unwrap_or(u32::MAX)).min(REFUTALS_MAX);
        if gained > 0 {
            self.refutals.1 = now;
        }
        self.refutals.0 = left.saturating_sub(1);
        left > 0
    }

    /// Whoever called itself the same is not there: it is outbid again.
    pub(crate) fn outbid_again(&mut self) {
        self.outbids = 0;
    }

    fn insert(&mut self, record: NodeRecord, now: Instant) {
        let before = self.all.get(&record.node_id);
        let before_boot = before.map(|known| known.record().boot);
        let (heard, refused) = match before {
            // Whoever refutes was there after the refusal.
            Some(known) if known.record().boot == record.boot => {
                (known.heard, known.refused && known.record().incarnation == record.incarnation)
            }
            _ => (None, false),
        };
        // A suspicion that becomes a death keeps its beginning only for itself: `since` is that of the new verdict.
        let member = self.member(record);
        if let Some(before) = before_boot.filter(|boot| *boot != member.record.boot) {
            self.boots.remove(&before);
        }
        self.boots.insert(member.record.boot, member.record.node_id.clone());
        self.classify(&member.record);
        self.all.insert(member.record.node_id.clone(), Known { member, since: now, heard, refused });
    }

    fn member(&self, record: NodeRecord) -> Arc<Member> {
        let before = self.all.get(&record.node_id).map(|k| &k.member);
        let positions = |record: &NodeRecord| match before
            .filter(|m| m.record.vnodes == record.vnodes && m.record.choices == record.choices)
        {
            Some(member) => member.positions.clone(),
            None => positions_of(&self.cluster, self.ids, record),
        };
        match &self.shared {
            Some(shared) => shared.member(record, positions),
            None => Arc::new(Member { positions: positions(&record), record }),
        }
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
