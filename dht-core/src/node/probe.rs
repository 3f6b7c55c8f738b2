//! Failure detection: heartbeats to the next node on the ring and to one other in turn, indirect probes, suspicion,
//! verdict (SWIM, Das et al. 2002). Whoever suspects routes around the node at once; only the verdict changes lists.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::Node;
use super::peers::Peer;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::{Address, NodeId, NodeRecord, Verdict};
use crate::transport::{Fault, Reply, TransportError};
use crate::wire::message::{Request, Response};

/// A heartbeat not answered within this is missed (or within the heartbeat interval, if that is shorter).
pub(super) const ANSWER_MAX: Duration = Duration::from_millis(500);
/// Others asked to try, before a silent node is suspected.
const INDIRECT: usize = 3;
/// How often what is known of the clocks of others is forgotten a little.
const RELAX_PERIOD: Duration = Duration::from_secs(1);
/// Heartbeat intervals that a suspect whose address refuses has to come back: a restart takes another boot.
const REFUSED_PERIODS: u32 = 1;
/// Heartbeat intervals that a silent suspect has, in a ring of ten; times log10 of the nodes beyond.
const SILENT_PERIODS: f64 = 4.0;

/// How long a silent suspect has to come back, among that many others, if the judge itself is well.
pub(super) fn silent_max(period: Duration, others: usize) -> Duration {
    period.mul_f64(SILENT_PERIODS * (others.max(10) as f64).log10())
}

/// Suspects that one node asks again in one period; others ask the others.
const SUSPECTS_MAX: usize = 3;
/// Nodes that ask the same suspect again in one period, about: enough that it hears of it, whatever gets lost.
const ASKED_BY: usize = 16;

/// Sends heartbeats and gives verdicts, for life.
pub(crate) async fn heartbeats(node: Arc<Node>) {
    let period = node.config.heartbeat_interval;
    let mut round = Vec::new();
    let mut relaxed_at = node.env.now();
    let mut passed_over = 0;
    loop {
        tokio::time::sleep(node.env.jittered(period)).await;
        // A thousandth of the time: a millisecond of each second.
        let passed = node.env.now() - relaxed_at;
        if passed >= RELAX_PERIOD {
            relaxed_at = node.env.now();
            node.hlc.relax(passed.as_secs());
        }
        let patience = node.state().local_health.score();
        passed_over += 1;
        if passed_over > patience {
            passed_over = 0;
            for peer in node.heartbeat_targets(&mut round) {
                node.probe_soon(&peer);
            }
        }
        node.pass_verdicts(period);
    }
}

/// How well this node itself is: a node that is starved takes others for dead, so it asks more slowly, waits longer and
/// judges later (Lifeguard, Dadgar et al. 2018, §4.1 *LHA-Probe*, §4.2 *LHA-Suspicion*). A probe that goes unanswered
/// says nothing of this node if those who are asked to try answer, and find nobody there either.
#[derive(Default)]
pub(crate) struct LocalHealth(u32);

/// What came of a ping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pinged {
    Alive,
    Silent,
    /// Its machine, or another node, answers at its address.
    Refused,
    /// This machine got no message out.
    Untried,
}

/// What came of asking others to try.
struct Indirect {
    asked: usize,
    /// With anything, if only that they could not try; and with what came of it.
    replied: usize,
    answered: usize,
    alive: bool,
}

impl LocalHealth {
    /// Nine times as patient at most.
    const SCORE_MAX: u32 = 8;

    /// 0: well.
    pub(crate) fn score(&self) -> u32 {
        self.0
    }

    /// A probe went unanswered, and so did those who were asked to try; or others had to be told that this node lives.
    pub(crate) fn worse(&mut self) {
        self.0 = (self.0 + 1).min(Self::SCORE_MAX);
    }

    /// A probe was answered.
    pub(crate) fn better(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }
}

impl Node {
    /// The next node on the ring, some suspects, and one other: everybody once a round, each round in another order
    /// (SWIM, §4.3), so that a death is noticed within two rounds and nodes do not all ask the same one.
    fn heartbeat_targets(&self, round: &mut Vec<NodeId>) -> Vec<Peer> {
        let state = self.state();
        let present = |id: &NodeId| state.members.get(id).filter(|k| k.record().present()).map(|k| k.record());
        let mut wanted: Vec<&NodeRecord> = Vec::new();
        let next = state.vnodes.first().and_then(|v| v.successors.first());
        wanted.extend(next.and_then(|pointer| present(&pointer.node_id)));
        if round.is_empty() {
            round.extend(state.members.others().map(|k| k.record().node_id.clone()));
            for last in (1..round.len()).rev() {
                round.swap(last, self.env.random_below(last + 1));
            }
        }
        // Whoever went since the round began is passed over.
        wanted.extend(std::iter::from_fn(|| round.pop()).find_map(|id| present(&id)));
        let mut suspects: Vec<&NodeRecord> = state.members.suspects().map(super::Known::record).collect();
        let (nodes, asked) = (state.members.others_len() + 1, suspects.len() * ASKED_BY);
        let drawn = usize::from(self.env.random_below(nodes) < asked % nodes);
        // What a client suspects by itself nobody else asks.
        let share = if self.is_client() { SUSPECTS_MAX } else { asked / nodes + drawn };
        for _ in 0..share.min(SUSPECTS_MAX).min(suspects.len()) {
            wanted.push(suspects.swap_remove(self.env.random_below(suspects.len())));
        }
        let mut targets: Vec<Peer> = wanted.into_iter().map(Peer::from).collect();
        targets.sort();
        targets.dedup();
        targets
    }

