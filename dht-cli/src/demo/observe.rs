//! Whether the ring is whole, as all its living nodes see it: nobody missing or left over, every slot replicated, and
//! exactly as many copies as there should be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dht_core::{Env, Error, ErrorKind, Health, Remote, Result, RingInfo, Statistics, Topic};
use futures_util::future::join_all;
use serde::de::DeserializeOwned;

use super::cluster::Member;

/// How often the nodes are looked at; also how exact the seconds to heal are.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// A node that does not tell within this time is not well.
const TELL_MAX: Duration = Duration::from_secs(2);

/// Records held by each node.
pub(crate) type Items = BTreeMap<String, u64>;

/// What one node tells.
#[derive(Debug)]
struct Told {
    health: Health,
    ring: RingInfo,
    statistics: Statistics,
}

/// Waits until all `members` agree that the ring consists of exactly them, that every slot is fully replicated and
/// handed over, and until they hold `copies` records together. Returns what each holds; `Timeout` with what is still
/// missing after `patience`.
pub(crate) async fn settled(members: &[Member], copies: u64, patience: Duration, env: &Env) -> Result<Items> {
    let started = env.now();
    loop {
        let missing = match look(members, copies).await {
            Ok(items) => return Ok(items),
            Err(missing) => missing,
        };
        if env.now() - started >= patience {
            let text = format!("the ring is not whole after {patience:?}: {missing}");
            return Err(Error::new(ErrorKind::Timeout, text));
        }
        // No state of ours depends on this pause: nodes send no word when they are done, so they are looked at again
        // and again until the deadline above.
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// The records that each node holds now.
pub(crate) async fn items(members: &[Member]) -> Result<Items> {
    let told = join_all(members.iter().map(async |member| {
        let statistics: Statistics = ask(&member.remote, Topic::Statistics).await?;
        Ok((member.node_id.clone(), statistics.data_items_stored))
    }));
    told.await.into_iter().collect()
}

async fn look(members: &[Member], copies: u64) -> Result<Items, String> {
    let told = join_all(members.iter().map(async |member| {
        let told = async {
            let health = ask(&member.remote, Topic::Health).await?;
            let ring = ask(&member.remote, Topic::Ring).await?;
            let statistics = ask(&member.remote, Topic::Statistics).await?;
            Ok::<_, Error>(Told { health, ring, statistics })
        };
        let told = told.await.map_err(|error| format!("{} does not tell: {error:#}", member.node_id))?;
        Ok((member.node_id.clone(), told))
    }));
    let told: Result<BTreeMap<String, Told>, String> = told.await.into_iter().collect();
    judge(&told?, copies)
}

/// A node's own words in the shape of the library.
async fn ask<T: DeserializeOwned>(remote: &Remote, topic: Topic) -> Result<T> {
    let told = tokio::time::timeout(TELL_MAX, remote.describe(topic, b"")).await;
    let told = told.map_err(|_| Error::new(ErrorKind::Timeout, format!("no answer within {TELL_MAX:?}")))??;
    serde_json::from_value(told).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("{topic:?} has not the shape it should have")).with_source(error)
    })
}

/// The records of each node if all is well, else the first thing that is not.
fn judge(told: &BTreeMap<String, Told>, copies: u64) -> Result<Items, String> {
    let living: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    for (id, told) in told {
        let Told { health, ring, .. } = told;
        let seen: BTreeSet<&str> = ring.nodes.iter().map(|node| node.node.id.as_str()).collect();
        if seen != living {
            return Err(format!("{id} sees the nodes {seen:?}, living are {living:?}"));
        }
        if let Some(other) = ring.nodes.iter().find(|node| node.node.state != "active") {
            return Err(format!("{id} sees {} as {}", other.node.id, other.node.state));
        }
        if !health.joined || !health.storage_ok {
            return Err(format!("{id} has not joined, or its store takes no writes"));
        }
        if !health.fully_replicated || health.under_replicated_slots > 0 {
            return Err(format!("{id} owns {} under-replicated slots", health.under_replicated_slots));
        }
        if !health.handed_over {
            return Err(format!("{id} has still to hand over {} bytes", health.bytes_to_go));
        }
    }
    let views: BTreeSet<&str> = told.values().map(|told| told.ring.view.as_str()).collect();
    if views.len() > 1 {
        return Err(format!("the nodes have different views of the ring: {views:?}"));
    }
    let items: Items = told.iter().map(|(id, told)| (id.clone(), told.statistics.data_items_stored)).collect();
    let held: u64 = items.values().sum();
    if held == copies { Ok(items) } else { Err(format!("the nodes hold {held} records, it should be {copies}")) }
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
