//! What this node finds again when it is started on its `data_dir` the next time: its name, its ring, its company.
//!
//! Written whenever it changes, at most every [`PAUSE`]; never while the node itself is not yet what it was, so that a
//! crash on the way back loses nothing of what was known.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Known, Members, Node, Phase, Ring};
use crate::config::Config;
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::params::RingParams;
use crate::ring::record::{NodeRecord, NodeState};
use crate::store::Store;
use crate::wire::facts::Facts;

/// Between two writes of what is remembered.
const PAUSE: Duration = Duration::from_millis(200);
/// Clocks drift: not every millisecond of it is worth a write. Rounded down, or every start would drive the ring on.
const AHEAD_STEP_MS: u64 = 50;
/// Lives that are remembered, to know an older backup by.
const BOOTS_MAX: usize = 64;
/// Nodes that are looked for no more and remembered nevertheless, the last ones: some 200 bytes each in every write.
const BURIED_MAX: usize = 256;

/// What the store remembers of the node's last life, if anything.
///
/// # Errors
/// `Storage`: it is of a newer release, or damaged.
pub(crate) fn recall(store: &dyn Store) -> Result<Option<Facts>> {
    store.remembered().map(|bytes| Facts::decode(&bytes)).transpose()
}

/// The name of the node: the one that `data_dir` has, else the configured one, else a new one.
///
/// # Errors
/// `Config`: the configuration has another name, cluster or ring parameter than `data_dir`. `Storage` as [`recall`].
pub(crate) fn name(config: &Config, env: &Env, store: &dyn Store) -> Result<String> {
    let Some(facts) = recall(store)? else {
        return Ok(match config.node_id.is_empty() {
            true => format!("{:032x}", env.random_u128()),
            false => config.node_id.clone(),
        });
    };
    let kept = facts.node_id.as_str();
    let differs = |key: &str, ours: &str, theirs: &str| {
        let dir = config.data_dir.as_deref().unwrap_or(std::path::Path::new("")).display();
        let context = format!(
            "{key} = {ours:?}: data_dir {dir} belongs to a node with {key} = {theirs:?}; take another data_dir"
        );
        Err(Error::new(ErrorKind::Config, context))
    };
    if !config.node_id.is_empty() && config.node_id != kept {
        return differs("node_id", &config.node_id, kept);
    }
    if config.cluster_name != facts.cluster {
        return differs("cluster_name", &config.cluster_name, &facts.cluster);
    }
    if let Some((key, ours, theirs)) = RingParams::of(config).difference(&facts.params) {
        return differs(key, &ours, &theirs);
    }
    Ok(kept.to_owned())
}

/// Keeps what is remembered up to date, for life.
pub(crate) async fn remember(node: Arc<Node>) {
    let mut written = None;
    loop {
        let seen = node.progress.seen();
        if let Some(facts) =
            node.facts().map(|facts| steady(facts, written.as_ref())).filter(|f| written.as_ref() != Some(f))
        {
            if let Err(error) = node.store.remember(facts.encode()).wait().await {
                // The store has told of it in its own words, and takes nothing any more.
                log!(node, warn, %error, "what this node remembers stays as it was");
                return;
            }
            let others = facts.others.iter().filter(|record| record.present()).count();
            node.remembered_others.store(others, Relaxed);
            written = Some(facts);
        }
        tokio::time::sleep(node.env.jittered(PAUSE)).await;
        node.progress.since(seen, node.env.now() + node.config.heartbeat_interval.max(PAUSE)).await;
    }
}

/// The same clock as was written, where it has moved by no more than a step.
fn steady(facts: Facts, written: Option<&Facts>) -> Facts {
    let before = written.map(|written| written.ahead_ms).filter(|b| b.abs_diff(facts.ahead_ms) <= AHEAD_STEP_MS);
    Facts { ahead_ms: before.unwrap_or(facts.ahead_ms), ..facts }
}

impl Node {
    /// Before anything else: that this life has begun.
    ///
    /// # Errors
    /// `Storage`.
    pub(crate) async fn remember_start(&self) -> Result<()> {
        if !self.store.persistent() {
            return Ok(());
        }
        let bare = || Facts {
            cluster: self.config.cluster_name.clone(),
            node_id: self.node_id.clone(),
            params: self.params,
            boots: Vec::new(),
            ring: None,
            own: None,
            others: Vec::new(),
            buried: Vec::new(),
            lagging: Vec::new(),
            ahead_ms: 0,
        };
        let former = self.former.clone().unwrap_or_else(bare);
        let facts = Facts { boots: self.boots(), ..former };
        self.store.remember(facts.encode()).wait().await
    }

    /// What is to be remembered now; `None`: what was remembered before.
    pub(crate) fn facts(&self) -> Option<Facts> {
        let Ring { id, config } = self.ring();
        let state = self.state();
        let on_its_way = state.table.reunites() && state.members.own().state == NodeState::Active;
        if !matches!(self.life.phase(), Phase::Active | Phase::Leaving) || self.is_client() || on_its_way {
            return None;
        }
        let others = state.members.iter().map(|known| known.record());
        Some(Facts {
            cluster: self.config.cluster_name.clone(),
            node_id: self.node_id.clone(),
            params: self.params,
            boots: self.boots(),
            ring: Some((id?, config)),
            own: Some(state.members.own().clone()),
            others: others.filter(|record| record.node_id != self.node_id).cloned().collect(),
            buried: self.buried(&state.members),
            lagging: state.table.behind().map(|(slot, _)| slot).collect(),
            ahead_ms: self.hlc.ahead_ms() / AHEAD_STEP_MS * AHEAD_STEP_MS,
        })
    }

    /// Whom this life, and those before, looked for no more: should one of them be there when the ring comes back, somebody has to
    /// tell it that the ring went on without it.
    fn buried(&self, members: &Members) -> Vec<NodeRecord> {
        let mut here: Vec<&Known> = members.all_buried().collect();
        here.sort_by_key(|known| Reverse(known.since));
        let before = self.former.iter().flat_map(|former| &former.buried);
        let before = before.filter(|r| members.get(&r.node_id).is_none());
        let mut seen = BTreeSet::new();
        let all = here.into_iter().map(Known::record).chain(before).filter(|r| seen.insert(&r.node_id));
        let mut all: Vec<NodeRecord> = all.take(BURIED_MAX).cloned().collect();
        // Always in one order, or there would be something to write all the time.
        all.sort_by(|a, b| a.node_id.cmp(&b.node_id));
        all
    }

    pub(crate) fn remembers(&self) -> Option<usize> {
        let others = self.remembered_others.load(Relaxed);
        (others != usize::MAX).then_some(others)
    }

    /// The last ones, and the one by which the ring knew this node last, however many starts led nowhere since.
    fn boots(&self) -> Vec<u64> {
        let Some(former) = &self.former else { return vec![self.boot] };
        let (dropped, kept) = former.boots.split_at(former.boots.len().saturating_sub(BOOTS_MAX - 1));
        let mut boots = kept.to_vec();
        if let Some(own) = former.own.as_ref().filter(|own| dropped.contains(&own.boot))
            && let Some(oldest) = boots.first_mut()
        {
            *oldest = own.boot;
        }
        boots.push(self.boot);
        boots
    }

    /// The positions that this node had in the ring that it is in now, which it keeps.
    pub(crate) fn keeps_positions(&self) -> bool {
        let former = self.former.as_ref().and_then(|former| former.ring.as_ref());
        former.is_some_and(|(id, _)| Some(*id) == self.ring().id)
    }
}
