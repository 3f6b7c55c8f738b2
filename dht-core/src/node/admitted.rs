//! A joiner's side of the admission: every node whose lists change must let it in.
//!
//! All go through them in one order, so that two joiners cannot wait for each other: what was granted beyond the first
//! who refuses is given back. Whoever refuses is asked to answer when it is our turn; the others are asked all at once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Node;
use super::peers::Peer;
use crate::error::{ErrorKind, Result};
use crate::wire::message::{Request, Response};

/// How long one that refuses may take to answer, and the pause where it did not use that time.
const TURN_MAX: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(15);

impl Node {
    /// Returns when all of `affected` that answer have let us in.
    pub(super) async fn wait_for_admission(&self, affected: &BTreeSet<Peer>) {
        let mut left: Vec<&Peer> = affected.iter().collect();
        while let Some((first, rest)) = left.split_first() {
            self.wait_for_turn(first).await;
            let deadline = self.env.now() + self.config.request_timeout;
            let ask = |peer| async move { Self::settled_by(&self.ask_admission(peer, false, deadline).await) };
            let answers = join_all(rest.iter().map(|peer| ask(*peer))).await;
            let Some(at) = answers.iter().position(|settled| !settled) else { return };
            join_all(rest[at..].iter().map(|peer| self.give_back(peer))).await;
            left = rest[at..].to_vec();
        }
    }

    /// Asks one until it lets us in.
    async fn wait_for_turn(&self, peer: &Peer) {
        // Whoever does not answer for a whole call's time has no say: it is dead, or will hear of the switch like
        // everybody. A refusal is an answer.
        let mut give_up = self.env.now() + self.config.request_timeout;
        loop {
            let asked = self.env.now();
            let answer = self.ask_admission(peer, true, give_up.min(asked + TURN_MAX)).await;
            let now = self.env.now();
            match answer {
                _ if Self::settled_by(&answer) => return,
                Err(_) if now >= give_up => return,
                Err(_) => {}
                Ok(_) => {
                    give_up = now + self.config.request_timeout;
                    if now < asked + RETRY {
                        tokio::time::sleep(self.env.jittered(RETRY)).await;
                    }
                }
            }
        }
    }

    /// It let us in, or has no say. Silence may be a lost message.
    fn settled_by(answer: &Result<Response>) -> bool {
        match answer {
            Ok(Response::Admitted { granted }) => *granted,
            Ok(_) => true,
            Err(error) => error.kind() != ErrorKind::Timeout,
        }
    }

    async fn ask_admission(&self, peer: &Peer, wait: bool, until: Instant) -> Result<Response> {
        self.state().admitted_by.insert(peer.clone());
        let until = if wait { until } else { self.attempt_deadline(peer, until) };
        let ask = Request::Admit { node_id: self.node_id.clone(), boot: self.boot, release: false, wait };
        self.call(peer, ask, until, 0).await
    }

    /// Another may enter there first. Until it has answered it may take us for the one that enters, which it forgets
    /// if this gets lost for good.
    async fn give_back(&self, peer: &Peer) {
        let until = self.attempt_deadline(peer, self.env.now() + self.config.request_timeout);
        if let Err(error) = self.call(peer, self.release(), until, 0).await {
            log!(self, debug, peer = %peer.node_id, %error, "did not take back its admission");
        }
    }

    /// Lets go of all admissions: this node is caught up.
    pub(crate) fn release_admissions(&self) {
        let peers = std::mem::take(&mut self.state().admitted_by);
        for peer in peers {
            self.tell(&peer.address, self.release());
        }
    }

    fn release(&self) -> Request {
        Request::Admit { node_id: self.node_id.clone(), boot: self.boot, release: true, wait: false }
    }
}
