//! `State`: what a node decides by. What others may see of it without the lock, `Node::refresh` derives from it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::admission::Admission;
use super::claims::Claims;
use super::fingers::Fingers;
use super::mass_loss::MassLoss;
use super::news::News;
use super::peers::Peer;
use super::probe::LocalHealth;
use super::repair::{Graves, Offer, Round};
use crate::ring::id::IdSpace;
use crate::ring::list::SlotTable;
use crate::ring::members::Members;
use crate::ring::record::{NodeId, RingId};
use crate::ring::slot::Slot;
use crate::ring::vnode::VNode;

/// What changes together.
pub(super) struct State {
    pub(super) members: Members,
    pub(super) table: SlotTable,
    pub(super) vnodes: Vec<VNode>,
    pub(super) fingers: Fingers,
    pub(super) news: News,
    pub(super) admission: Admission,
    /// These have let this node in and wait to hear that it has caught up.
    pub(super) admitted_by: BTreeSet<Peer>,
    /// This node has entered its lists and not told them yet that it has caught up.
    pub(super) admitted: bool,
    /// Slots in which a replica missed a write that this node knows of.
    pub(super) dirty: BTreeSet<Slot>,
    /// Those of them that are being compared.
    pub(super) checking: BTreeSet<Slot>,
    /// Slots, and by boot the others, that differ only by what one of both has no room for: deletions need none.
    pub(super) no_room_for: BTreeSet<(Slot, u64)>,
    /// Slots that differ by nothing else.
    pub(super) only_room: BTreeSet<Slot>,
    /// Where the next pass of the repair goes on with the slots that are not caught up, and with those that may differ.
    pub(super) catching_up: Round,
    pub(super) comparing: Round,
    /// Since the repair last paused some store had no room.
    pub(super) no_room: bool,
    pub(super) local_health: LocalHealth,
    pub(super) mass_loss: MassLoss,
    /// Deaths that others tell of, until they are looked at.
    pub(super) claims: Claims,
    pub(super) graves: Graves,
    /// Since when this node is said to be of a ring that has become one with its own, and lacks nothing of it.
    pub(super) apart_since: Option<(RingId, Instant)>,
    /// Slots that others should hold and that cannot be let go: since when, or when they were last brought up to date, and how
    /// often.
    pub(super) renewed: BTreeMap<Slot, (Instant, usize)>,
    /// What others should hold, and who is known to have it.
    pub(super) offers: BTreeMap<Slot, Offer>,
    /// Members (by boot) that have told, in a ring that comes back, what they found on their disks.
    pub(super) lives_compared: BTreeSet<u64>,
    /// Nodes with a probe under way.
    pub(super) probing: BTreeSet<NodeId>,
    /// "host:port" texts that were joined through, configured or explicit.
    pub(super) seeds: Vec<String>,
}

impl State {
    /// Of a node in no ring; `seeds`: the configured ones.
    pub(super) fn new(members: Members, ids: IdSpace, seeds: Vec<String>) -> Self {
        let vnodes = members.own_positions().iter().map(|&id| VNode::new(id)).collect();
        Self {
            members,
            table: SlotTable::default(),
            vnodes,
            fingers: Fingers::new(ids),
            news: News::default(),
            admission: Admission::default(),
            admitted_by: BTreeSet::new(),
            admitted: false,
            dirty: BTreeSet::new(),
            checking: BTreeSet::new(),
            no_room_for: BTreeSet::new(),
            only_room: BTreeSet::new(),
            catching_up: Round::default(),
            comparing: Round::default(),
            no_room: false,
            local_health: LocalHealth::default(),
            mass_loss: MassLoss::default(),
            claims: Claims::default(),
            graves: Graves::default(),
            apart_since: None,
            renewed: BTreeMap::new(),
            offers: BTreeMap::new(),
            lives_compared: BTreeSet::new(),
            probing: BTreeSet::new(),
            seeds,
        }
    }

    /// Knows nobody but this node any more, and has lost nobody: it is about to enter another ring, or a ring of its own.
    pub(super) fn forget_others(&mut self) {
        self.members.forget_others();
        self.news.forget();
        self.mass_loss.clear();
        self.reset_vnodes();
    }

    /// Chord's pointers of our positions, all of them unknown.
    pub(super) fn reset_vnodes(&mut self) {
        self.vnodes = self.members.own_positions().iter().map(|&id| VNode::new(id)).collect();
    }
}
