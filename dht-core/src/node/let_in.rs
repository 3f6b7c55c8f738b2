//! What a member answers to a node that wants in: what the ring is, or why not.

use std::cmp::Reverse;

use tokio::time::Instant;

use super::probe::ANSWER_MAX;
use super::repair::forgot;
use super::{Known, Node};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::params::RingParams;
use crate::ring::record::{NodeId, NodeRecord, Verdict};
use crate::transport::misbehaviour::Misbehaviour;
use crate::wire::limits::RECORDS_MAX;
use crate::wire::message::Response;

/// Tries to reach a node that wants in at its address; messages get lost.
const DIAL_BACKS: usize = 2;

impl Node {
    /// Answers `Join`.
    pub(crate) async fn serve_join(
        &self,
        record: NodeRecord,
        params: RingParams,
        client: bool,
        deadline: Instant,
    ) -> Result<Response> {
        let Some(ring_id) = self.ring().id.filter(|_| self.life.phase().serves()) else {
            return Err(Error::new(ErrorKind::NotJoined, format!("{} is in no ring itself yet", self.node_id)));
        };
        if let Some((name, ours, theirs)) = self.params.difference(&params) {
            let context = format!("{name} differs: the ring has {ours}, the joining node {theirs}");
            return Err(Error::new(ErrorKind::IncompatibleRing, context));
        }
        // As it is before this one is looked for.
        let forgotten = if client {
            None
        } else {
            let (grace, now) = (self.ring().config.tombstone_grace, self.env.now());
            forgot(&self.state().members, &record.node_id, grace, self.replicas(), now)
        };
        if !client {
            self.refuse_unreachable(&record, deadline).await?;
            self.refuse_live_duplicate(&record).await?;
            self.refuse_if_full(&record)?;
        }
        let config = self.ring().config;
        let (records, reunites) = {
            let state = self.state();
            let placed = state.members.iter().filter(|k| k.record().vnodes > 0);
            let records = told(&self.node_id, placed, RECORDS_MAX);
            (records, state.table.reunites())
        };
        let given_up_ms = forgotten.map_or(0, |given_up| u64::try_from(given_up.as_millis()).unwrap_or(u64::MAX));
        let (wall_ms, forgotten) = (self.env.wall_ms(), forgotten.is_some());
        Ok(Response::Welcome { ring_id, config, records, wall_ms, reunites, forgotten, given_up_ms })
    }

    /// Whoever wants in must answer where others are going to dial it, or they would take it for dead as soon as it is in.
    async fn refuse_unreachable(&self, record: &NodeRecord, deadline: Instant) -> Result<()> {
        for _ in 0..DIAL_BACKS {
            // The refusal has to be heard: to who waits in vain this ring would seem not to be there.
            let until = self.env.now() + deadline.saturating_duration_since(self.env.now()) / 4;
            if self.answers_at(&record.address, record.boot, until).await? {
                return Ok(());
            }
        }
        self.misbehaved(Misbehaviour::Unbacked, Some(&record.node_id));
        let context = format!(
            "{} cannot be reached at {}, as {} found: is `advertise` an address that others can dial?",
            record.node_id, record.address, self.node_id
        );
        Err(Error::new(ErrorKind::Unreachable, context))
    }

    /// A node_id is in use as long as its present boot answers at its address; if it does not, that boot is dead.
    async fn refuse_live_duplicate(&self, record: &NodeRecord) -> Result<()> {
        let known = self.state().members.get(&record.node_id).map(|k| k.record().clone());
        let Some(known) = known.filter(|k| k.boot != record.boot && k.present()) else { return Ok(()) };
        let mine = known.boot == self.boot;
        let until = self.env.now() + ANSWER_MAX;
        let alive =
            mine || known.address != record.address && self.answers_at(&known.address, known.boot, until).await?;
        if alive {
            let context = format!("node_id {:?} is alive at {}", record.node_id.as_str(), known.address);
            return Err(Error::new(ErrorKind::NodeIdInUse, context));
        }
        let dead = {
            let mut state = self.state();
            let dead = state.members.judge(&known.node_id, known.boot, Verdict::Dead, self.env.now());
            self.refresh(&mut state);
            dead
        };
        if let Some(dead) = dead {
            self.spread(dead);
        }
        Ok(())
    }
}

/// Of what is known of a ring's nodes as many records as one message holds: of this node, of those that are present, and of those
/// that went last. The rest is told when records are exchanged.
pub(super) fn told<'a>(own: &NodeId, known: impl Iterator<Item = &'a Known>, max: usize) -> Vec<NodeRecord> {
    let mut known: Vec<&Known> = known.collect();
    if known.len() > max {
        let gone = |known: &Known| (!known.record().present()).then_some(Reverse(known.since));
        known.sort_by_key(|known| (known.record().node_id != *own, gone(known)));
        known.truncate(max);
    }
    known.into_iter().map(|known| known.record().clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::env::Env;
    use crate::placement::record;
    use crate::ring::record::Member;

    #[test]
    fn what_exceeds_a_message_is_left_out_beginning_with_those_that_went_first() {
        let now = Env::system().now();
        let known = |name: &str, verdict, since_s| {
            let record = NodeRecord { verdict, ..record(name, 1, 1) };
            let member = Arc::new(Member { record, positions: Arc::default() });
            Known { member, since: now + Duration::from_secs(since_s), heard: None, refused: false }
        };
        let all = [
            known("first to go", Verdict::Dead, 1),
            known("last to go", Verdict::Dead, 3),
            known("between", Verdict::Dead, 2),
            known("suspect", Verdict::Suspect, 9),
            known("there", Verdict::Alive, 0),
            known("zz own", Verdict::Alive, 0),
        ];
        let names = |max| {
            let told = told(&NodeId::new("zz own"), all.iter(), max);
            told.iter().map(|record| record.node_id.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(6).len(), 6);
        assert_eq!(names(5), ["zz own", "suspect", "there", "last to go", "between"]);
        assert_eq!(names(1), ["zz own"]);
    }
}
