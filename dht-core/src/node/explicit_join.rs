//! `join` as callers call it: with whatever the node holds, from wherever it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::join;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Node;
use super::join::{RETRY_MAX, RETRY_MIN};
use super::welcome::Refusal;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::Address;

impl Node {
    /// `join`: enters the ring of one of `endpoints`, with whatever this node holds.
    ///
    /// # Errors
    /// `InvalidArgument` if they name only this node; `Address` if none resolves; `Unreachable` if none lets it in until
    /// `found_by`, or the name service has not answered until then; `IncompatibleRing`, `Auth`, `ClockSkew`, `NodeIdInUse`,
    /// `RingFull` if the ring refuses. The node then is where it was. `Timeout` with an unknown outcome if it is still on its way in at the deadline.
    pub(crate) async fn join(
        self: &Arc<Self>,
        endpoints: &[String],
        found_by: Instant,
        deadline: Instant,
    ) -> Result<()> {
        let (named, own) = join(self.resolve_all(endpoints, found_by), self.own_addresses(found_by)).await;
        let mut named = named?;
        let joined = self.join_at(endpoints, &named.addresses, &own, (found_by, deadline)).await;
        joined.map_err(|error| named.why_not(error))
    }

    /// From now on a ring there is looked for as at configured seeds, if this node is in it or may be: one that it was not let into is
    /// not looked for behind the caller's back, nor while the caller waits.
    fn keep_seeds(&self, endpoints: &[String], joined: &Result<()>) {
        if joined.as_ref().is_err_and(|error| !error.maybe_applied()) {
            return;
        }
        let mut state = self.state();
        for seed in endpoints {
            if !state.seeds.contains(seed) {
                state.seeds.push(seed.clone());
            }
        }
    }

    async fn join_at(
        self: &Arc<Self>,
        endpoints: &[String],
        addresses: &[Address],
        own: &[Address],
        (mut found_by, deadline): (Instant, Instant),
    ) -> Result<()> {
        let mut pause = RETRY_MIN;
        // The other ring may have taken it up.
        let mut maybe_united = false;
        loop {
            let error = match self.welcome(addresses, own, found_by).await {
                // Where this node is when another join has ended decides what this one does.
                Ok(_) if self.entering.load(Ordering::Acquire) => {
                    self.others_have_entered(deadline).await?;
                    found_by = (self.env.now() + self.config.request_timeout).min(deadline);
                    continue;
                }
                Ok(welcome) if self.ring().id == Some(welcome.ring_id) => {
                    self.learn(&welcome.records);
                    self.keep_seeds(endpoints, &Ok(()));
                    return Ok(());
                }
                Ok(welcome) if self.ring().id.is_some() && self.state().members.others().next().is_some() => {
                    if welcome.config != self.ring().config {
                        let (ours, theirs) = (self.ring().config, welcome.config);
                        let context = format!("the two rings have different settings: here {ours:?}, there {theirs:?}");
                        return Err(Error::new(ErrorKind::IncompatibleRing, context));
                    }
                    let united = self.unite(welcome.ring_id, &welcome.records, &welcome.at, deadline).await;
                    self.keep_seeds(endpoints, &united);
                    let Err(error) = united else { return Ok(()) };
                    maybe_united |= error.maybe_applied();
                    error
                }
                Ok(welcome) => {
                    let Some(way_in) = self.way_in() else { continue };
                    let node = self.clone();
                    let (tell, told) = oneshot::channel();
                    // A task of the node's own: a caller who gives up leaves no half-joined node.
                    let seeds = endpoints.to_vec();
                    self.tasks.spawn(async move {
                        let joined = node.become_member(welcome).await;
                        node.keep_seeds(&seeds, &joined);
                        drop(way_in);
                        let _ = tell.send(joined);
                    });
                    return match tokio::time::timeout_at(deadline, told).await {
                        Ok(Ok(joined)) => joined,
                        Ok(Err(_)) => Err(self.ended_error()),
                        Err(_) => {
                            let context = "still joining: the copy of our slots goes on";
                            Err(Error::new(ErrorKind::Timeout, context).unknown_outcome())
                        }
                    };
                }
                Err(Refusal { error, .. }) => error,
            };
            if self.life.phase().ended() {
                return Err(self.ended_error());
            }
            let passing = matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Overloaded);
            let retry = passing && self.env.now() + pause < found_by;
            if !retry {
                return Err(if maybe_united { error.unknown_outcome() } else { error });
            }
            tokio::time::sleep(self.env.jittered(pause)).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    /// Waits for a join that is under way.
    async fn others_have_entered(&self, deadline: Instant) -> Result<()> {
        loop {
            let seen = self.progress.seen();
            if !self.entering.load(Ordering::Acquire) {
                return Ok(());
            }
            if self.env.now() >= deadline {
                return Err(Error::new(ErrorKind::Timeout, "another join of this node is still under way"));
            }
            self.progress.since(seen, deadline).await;
        }
    }
}
