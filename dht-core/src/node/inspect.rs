//! What the checker of the simulator sees of a node: what it knows, and how full its tables are.

use super::{Node, Phase, news};
use crate::ring::id::Id;
use crate::ring::record::NodeId;
use crate::ring::vnode::Pointer;

/// Chord's pointers of one position.
#[derive(Clone, Debug)]
pub struct Pointers {
    /// The position.
    pub id: Id,
    /// The first other node anticlockwise.
    pub predecessor: Option<Pointer>,
    /// The next distinct other nodes clockwise.
    pub successors: Vec<Pointer>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Its name.
    pub node_id: NodeId,
    /// Its present life.
    pub boot: u64,
    /// Its zone, empty if it is in none.
    pub zone: String,
    /// In the replica lists, by its own account.
    pub active: bool,
    /// Which ring it is in.
    pub ring_id: Option<u128>,
    /// Rings that members are said to have entered: more than one for a while after rings have become one.
    pub rings: usize,
    /// Fingerprint of its view.
    pub view: u64,
    /// (node_id, boot) of the members of its view, ascending.
    pub members: Vec<(NodeId, u64)>,
    /// The positions of its view, ascending.
    pub positions: Vec<(Id, NodeId)>,
    /// Of each of its own positions.
    pub pointers: Vec<Pointers>,
    /// (k, start, finger) of its positions, or of position 0 only, ascending.
    pub fingers: Vec<(u16, Id, Pointer)>,
    /// With `routing = "chord"` the starts beyond a position's successor that have no finger.
    pub unset_fingers: Vec<Id>,
    /// Slots in whose list it is: number, last id, hash of the list, whether it is caught up.
    pub slots: Vec<(u32, Id, u64, bool)>,
    /// Re-replication is held, since too many nodes were lost at once.
    pub held: bool,
    /// What calls hold while they are under way, and nobody else: name, number.
    pub under_way: Vec<(&'static str, usize)>,
    /// Tables and queues: name, length, bound.
    pub bounds: Vec<(&'static str, usize, usize)>,
}

impl Node {
    pub(crate) fn inspect(&self) -> Inspection {
        let view = self.view();
        let name = |member: u32| view.member(member).node_id.clone();
        let state = self.state();
        let nodes = state.members.iter().count();
        let start = |index: usize, k: u16| {
            let base = state.vnodes.get(index).map_or(Id::ZERO, |v| v.id);
            self.ids.add_power_of_two(base, k)
        };
        let further = state.fingers.further().map(|(index, k, p)| (k, start(index, k), p.clone()));
        let listed = state.table.slots_where(|s| s.listed).into_iter().filter_map(|slot| {
            let of = state.table.get(slot)?;
            Some((slot, of.list, of.readable()))
        });
        Inspection {
            node_id: self.node_id.clone(),
            boot: self.boot,
            zone: self.config.zone.clone(),
            active: self.life.phase() == Phase::Active,
            ring_id: self.ring().id.map(|id| id.0),
            rings: view.rings().len(),
            view: view.fingerprint(),
            members: view.members().iter().map(|m| (m.record.node_id.clone(), m.record.boot)).collect(),
            positions: view.positions().iter().map(|p| (p.id, name(p.member))).collect(),
            pointers: of(&state.vnodes),
            fingers: state.fingers.entries().map(|(k, p)| (k, start(0, k), p.clone())).chain(further).collect(),
            unset_fingers: self.unset_fingers(&state),
            slots: listed
                .into_iter()
                .map(|(slot, list, readable)| (slot.0, self.slots.last_id(slot), list.members, readable))
                .collect(),
            held: state.mass_loss.held_until(self.env.now()).is_some(),
            under_way: vec![("places in line", self.lines.len()), ("tails of writes", self.tails.len())],
            bounds: vec![
                ("news", state.news.len(), nodes),
                ("disagreeing", state.news.disagreeing_len(), news::DISAGREEING_MAX),
                ("probing", state.probing.len(), nodes),
                ("gone", state.members.gone().count(), crate::ring::members::GRAVEYARD_LEN_MAX),
                ("dirty", state.dirty.len(), self.slots.count() as usize),
                ("slots", state.table.len(), self.slots.count() as usize),
                ("vnodes", state.vnodes.len(), usize::from(self.config.vnode_count())),
            ],
        }
    }

    /// Whether that life of that node is in the view.
    pub(crate) fn sees(&self, node_id: &NodeId, boot: u64) -> bool {
        let view = self.view();
        view.member_index(node_id).is_some_and(|m| view.member(m).boot == boot)
    }

    /// See `MassLoss::switch_off`.
    pub(crate) fn switch_off_mass_loss_guard(&self) {
        self.state().mass_loss.switch_off();
    }

    pub(crate) fn seeds(&self) -> Vec<String> {
        self.state().seeds.clone()
    }

    pub(crate) fn pointers(&self) -> Option<Vec<Pointers>> {
        let state = self.state();
        // What others see is the record; the phase follows it.
        (state.members.own().placed() && !self.ended()).then(|| of(&state.vnodes))
    }
}

fn of(vnodes: &[crate::ring::vnode::VNode]) -> Vec<Pointers> {
    let of = |v: &crate::ring::vnode::VNode| Pointers {
        id: v.id,
        predecessor: v.predecessor.clone(),
        successors: v.successors.clone(),
    };
    vnodes.iter().map(of).collect()
}
