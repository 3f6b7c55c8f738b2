//! Ways into a ring for a node that starts: found one, or ask its seeds to be let in (`welcome.rs`); what becomes of that is in
//! `become_member.rs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::come_back::GIVE_WAY_MAX;
use super::names::Named;
use super::welcome::{Refusal, final_for_join};
use super::{Node, Phase, Ring};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::{Address, RingId};

/// Between two tries to join.
pub(super) const RETRY_MIN: Duration = Duration::from_millis(50);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(1);

/// One at a time changes the ring that a node is in.
pub(super) struct WayIn(Arc<Node>);

impl Drop for WayIn {
    fn drop(&mut self) {
        self.0.entering.store(false, Ordering::Release);
        self.0.progress.step();
    }
}

impl Node {
    /// Founds a ring of one, which serves at once.
    pub(crate) fn found(&self) {
        let fresh = || Ring { id: Some(RingId(self.env.random_u128())), config: self.ring().config };
        let solitude = self.former_solitude();
        let ring = solitude.unwrap_or_else(fresh);
        {
            let mut state = self.state();
            // Somebody who took this node for another may have told it of theirs.
            state.forget_others();
            if solitude.is_some() {
                // Whoever was given up then may come back, with what was deleted meanwhile.
                self.remember_the_gone(&mut state);
            }
            self.ring.store(Arc::new(ring));
            if !self.keeps_positions() {
                self.choose_positions(&mut state);
            }
            state.members.declare(self.enters_lists(), self.env.now());
            let view = Arc::new(state.members.view());
            state.table.found(self.slots, &view, self.replicas());
            for slot in self.slots.iter() {
                self.readable.set(slot, true);
            }
            self.view.store(view);
        }
        log!(self, info, "founded a ring");
        self.enter_active();
    }

    /// Joins through the configured seeds, or founds a ring if this node is the one to do it. Returns after that, or
    /// at `deadline`; then goes on trying for life.
    pub(crate) async fn enter(self: &Arc<Self>, deadline: Instant) -> Result<()> {
        let seeds = self.config.seeds.clone();
        let (tell, told) = oneshot::channel();
        let node = self.clone();
        self.tasks.spawn(async move {
            let mut tell = Some(tell);
            let mut pause = RETRY_MIN;
            let mut first = true;
            loop {
                // An explicit join was quicker.
                if node.life.phase() != Phase::Joining {
                    tell.take().map(|tell| tell.send(Ok(())));
                    return;
                }
                let tried = Box::pin(node.enter_once(&seeds)).await;
                match tried {
                    Ok(()) => {
                        tell.take().map(|tell| tell.send(Ok(())));
                        return;
                    }
                    Err(error) => {
                        node.try_failed(&error);
                        // A name that was known once may be again.
                        if final_for_join(error.kind()) || first && error.kind() == ErrorKind::Address {
                            tell.take().map(|tell| tell.send(Err(error)));
                        }
                    }
                }
                first = false;
                tokio::time::sleep(node.env.jittered(pause)).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        });
        match tokio::time::timeout_at(deadline, told).await {
            Ok(Ok(result)) => result,
            _ => Ok(()),
        }
    }

    /// One try with the seeds; founds if all are silent and this node's address is the smallest of them.
    async fn enter_once(self: &Arc<Self>, seeds: &[String]) -> Result<()> {
        let (named, mut own) = {
            let deadline = self.env.now() + self.config.request_timeout;
            join(self.resolve_all(seeds, deadline), self.own_addresses(deadline)).await
        };
        // Whoever is asked has the whole time, however long that took.
        let deadline = self.env.now() + self.config.request_timeout;
        if let Some(former) = self.former_company() {
            // Those that were there are as good to ask as the seeds.
            let known = named.unwrap_or_else(|error| Named { addresses: Vec::new(), late: Some(error) });
            return self.come_back_once(former, &known, &own, deadline).await;
        }
        let mut named = named?;
        match self.welcome(&named.addresses, &own, deadline).await {
            Ok(welcome) => {
                let _way_in = self.first_way_in()?;
                self.become_member(welcome).await
            }
            Err(Refusal { error, ring, own: answered_at, .. }) => {
                own.splice(..0, answered_at);
                // Of one whose name is not known yet nobody can say that it is silent.
                // A ring that does not take this node is there nevertheless.
                let alone = self.former_solitude().is_some();
                // Who was alone before does not wait for it for ever.
                let known = named.late.is_none() || alone && self.env.uptime() >= GIVE_WAY_MAX;
                let silent = known && matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::InvalidArgument);
                let goes_on = alone || !self.is_client() && self.is_first_of(seeds, &named.addresses, &own);
                if silent && ring.is_none() && goes_on {
                    let _way_in = self.first_way_in()?;
                    self.found();
                    return Ok(());
                }
                Err(named.why_not(error))
            }
        }
    }

    /// Of those that are started with these seeds this node is the one to found a ring: its address is the smallest. Where the
    /// seeds name it as others are told to dial it, names are compared, which are the same to all; else what they resolve to,
    /// of the kind that this node has.
    fn is_first_of(&self, seeds: &[String], addresses: &[Address], own: &[Address]) -> bool {
        if seeds.iter().any(|seed| seed == self.address.as_str()) {
            return seeds.iter().min().is_some_and(|first| first == self.address.as_str());
        }
        let parsed = |address: &Address| address.as_str().parse::<SocketAddr>().ok();
        let is_loopback = |address: &Address| parsed(address).is_some_and(|a| a.ip().to_canonical().is_loopback());
        let is_v4 = |address: &Address| parsed(address).is_some_and(|address| address.is_ipv4());
        let kind = own.iter().rev().find(|address| parsed(address).is_some()).is_none_or(is_v4);
        // Where this machine calls itself 127.0.1.1 (Debian), others compare the address that they dial.
        let dialled = own.iter().rev().find(|address| parsed(address).is_some() && !is_loopback(address));
        let as_dialled = |address: &Address| {
            let Some(dialled) = dialled.filter(|_| is_loopback(address)) else { return address.clone() };
            match (parsed(dialled), parsed(address)) {
                _ if own.contains(address) => dialled.clone(),
                // Another of this machine's nodes has its own port.
                (Some(there), Some(here)) if there.is_ipv4() == here.is_ipv4() => {
                    Address::new(&SocketAddr::new(there.ip(), here.port()).to_string())
                }
                _ => address.clone(),
            }
        };
        let all = addresses.iter().map(as_dialled).filter(|address| is_v4(address) == kind);
        all.min().is_some_and(|first| own.contains(&first))
    }

    /// The way into a ring for a node that is in none.
    ///
    /// # Errors
    /// `NotJoined`: an explicit join is taking it into one, or has.
    pub(super) fn first_way_in(self: &Arc<Self>) -> Result<WayIn> {
        let way_in = self.way_in().filter(|_| self.life.phase() == Phase::Joining);
        way_in.ok_or_else(|| Error::new(ErrorKind::NotJoined, "another join was quicker"))
    }

    /// `None` while somebody else is on the way.
    pub(super) fn way_in(self: &Arc<Self>) -> Option<WayIn> {
        (!self.entering.swap(true, Ordering::AcqRel)).then(|| WayIn(self.clone()))
    }
}
