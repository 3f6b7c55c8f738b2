//! What must hold of the stores when nothing happens any more.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::nodes::Nodes;

/// By then every owner has compared everything with its replicas, and every node has swept what expired.
pub(super) const COMPARED: Duration = Duration::from_secs(40);

/// All replicas of a slot are the same, byte for byte, there are as many as there should be, and calls have left nothing
/// behind. No clock is further ahead than `offset_ms`. `forgetful`: the nodes forget deletions so soon that some have and some
/// have not yet.
pub(super) fn check(nodes: &Nodes, replicas: usize, offset_ms: u64, forgetful: bool) -> Result<(), String> {
    let running = nodes.running();
    for (number, dht) in &running {
        if let Some((what, many)) = dht.inspect().under_way.iter().find(|(_, many)| *many > 0) {
            return Err(format!("node {number} has {many} {what}, but nothing is under way"));
        }
    }
    let wanted = replicas.min(running.len());
    let text = |error: dht_core::Error| format!("a store: {error}");
    // What has expired by any clock is swept at all of them, so that only real differences count.
    let now_ms = nodes.world().env().wall_ms() + offset_ms;
    let mut slots = BTreeMap::new();
    for (number, store) in nodes.registry().stores() {
        for slot in store.occupied().map_err(text)? {
            store.sweep(slot, now_ms, if forgetful { u64::MAX } else { 0 }).map_err(text)?;
            let versions = store.versions(slot).map_err(text)?;
            if versions.is_empty() {
                continue;
            }
            let digests: Vec<_> = versions.iter().map(|(digest, _)| *digest).collect();
            let (records, _) = store.records(slot, &digests, usize::MAX).map_err(text)?;
            slots.entry(slot).or_insert_with(Vec::new).push((number, records));
        }
    }
    for (slot, holders) in slots {
        let who: Vec<usize> = holders.iter().map(|(number, _)| *number).collect();
        if holders.len() != wanted {
            return Err(format!("{slot:?} is kept by {who:?}, not by {wanted}"));
        }
        let (first, kept) = &holders[0];
        for (number, other) in &holders[1..] {
            if kept != other {
                let differs = kept.iter().zip(other).find(|(a, b)| a != b);
                let lens = (kept.len(), other.len());
                return Err(format!(
                    "nodes {first} and {number} keep different records of {slot:?}: {lens:?} {differs:?}"
                ));
            }
        }
    }
    Ok(())
}
