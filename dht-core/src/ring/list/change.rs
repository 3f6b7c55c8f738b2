//! The lists of a slot before and after a change of the view, and what may have been between them.

use std::sync::Arc;

use super::{Incarnate, Switch};
use crate::ring::record::{Member, NodeRecord, NodeState, Verdict};
use crate::ring::slot::Slot;
use crate::ring::view::{Members as ListMembers, RingView};

/// The members of a list by identity.
pub(crate) fn incarnates(view: &RingView, list: &ListMembers) -> Arc<[Incarnate]> {
    list.iter().map(|&m| identity(view.member(m))).collect()
}

pub(super) fn identity(record: &NodeRecord) -> Incarnate {
    (record.node_id.clone(), record.boot)
}

/// The ring with everybody who may have been in it between two views: the longest that a list can have been without
/// this node. Only needed when some came and some went, since then their order is unknown.
pub(super) struct Between(pub(super) Option<RingView>);

impl Between {
    pub(super) fn new(switch: &Switch<'_>) -> Self {
        let gone: Vec<&Arc<Member>> = switch.before.lacking_in(switch.after).collect();
        let came = switch.after.lacking_in(switch.before).next().is_some() || !switch.missed.is_empty();
        let went = !gone.is_empty() || !switch.missed.is_empty();
        if !(came && went) {
            return Self(None);
        }
        let passed = switch.missed.iter().map(|m| {
            let mut record = m.record.clone();
            record.state = NodeState::Active;
            record.verdict = Verdict::Alive;
            Arc::new(Member { record, positions: m.positions.clone() })
        });
        let all: Vec<Arc<Member>> = switch.after.members().iter().chain(gone).cloned().chain(passed).collect();
        Self(Some(RingView::derive(switch.slots.ids(), switch.slots, all.iter())))
    }
}

/// The arcs of one slot before, after and between.
pub(super) type Starts = (Option<usize>, Option<usize>, Option<usize>);

/// The lists before and after of a run of slots that share them.
pub(super) struct Arcs {
    pub(super) starts: Starts,
    pub(super) differs: bool,
    pub(super) members: u64,
    pub(super) listed: bool,
    pub(super) was_listed: bool,
    pub(super) listed_between: bool,
    pub(super) former: Arc<[Incarnate]>,
    /// Who coordinated what was written in the former list.
    pub(super) former_owner: Option<Incarnate>,
    pub(super) present: Arc<[Incarnate]>,
}

impl Arcs {
    pub(super) fn new(switch: &Switch<'_>, between: &Between, slot: Slot, starts: Starts) -> Self {
        let before = switch.before.replica_list(slot, switch.replicas_before);
        let after = switch.after.replica_list(slot, switch.replicas);
        let members = switch.after.list_fingerprint(&after);
        let is_me = |view: &RingView, list: &ListMembers| list.iter().any(|&m| view.member(m).node_id == *switch.me);
        let was_listed = is_me(switch.before, &before) && never_out(switch);
        let listed = is_me(switch.after, &after);
        let listed_between = match &between.0 {
            Some(view) => is_me(view, &view.replica_list(slot, switch.replicas.min(switch.replicas_before))),
            None => true,
        };
        // A list that went and came back looks the same, but has been without this node.
        let returned = was_listed && listed && !listed_between;
        let differs = returned || members != switch.before.list_fingerprint(&before);
        Self {
            starts,
            differs,
            members,
            listed,
            was_listed,
            listed_between,
            former: incarnates(switch.before, &before),
            former_owner: switch.before.first_live(&before).map(|owner| identity(switch.before.member(owner))),
            present: incarnates(switch.after, &after),
        }
    }
}

/// This node was in the lists all the time: it neither restarted nor had to refute its death, which put it out of the
/// others' lists although never out of its own view.
fn never_out(switch: &Switch<'_>) -> bool {
    let placed = |view: &RingView| {
        let record = view.member(view.member_index(switch.me)?);
        Some((record.boot, record.placed_at))
    };
    placed(switch.before) == placed(switch.after) || placed(switch.after).is_none()
}
