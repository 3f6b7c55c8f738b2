//! Rings whose nodes come and go all the time: how many operations succeed, and what the ring says to itself.

use std::collections::BTreeMap;
use std::time::Duration;

use dht_core::{Config, ErrorKind, Routing};
use tokio::task::JoinSet;

use super::{Table, simulated};
use crate::network::Crash;
use crate::nodes::Nodes;
use crate::world::{Failure, World};

const NODES: usize = 100;
/// Median sessions in minutes.
const MEDIANS: [f64; 3] = [60.0, 5.0, 1.4];
const CALM: Duration = Duration::from_secs(10);
const WATCHED: Duration = Duration::from_secs(300);
/// Kinds of messages told apart: those of the most bytes.
const KINDS: usize = 8;
/// Names the rows to print, if not all: `CHURN=one_hop:1.4,chord:5`.
const ROWS: &str = "CHURN";
/// Between two steps; with each, one operation of a drawn node.
const STEP: Duration = Duration::from_millis(50);

pub(super) const TABLE: Table = Table {
    name: "churn",
    about: "nodes crash after drawn sessions and others join: reads of drawn keys that succeed, bytes per node and second",
    print,
};

fn print(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    let count = nodes.unwrap_or(NODES);
    println!("{count} nodes, one position each, default intervals, {WATCHED:?}; sessions exponential; no data");
    let rows = std::env::var(ROWS).unwrap_or_default();
    for routing in [Routing::OneHop, Routing::Chord] {
        for median in MEDIANS {
            let name = format!("{routing}:{median}");
            if !rows.is_empty() && !rows.split(',').any(|row| row == name) {
                continue;
            }
            simulated("churn", 1, async move |world| churn(world, routing, median, count).await)?;
        }
    }
    Ok(())
}

/// What the error says, without whom and what it is about.
fn reason(error: &dht_core::Error) -> String {
    let text = error.to_string();
    let words = text.split(' ').filter(|word| !word.contains(|c: char| c.is_ascii_digit() && word.len() > 1));
    words.collect::<Vec<_>>().join(" ")
}

async fn churn(world: World, routing: Routing, median: f64, count: usize) -> Result<(), String> {
    let config = Config { virtual_nodes: Some(1), slot_bits: 12, routing, ..Config::default() };
    let mut nodes = Nodes::new(world.clone(), config);
    nodes.form(count).map_err(|error| format!("the ring is not formed: {error}"))?;
    tokio::time::sleep(CALM).await;
    let session = || {
        let drawn = (world.env().random_below(1 << 20) + 1) as f64 / f64::from(1 << 20);
        Duration::from_secs_f64(-drawn.log2() * median * 60.0)
    };
    let (before, begun) = (world.traffic(), world.now());
    let mut ends: BTreeMap<usize, Duration> = (0..count).map(|number| (number, begun + session())).collect();
    let (mut next, mut starting, mut reading) = (count, JoinSet::new(), JoinSet::new());
    let (mut right, mut wrong, mut present) = (0_u64, BTreeMap::<String, u64>::new(), 0_usize);
    let mut steps = 0;
    while world.now() < begun + WATCHED {
        tokio::time::sleep(STEP).await;
        steps += 1;
        let now = world.now();
        let ended: Vec<usize> = ends.iter().filter(|(_, end)| **end <= now).map(|(number, _)| *number).collect();
        for number in ended {
            ends.remove(&number);
            // One that is still on its way in goes on to.
            if nodes.registry().get(number).is_some() {
                nodes.crash(number, Crash::Process).await;
            }
            let running = nodes.running();
            let seed = running[world.env().random_below(running.len())].0;
            starting.spawn(nodes.launch(next, &[seed]));
            ends.insert(next, now + session());
            next += 1;
        }
        while starting.try_join_next().is_some() {}
        let members: Vec<_> = nodes.running().into_iter().filter(|(_, dht)| dht.pointers().is_some()).collect();
        present += members.len();
        let dht = members[world.env().random_below(members.len())].1.clone();
        let key = format!("key-{steps}");
        reading.spawn(async move { dht.get_bytes(&key, dht_core::GetOptions::default()).await });
        while let Some(Ok(read)) = reading.try_join_next() {
            match read {
                Ok(_) => right += 1,
                // The caller died.
                Err(error) if error.kind() == ErrorKind::Stopped => {}
                Err(error) => *wrong.entry(reason(&error)).or_default() += 1,
            }
        }
    }
    let mut sent: Vec<(u64, u64, &str)> = Vec::new();
    for (kind, (messages, bytes)) in world.traffic() {
        let (messages_before, bytes_before) = before.get(kind).copied().unwrap_or_default();
        sent.push((bytes - bytes_before, messages - messages_before, kind));
    }
    sent.sort_unstable();
    let bytes: u64 = sent.iter().map(|(bytes, ..)| bytes).sum();
    let failed: u64 = wrong.values().sum();
    let share = 100.0 * right as f64 / (right + failed).max(1) as f64;
    let mean = present as f64 / f64::from(steps);
    println!(
        "{routing:>8}, median session {median:>4} min: {} came, {mean:.1} members in the mean, {share:.3} % of {} reads \
         ({wrong:?}), {:.0} B/s per node",
        next - count,
        right + failed,
        bytes as f64 / mean / WATCHED.as_secs_f64()
    );
    let each = |total: u64| total as f64 / mean / WATCHED.as_secs_f64();
    for (bytes, messages, kind) in sent.into_iter().rev().take(KINDS) {
        println!("          {kind:<12} {:>8.0} B/s, {:>7.2} messages/s per node", each(bytes), each(messages));
    }
    nodes.stop().await;
    Ok(())
}
