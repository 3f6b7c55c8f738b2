//! A node is started again on its `data_dir`: alone it goes on with its ring; else it joins those that are still there, as
//! any newcomer, though with most of its data; and if all of them were stopped, the ring forms again from those that return.
//!
//! Of several that return at once the one with the smallest node_id forms the ring, under its old ring_id, and the others
//! join. Should two do it, they meet as the two sides of a split do.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

use super::names::Named;
use super::welcome::{Refusal, Welcome, final_for_join};
use super::{Node, Ring, State};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::{Address, Member, NodeId, NodeRecord, NodeState, RingId, Verdict};
use crate::ring::reunion::Reunion;
use crate::ring::view::{RingView, positions_of};
use crate::wire::facts::Facts;

/// How long a node waits for one with a smaller node_id, which returns too, to form the ring, and for names of seeds.
pub(super) const GIVE_WAY_MAX: Duration = Duration::from_secs(5);

/// Addresses that are asked to let a node in that comes back, before all are.
const ASKED_FIRST: usize = 16;

/// What those answered that a node which returns has asked.
#[derive(Default)]
struct Heard {
    welcome: Option<Welcome>,
    /// Its ring, or a seed's, takes no such node, now or at all.
    refusal: Option<Error>,
    /// Why nobody is to be asked any more.
    not_let_in: Option<Error>,
    /// Those that are on their way back themselves.
    returning: BTreeSet<Address>,
}

impl Heard {
    /// Nobody is in a ring that is, or may be, this node's.
    fn is_nobody(&self) -> bool {
        self.welcome.is_none() && self.refusal.is_none() && self.not_let_in.is_none()
    }

    /// Asking more of them would not tell more: the ring of `former` has answered, or this node is let in nowhere.
    fn is_answer_of(&self, former: &Facts) -> bool {
        match &self.welcome {
            Some(welcome) => former.ring.is_some_and(|(id, _)| id == welcome.ring_id),
            None => !self.is_nobody(),
        }
    }
}

impl Node {
    /// It was in a ring with others, and looks for them.
    pub(crate) fn returns(&self) -> bool {
        self.former_company().is_some()
    }

    /// The life before, if it was in a ring with others that were there when it ended.
    pub(super) fn former_company(&self) -> Option<&Facts> {
        let former = self.former.as_ref().filter(|_| !self.is_client())?;
        (former.ring.is_some() && former.others.iter().any(NodeRecord::present)).then_some(former)
    }

    /// The ring in which this node was alone in its last life.
    pub(super) fn former_solitude(&self) -> Option<Ring> {
        let former = self.former.as_ref().filter(|_| self.former_company().is_none())?;
        let (id, config) = former.ring?;
        // It is founded again with what it was.
        self.admit_frames_of(&config);
        Some(Ring { id: Some(id), config })
    }

    /// One try to get back: into the ring if somebody of it, or a seed, is in one; else it may be formed again.
    pub(super) async fn come_back_once(
        self: &Arc<Self>,
        former: &Facts,
        named: &Named,
        own: &[Address],
        deadline: Instant,
    ) -> Result<()> {
        let seeds = &named.addresses;
        let mut heard = self.ask_company(former, seeds, own, deadline).await;
        // Who was silent then may have been started since, and be about to form the ring.
        if heard.is_nobody() && self.gives_way_to(former, &heard).is_none() {
            let soon = self.env.now() + self.config.request_timeout / 4;
            heard = self.ask_company(former, seeds, own, soon).await;
        }
        if let Some(error) = heard.not_let_in {
            return Err(error);
        }
        if let Some(welcome) = heard.welcome {
            let _way_in = self.first_way_in()?;
            return self.become_member(welcome).await;
        }
        // It may be this node's ring that does not take it back: that is not formed a second time.
        if let Some(error) = heard.refusal {
            return Err(error);
        }
        if let Some(first) = self.gives_way_to(former, &heard) {
            let context = format!("{first} returns too and is to form the ring again");
            return Err(Error::new(ErrorKind::NotJoined, context));
        }
        // Behind a name that is not told yet the ring may be.
        if let Some(late) = named.late.clone().filter(|_| self.env.uptime() < GIVE_WAY_MAX) {
            return Err(late);
        }
        let _way_in = self.first_way_in()?;
        self.form_again(former);
        Ok(())
    }

