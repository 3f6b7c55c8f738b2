//! What this node tells about itself and the ring, for its own callers and, as JSON, for others.

use bytes::Bytes;

use super::{Known, Node, Phase};
use crate::error::{Error, ErrorKind, Result};
use crate::prometheus::{self, Totals};
use crate::ring::record::{NodeRecord, NodeState, Verdict};
use crate::ring::vnode::Pointer;
use crate::shapes::{Finger, Health, NodeInfo, RingInfo, RingNode, Statistics};
use crate::wire::message::Topic;

impl Node {
    /// Answers `Describe`.
    pub(crate) fn describe(&self, topic: Topic, key: &Bytes) -> Result<String> {
        let json = match topic {
            Topic::Node => serde_json::to_string(&self.node_info()),
            Topic::Ring => serde_json::to_string(&self.ring_info()),
            Topic::Statistics => serde_json::to_string(&self.statistics()),
            Topic::Health => serde_json::to_string(&self.health()),
            Topic::Locate => {
                self.check_key(key)?;
                serde_json::to_string(&self.locate(key))
            }
        };
        json.map_err(|e| Error::new(ErrorKind::Internal, format!("no JSON of {topic:?}: {e}")))
    }

    pub(crate) fn node_info(&self) -> NodeInfo {
        let state = self.state();
        let own = state.members.own();
        if self.is_client() {
            // Nobody is told of a client: its record says nothing of where it is.
            let state = match self.life.phase() {
                Phase::Joining => "joining",
                Phase::Active => "active",
                Phase::Leaving => "leaving",
                Phase::Left | Phase::Stopped => "left",
            };
            let last_seen = self.env.wall_ms() as f64 / 1000.0;
            return NodeInfo { state: state.to_owned(), last_seen, ..self.bare_info(own) };
        }
        let info = state.members.get(&own.node_id).map(|known| self.info(known)).unwrap_or_else(|| self.bare_info(own));
        // Who is alone tells nobody that it leaves.
        if self.has_left() { NodeInfo { state: "left".to_owned(), ..info } } else { info }
    }

    /// All nodes ever heard of and not forgotten, gone ones included, ascending by id.
    pub(crate) fn members(&self) -> Vec<NodeInfo> {
        let state = self.state();
        state.members.iter().filter(|k| k.record().vnodes > 0).map(|k| self.info(k)).collect()
    }

    pub(crate) fn ring_info(&self) -> RingInfo {
        let view = self.view();
        let shares = view.shares();
        let state = self.state();
        let present = state.members.iter().filter(|k| k.record().present() && k.record().vnodes > 0);
        let nodes = present.map(|known| {
            let index = view.member_index(&known.record().node_id);
            let positions = known.member.positions.iter().map(|id| self.ids.hex(*id)).collect();
            let share = index.and_then(|i| shares.get(i as usize).copied()).unwrap_or(0.0);
            RingNode { node: self.info(known), positions, share }
        });
        RingInfo {
            hash_bits: self.params.hash_bits,
            slot_bits: self.params.slot_bits,
            replication_factor: self.replicas() as u16,
            view: format!("{:016x}", view.fingerprint()),
            nodes: nodes.collect(),
        }
    }

    /// The replicas of a key, owner first.
    pub(crate) fn locate(&self, key: &[u8]) -> Vec<NodeInfo> {
        let view = self.view();
        let list = view.replica_list(self.slot_of(key), self.replicas());
        let state = self.state();
        let info = |m: &u32| state.members.get(&view.member(*m).node_id).map(|known| self.info(known));
        list.iter().filter_map(info).collect()
    }

    /// The first other node before this node's position 0. As this and the next two are told from the view, they are right as soon as
    /// that is; Chord's own pointers follow it within some periods.
    pub(crate) fn predecessor(&self) -> Option<NodeInfo> {
        let view = self.view();
        let state = self.state();
        let before = view.distinct_before(state.vnodes.first()?.id, view.member_index(&self.node_id))?;
        state.members.get(&view.member(before.member).node_id).map(|known| self.info(known))
    }

    /// The next distinct others clockwise from position 0, at most `successor_list_size`.
    pub(crate) fn successor_list(&self) -> Vec<NodeInfo> {
        let view = self.view();
        let state = self.state();
        let Some(id) = state.vnodes.first().map(|v| v.id) else { return Vec::new() };
        let after = view.distinct_after(id, view.member_index(&self.node_id), self.config.successor_list_size);
        let info = |p: &crate::ring::view::Position| state.members.get(&view.member(p.member).node_id);
        after.iter().filter_map(info).map(|known| self.info(known)).collect()
    }

    /// Every finger of position 0: the node that was found for it, or until one is, the owner that the view names.
    pub(crate) fn finger_table(&self) -> Vec<Finger> {
        let view = self.view();
        let state = self.state();
        let Some(base) = state.vnodes.first().map(|v| v.id) else { return Vec::new() };
        let finger = |index: u16| {
            let start = self.ids.add_power_of_two(base, index);
            let owner = || view.successor(start).map(|position| &view.member(position.member).node_id);
            let node_id = state.fingers.found(index).map(|pointer| &pointer.node_id).or_else(owner)?;
            Some(Finger { index, start: self.ids.hex(start), node: self.info(state.members.get(node_id)?) })
        };
        (0..self.ids.bits()).filter_map(finger).collect()
    }