    fn pass_verdicts(&self, period: Duration) {
        // What refutes a suspicion may lie in the sockets of a node that stood still.
        if self.stood_still() && self.stall.puts_off_verdicts(self.env.uptime_ms()) {
            return;
        }
        let now = self.env.now();
        let dead = {
            let mut state = self.state();
            let patience = 1 + state.local_health.score();
            let silent_max = silent_max(period, state.members.others_len()) * patience;
            let overdue = state.members.overdue(now, period * REFUSED_PERIODS, silent_max);
            let judge = |(id, boot)| state.members.judge(&id, boot, Verdict::Dead, now);
            let dead: Vec<_> = overdue.into_iter().filter(|_| !planted!("no_verdict")).filter_map(judge).collect();
            state.members.bury(now);
            if !dead.is_empty() {
                self.refresh(&mut state);
            }
            dead
        };
        for record in dead {
            log!(self, info, peer = %record.node_id, "gave up a node");
            self.spread(record);
        }
    }

    /// Probes `peer` in the background, unless that is being done already.
    pub(crate) fn probe_soon(&self, peer: &Peer) {
        let Some(node) = self.myself() else { return };
        if !self.state().probing.insert(peer.node_id.clone()) {
            return;
        }
        let peer = peer.clone();
        self.tasks.spawn(async move {
            node.probe(&peer).await;
            node.state().probing.remove(&peer.node_id);
        });
    }

    async fn probe(&self, peer: &Peer) {
        let (patience, suspected) = {
            let state = self.state();
            let patience = ANSWER_MAX.min(self.config.heartbeat_interval) * (1 + state.local_health.score());
            let record = state.members.get(&peer.node_id).map(|known| known.record());
            (patience, record.is_some_and(|r| r.present() && r.verdict == Verdict::Suspect))
        };
        let pinged = self.ping(peer, patience).await;
        self.stats.heartbeats_sent.add(u64::from(pinged != Pinged::Untried));
        if pinged == Pinged::Alive {
            self.contradict_death(peer);
            self.cut_off.heard(peer.boot, self.env.now());
            self.stats.heartbeats_answered.add(1);
            self.state().local_health.better();
            if suspected {
                self.probe_another_suspect();
            }
            return;
        }
        if pinged != Pinged::Untried && self.confirm_death(peer) {
            return;
        }
        let refused = pinged == Pinged::Refused;
        let Indirect { asked, replied, answered, alive } = self.ping_through_others(peer, patience).await;
        // Where the machine answered for its process, that says nothing of ours.
        if asked > 0 && replied == 0 && !refused {
            self.state().local_health.worse();
        }
        if !alive {
            // What this machine could not even send says nothing of the peer.
            if pinged != Pinged::Untried || answered > 0 {
                self.suspect(peer, refused);
            }
        } else {
            log!(self, debug, peer = %peer.node_id, refused, "answers others, and not this node");
            self.cut_off.note(peer.boot, self.env.now());
        }
    }

    /// Where one suspect answers, many may: a split has healed. So each that does is followed by another at once, instead
    /// of some every heartbeat, until one does not answer or all have: in a ring of a thousand the rest would be given up
    /// before their turn.
    fn probe_another_suspect(&self) {
        let next = {
            let state = self.state();
            let unheard: Vec<&super::Known> =
                state.members.unheard_suspects().filter(|k| !state.probing.contains(&k.record().node_id)).collect();
            if unheard.is_empty() {
                return;
            }
            Peer::from(unheard[self.env.random_below(unheard.len())].record())
        };
        self.probe_soon(&next);
    }