    /// One who returns too, has a smaller node_id, and is waited for to form the ring.
    fn gives_way_to<'a>(&self, former: &'a Facts, heard: &Heard) -> Option<&'a NodeId> {
        let smaller = former.others.iter().find(|r| r.node_id < self.node_id && heard.returning.contains(&r.address));
        smaller.filter(|_| self.env.uptime() < GIVE_WAY_MAX).map(|r| &r.node_id)
    }

    /// Asks the seeds, and those that were there when this node's last life ended, to be let in: of many first a few, since
    /// where the ring lives any of them will do.
    async fn ask_company(
        self: &Arc<Self>,
        former: &Facts,
        seeds: &[Address],
        own: &[Address],
        deadline: Instant,
    ) -> Heard {
        let company = former.others.iter().filter(|r| r.present());
        let known: BTreeSet<&Address> = seeds.iter().chain(company.map(|r| &r.address)).collect();
        let known: Vec<&Address> = known.into_iter().filter(|a| !own.contains(a)).collect();
        if known.len() > ASKED_FIRST {
            let mut some = known.clone();
            while some.len() > ASKED_FIRST {
                some.swap_remove(self.env.random_below(some.len()));
            }
            let soon = self.env.now() + deadline.saturating_duration_since(self.env.now()) / 4;
            let heard = self.ask_all(some, former, seeds, own, soon).await;
            // Each welcome tells of the whole ring, and costs who says it a look at whether this node can be dialled.
            if heard.is_answer_of(former) {
                return heard;
            }
        }
        self.ask_all(known, former, seeds, own, deadline).await
    }

    async fn ask_all(
        self: &Arc<Self>,
        addresses: Vec<&Address>,
        former: &Facts,
        seeds: &[Address],
        own: &[Address],
        deadline: Instant,
    ) -> Heard {
        let ask = addresses
            .into_iter()
            .map(|address| async move { (address, self.welcome(std::slice::from_ref(address), own, deadline).await) });
        let ours = |ring: RingId| former.ring.is_some_and(|(id, _)| id == ring);
        let mut heard = Heard::default();
        for (address, answer) in futures_util::future::join_all(ask).await {
            match answer {
                // This node, at an address that it does not know for its own.
                Err(Refusal { sender, .. }) if sender == self.boot => {}
                // Somebody else has the address by now.
                Ok(found) if !seeds.contains(address) && !self.is_of_company(former, &found) => {}
                Ok(found) => {
                    // Its ring if there is one, and there one who waits for it rather than one who does not.
                    let rank = |w: &Welcome| (ours(w.ring_id), w.reunites);
                    let best = heard.welcome.take().filter(|before| rank(before) >= rank(&found));
                    heard.welcome = Some(best.unwrap_or(found));
                }
                // Another ring has the address by now; what that one says is nothing to this node.
                Err(Refusal { ring: Some(ring), sender, .. })
                    if !ours(ring) && !seeds.contains(address) && !former.others.iter().any(|r| r.boot == sender) => {}
                // Whoever else is asked, this node is not let in.
                Err(Refusal { error, .. }) if matches!(error.kind(), ErrorKind::NodeIdInUse | ErrorKind::ClockSkew) => {
                    heard.not_let_in.get_or_insert(error);
                }
                Err(Refusal { error, .. }) if error.kind() == ErrorKind::NotJoined => {
                    heard.returning.insert(address.clone());
                }
                // In a ring, if only on its way in, or too busy to say: that ring is there.
                Err(Refusal { error, ring, .. })
                    if ring.is_some() || final_for_join(error.kind()) || error.kind() == ErrorKind::Overloaded =>
                {
                    heard.refusal.get_or_insert(error);
                }
                Err(_) => {}
            }
        }
        heard
    }

    /// Whether this is the ring that this node was in, or that its company has gone over to.
    fn is_of_company(&self, former: &Facts, found: &Welcome) -> bool {
        let same_ring = former.ring.is_some_and(|(id, _)| id == found.ring_id);
        let known = |record: &NodeRecord| {
            let same = |r: &&NodeRecord| r.node_id == record.node_id;
            former.others.iter().filter(same).any(|r| r.boot == record.boot || r.address == record.address)
        };
        same_ring || found.records.iter().any(known)
    }

    /// The ring is there again, with this node alone in it, which answers nothing until enough of the others are back, or
    /// do not come.
    fn form_again(&self, former: &Facts) {
        let Some((id, config)) = former.ring else { return };
        self.admit_frames_of(&config);
        {
            let now = self.env.now();
            let mut state = self.state();
            self.ring.store(Arc::new(Ring { id: Some(id), config }));
            state.forget_others();
            self.remember_the_gone(&mut state);
            state.members.declare(self.enters_lists(), now);
            let view = Arc::new(state.members.view());
            let present = [(self.node_id.clone(), self.boot)];
            state.table.reunite(self.reunion(), true);
            state.table.return_to(self.slots, &view, self.replicas(), &present, now);
            self.view.store(view);
        }
        log!(self, info, "forms its ring again and waits for the others");
        self.enter_active();
        self.progress.step();
        self.repair_wanted.notify_one();
    }

    /// Those of the last life are gone until they are met, and looked for as after a split.
    pub(super) fn remember_the_gone(&self, state: &mut State) {
        let now = self.env.now();
        for record in self.former.iter().flat_map(|former| &former.others) {
            let verdict = if record.present() { Verdict::Dead } else { record.verdict };
            state.members.merge(&NodeRecord { verdict, ..record.clone() }, now);
        }
        // They were in lists, but of the last life.
        drop(state.members.take_missed());
    }

    /// What this node remembers of the ring's last life.
    pub(super) fn reunion(&self) -> Option<Reunion> {
        // Whom the ring has gone on without knows neither what there is nor who has it. Who was the last one, all others gone,
        // knows it for all.
        let former = self.former.as_ref().filter(|_| !self.is_client() && !self.is_outlived())?;
        let (_, config) = former.ring?;
        let own = former.own.as_ref()?;
        let member = |record: &NodeRecord| {
            let positions = positions_of(&self.config.cluster_name, self.ids, record);
            Arc::new(Member { record: record.clone(), positions })
        };
        let all: Vec<Arc<Member>> = former.others.iter().chain([own]).map(member).collect();
        let view = RingView::derive(self.ids, self.slots, all.iter());
        let counts = own.state == NodeState::Active && !self.outdated.load(Relaxed);
        let lagging = counts.then(|| former.lagging.iter().copied().collect());
        Some(Reunion::new(self.node_id.clone(), view, usize::from(config.replication_factor), lagging))
    }
}

/// Who a node was before it was started, for its first record.
pub(super) fn own_record(fresh: NodeRecord, former: Option<&Facts>) -> NodeRecord {
    let Some(own) = former.and_then(|former| former.own.as_ref()) else { return fresh };
    let choices = if own.vnodes == fresh.vnodes { own.choices.clone() } else { Vec::new() };
    // Above what was said of the last life, so that nobody has to be outbid.
    NodeRecord { incarnation: own.incarnation + 1, choices, ..fresh }
}
