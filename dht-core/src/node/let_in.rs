//! What a member answers to a node that wants in: what the ring is, or why not.

use tokio::time::Instant;

use super::Node;
use super::probe::ANSWER_MAX;
use super::repair::forgot;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::params::RingParams;
use crate::ring::record::{NodeRecord, Verdict};
use crate::transport::misbehaviour::Misbehaviour;
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
            let records = state.members.iter().map(|k| k.record().clone()).filter(|r| r.vnodes > 0).collect();
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