    /// Whether `peer` answers, as the boot that is known.
    async fn ping(&self, peer: &Peer, patience: Duration) -> Pinged {
        let records = {
            let mut state = self.state();
            let known = state.members.get(&peer.node_id).map(|known| known.record().clone());
            match known.filter(|record| record.verdict == Verdict::Suspect) {
                // It must hear of it, or it cannot refute. All else would be told to nobody, most likely.
                Some(suspect) => vec![suspect],
                None if state.claims.doubt(&peer.node_id) => Vec::new(),
                None => state.news.take(self.view.load().members().len(), peer.boot),
            }
        };
        let ping = Request::Ping { boot: peer.boot, records };
        let deadline = self.env.now() + patience;
        let call = self.calling(ping, deadline, 0);
        let answer = self.transport.call(&peer.address, call, deadline).await;
        let alive = match answer {
            Ok(reply) if reply.head.sender == peer.boot => match self.accept_reply(peer, reply) {
                Ok(Response::Pong { records }) => {
                    self.learn_from(peer.boot, &records);
                    true
                }
                // Busy is not dead.
                Err(error) => error.kind() == ErrorKind::Overloaded,
                Ok(_) => false,
            },
            // Somebody else listens there now: the node we mean does not.
            Ok(_) | Err(TransportError::Refused(_)) => return Pinged::Refused,
            Err(TransportError::Busy { boot, .. } | TransportError::Late { boot, .. }) => boot == peer.boot,
            Err(error) if never_left(&error) => return Pinged::Untried,
            Err(_) => false,
        };
        if !alive {
            return Pinged::Silent;
        }
        self.state().members.heard(&peer.node_id, self.env.now());
        Pinged::Alive
    }

    async fn ping_through_others(&self, peer: &Peer, patience: Duration) -> Indirect {
        let helpers = self.some_members(INDIRECT, |r| r.verdict == Verdict::Alive && r.node_id != peer.node_id);
        let mut asked = FuturesUnordered::new();
        for helper in helpers {
            let request = Request::PingFor { address: peer.address.clone(), boot: peer.boot };
            let call = self.calling(request, self.env.now() + patience * 2, 0);
            asked.push(self.transport.call(&helper.address, call, self.env.now() + patience * 2));
        }
        let mut outcome = Indirect { asked: asked.len(), replied: 0, answered: 0, alive: false };
        while let Some(answer) = asked.next().await {
            outcome.replied += usize::from(answer.is_ok());
            if let Ok(reply) = answer
                && let Response::Probed { alive } = reply.body
            {
                outcome.answered += 1;
                outcome.alive |= alive;
                if alive {
                    break;
                }
            }
        }
        outcome
    }

    /// Answers `PingFor`: tries the address on somebody's behalf.
    pub(crate) async fn serve_ping_for(&self, address: Address, boot: u64) -> Response {
        let until = self.env.now() + ANSWER_MAX;
        match self.answers_at(&address, boot, until).await {
            Ok(alive) => Response::Probed { alive },
            Err(error) => Response::Failure(error),
        }
    }

    /// Whether that life of a node answers there; asked for a moment, and until `until` at most.
    ///
    /// # Errors
    /// `Overloaded`: this machine got no message out, and knows nothing.
    pub(super) async fn answers_at(&self, address: &Address, boot: u64, until: Instant) -> Result<bool> {
        let deadline = until.min(self.env.now() + ANSWER_MAX.min(self.config.heartbeat_interval));
        let ping = Request::Ping { boot, records: Vec::new() };
        let call = self.calling(ping, deadline, 0);
        let answer = self.transport.call(address, call, deadline).await;
        if let Ok(reply) = &answer {
            self.hear_pong(reply);
        }
        match &answer {
            Err(error) if never_left(error) => {
                let context = format!("{} cannot ask anybody at {address} now: {error}", self.node_id);
                Err(Error::new(ErrorKind::Overloaded, context))
            }
            answer => Ok(answered_by(answer) == Some(boot)),
        }
    }
}

/// This process could not even try.
pub(super) fn never_left(error: &TransportError) -> bool {
    matches!(error, TransportError::NoRoom(_) | TransportError::Unreached { fault: Fault::Here, .. })
}

/// The boot that answered, if only to say that it has no room for another connection, or somebody else meanwhile.
fn answered_by(answer: &std::result::Result<Reply, TransportError>) -> Option<u64> {
    match answer {
        Ok(reply) => Some(reply.head.sender),
        Err(TransportError::Busy { boot, .. } | TransportError::Late { boot, .. }) => Some(*boot),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::record::Address;

    #[test]
    fn a_node_without_room_lives_and_a_full_queue_says_nothing_of_it() {
        let to = Address::new("127.0.0.1:1");
        assert_eq!(answered_by(&Err(TransportError::Busy { to: to.clone(), boot: 7 })), Some(7));
        assert_eq!(answered_by(&Err(TransportError::Late { to: to.clone(), boot: 7 })), Some(7));
        assert_eq!(answered_by(&Err(TransportError::Deadline(to.clone()))), None);
        assert_eq!(answered_by(&Err(TransportError::Overloaded(to.clone()))), None);
        // A queue is full since the peer takes nothing; no room for a connection to it is not its fault.
        assert!(!never_left(&TransportError::Overloaded(to.clone())) && never_left(&TransportError::NoRoom(to)));
    }

    #[test]
    fn local_health_is_bounded_both_ways() {
        let mut health = LocalHealth::default();
        health.better();
        assert_eq!(health.score(), 0);
        (0..20).for_each(|_| health.worse());
        assert_eq!(health.score(), LocalHealth::SCORE_MAX);
        (0..7).for_each(|_| health.better());
        assert_eq!(health.score(), 1);
    }
}