    pub(crate) fn health(&self) -> Health {
        let joined = matches!(self.life.phase(), Phase::Active | Phase::Leaving);
        let under_replicated_slots = self.under_replicated_slots();
        let (catching_up, foreign) = {
            let occupied = self.store.occupied().unwrap_or_default();
            let state = self.state();
            let unlisted = |slot: &crate::ring::slot::Slot| state.table.get(*slot).is_none_or(|s| !s.listed);
            let foreign: Vec<_> = occupied.into_iter().filter(unlisted).collect();
            (state.table.behind_len(), foreign)
        };
        let bytes_to_go = foreign.iter().map(|slot| self.store.bytes_in(*slot)).sum();
        Health {
            joined,
            handed_over: joined && catching_up == 0 && foreign.is_empty(),
            fully_replicated: joined && catching_up == 0 && under_replicated_slots == 0,
            under_replicated_slots,
            bytes_to_go,
            storage_ok: self.store.healthy(),
        }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        let stats = &self.stats;
        let traffic = self.transport.traffic();
        let misdeeds = self.transport.misdeeds().and(stats.misdeeds.snapshot());
        let usage = self.store.usage();
        let (joined, left) = {
            let state = self.state();
            (state.members.joined, state.members.left)
        };
        let rate = |good: u64, bad: u64| if good + bad == 0 { 1.0 } else { good as f64 / (good + bad) as f64 };
        let (stored, not_stored) = (stats.stores_successful.get(), stats.stores_failed.get());
        let (found, not_found) = (stats.lookups_successful.get(), stats.lookups_failed.get());
        let missed = stats.lookups_not_found.get();
        let uptime = self.env.uptime().as_secs_f64();
        let answered = stats.heartbeats_answered.get();
        Statistics {
            start_time: self.started_ms as f64 / 1000.0,
            uptime,
            messages_sent: traffic.messages_sent,
            messages_received: traffic.messages_received,
            bytes_sent: traffic.bytes_sent,
            bytes_received: traffic.bytes_received,
            stores_successful: stored,
            stores_failed: not_stored,
            lookups_successful: found,
            lookups_failed: not_found,
            lookups_not_found: missed,
            average_store_time: stats.store_times.average(),
            average_lookup_time: stats.lookup_times.average(),
            store_time_p50: stats.store_times.quantile(0.5),
            store_time_p99: stats.store_times.quantile(0.99),
            lookup_time_p50: stats.lookup_times.quantile(0.5),
            lookup_time_p99: stats.lookup_times.quantile(0.99),
            data_items_stored: usage.live,
            data_bytes_stored: usage.bytes,
            nodes_joined: joined,
            nodes_left: left,
            network_errors: traffic.network_errors,
            stabilize_operations: stats.stabilize_operations.get(),
            finger_table_updates: stats.finger_table_updates.get(),
            heartbeats_sent: stats.heartbeats_sent.get(),
            replications_sent: stats.replications_sent.get(),
            lookup_success_rate: rate(found, not_found),
            store_success_rate: rate(stored, not_stored),
            node_availability: rate(answered, stats.heartbeats_sent.get().saturating_sub(answered)),
            finger_table_accuracy: self.finger_accuracy(),
            conflicts_resolved: stats.conflicts_resolved.get(),
            under_replicated_slots: self.under_replicated_slots(),
            hits: found.saturating_sub(missed),
            misses: missed,
            evictions: self.store.evictions(),
            expirations: stats.expirations.get(),
            misbehaviours: misdeeds.by_kind.values().sum(),
            misbehaviour_kinds: misdeeds.by_kind,
            misbehaving_peers: misdeeds.by_peer,
            errors: stats.errors(),
        }
    }

    /// The numbers of all this, in Prometheus' text format.
    pub(crate) fn metrics(&self) -> String {
        let totals = Totals { stores: self.stats.store_times.total(), lookups: self.stats.lookup_times.total() };
        let members = prometheus::by_state(&prometheus::STATES, &self.members());
        prometheus::text(&self.statistics(), &self.health(), &members, Some(totals))
    }

    pub(super) fn pointed(&self, pointer: &Pointer) -> Option<NodeInfo> {
        let state = self.state();
        state.members.get(&pointer.node_id).map(|known| self.info(known))
    }

    fn info(&self, known: &Known) -> NodeInfo {
        let record = known.record();
        let mut info = self.bare_info(record);
        let wall = self.env.wall_ms() as f64 / 1000.0;
        let ago = match known.heard {
            Some(heard) => (self.env.now() - heard).as_secs_f64(),
            None if record.node_id == self.node_id => 0.0,
            // Whoever let it in has heard of it.
            None if record.present() && record.verdict == Verdict::Alive => {
                (self.env.now() - known.since).as_secs_f64()
            }
            None => return info,
        };
        info.last_seen = wall - ago;
        info
    }

    fn bare_info(&self, record: &NodeRecord) -> NodeInfo {
        let state = match (record.verdict, record.state) {
            (_, NodeState::Left) => "left",
            (Verdict::Dead, _) => "dead",
            (Verdict::Suspect, _) => "suspect",
            (Verdict::Alive, NodeState::Joining) => "joining",
            (Verdict::Alive, NodeState::Active) => "active",
            (Verdict::Alive, NodeState::Leaving) => "leaving",
        };
        NodeInfo {
            id: record.node_id.as_str().to_owned(),
            address: record.address.as_str().to_owned(),
            state: state.to_owned(),
            last_seen: 0.0,
            incarnation: record.incarnation,
            vnodes: record.vnodes,
            zone: record.zone.clone(),
        }
    }
}
