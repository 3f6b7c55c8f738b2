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

/// Seeds of a join that has not come to its end. A ring that this node was not let into, or whose join was given up, is not
/// looked for behind the caller's back.
struct AddedSeeds<'a> {
    node: &'a Node,
    seeds: Vec<String>,
}

impl AddedSeeds<'_> {
    /// They stay if the node is in, or may be.
    fn end_with(mut self, joined: &Result<()>) {
        if joined.as_ref().map_or_else(Error::maybe_applied, |()| true) {
            self.seeds.clear();
        }
    }
}

impl Drop for AddedSeeds<'_> {
    fn drop(&mut self) {
        if !self.seeds.is_empty() {
            self.node.state().seeds.retain(|seed| !self.seeds.contains(seed));
        }
    }
}

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
        let mut added = self.add_seeds(endpoints);
        let joined = self.join_at(&named.addresses, &own, &mut added, (found_by, deadline)).await;
        added.end_with(&joined);
        joined.map_err(|error| named.why_not(error))
    }

    fn add_seeds(&self, endpoints: &[String]) -> AddedSeeds<'_> {
        let mut state = self.state();
        let seeds: Vec<String> = endpoints.iter().filter(|e| !state.seeds.contains(e)).cloned().collect();
        state.seeds.extend(seeds.iter().cloned());
        drop(state);
        AddedSeeds { node: self, seeds }
    }

    async fn join_at(
        self: &Arc<Self>,
        addresses: &[Address],
        own: &[Address],
        added: &mut AddedSeeds<'_>,
        (mut found_by, deadline): (Instant, Instant),
    ) -> Result<()> {
        let mut pause = RETRY_MIN;
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
                    return Ok(());
                }
                Ok(welcome) if self.ring().id.is_some() && self.state().members.others().next().is_some() => {
                    if welcome.config != self.ring().config {
                        let (ours, theirs) = (self.ring().config, welcome.config);
                        let context = format!("the two rings have different settings: here {ours:?}, there {theirs:?}");
                        return Err(Error::new(ErrorKind::IncompatibleRing, context));
                    }
                    match self.unite(welcome.ring_id, &welcome.records, &welcome.at, deadline).await {
                        Ok(()) => return Ok(()),
                        Err(error) => error,
                    }
                }
                Ok(welcome) => {
                    let Some(way_in) = self.way_in() else { continue };
                    let node = self.clone();
                    let (tell, told) = oneshot::channel();
                    // A task of the node's own: a caller who gives up leaves no half-joined node.
                    let seeds = std::mem::take(&mut added.seeds);
                    self.tasks.spawn(async move {
                        let added = AddedSeeds { node: &node, seeds };
                        let joined = node.become_member(welcome).await;
                        added.end_with(&joined);
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
                return Err(error);
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
