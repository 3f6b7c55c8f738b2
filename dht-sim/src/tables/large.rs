//! Large rings that are there at once: how long a crash takes to be known, whether starved nodes are taken for dead, and how
//! long splits take to heal.

use std::time::Duration;

use dht_core::{Address, Config, Dht, NodeId};

use super::{Table, simulated};
use crate::network::Crash;
use crate::nodes::{Nodes, name};
use crate::world::{Failure, World};

const NODES: usize = 1_000;
/// Before anything happens: heartbeats find their pace.
const CALM: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
const SEED: u64 = 1;
/// Nodes of a ring that is split for an hour, at most.
const HOUR_MAX: usize = 200;

pub(super) const CRASHES: Table = Table {
    name: "crashes",
    about: "seconds until everybody knows of a crash, one at a time; and false deaths while a tenth is starved",
    print: crashes,
};

pub(super) const SPLITS: Table = Table {
    name: "splits",
    about: "seconds from the healing of a split to one ring with identical views, default intervals",
    print: splits,
};

/// One position each: what these tables show is gossip, and views with 16 of each cost the simulator 16 times the time.
fn config() -> Config {
    Config { virtual_nodes: Some(1), slot_bits: 12, ..Config::default() }
}

/// So many, there at once, at rest.
pub(super) async fn ring(world: &World, count: usize) -> Result<Nodes, String> {
    let mut nodes = Nodes::new(world.clone(), config());
    nodes.form(count).map_err(|error| format!("the ring is not formed: {error}"))?;
    tokio::time::sleep(CALM).await;
    Ok(nodes)
}

fn crashes(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    const KILLS: usize = 100;
    let count = nodes.unwrap_or(NODES);
    simulated("crashes", SEED, async move |world| {
        let mut nodes = ring(&world, count).await?;
        let mut took = Vec::new();
        for kill in 0..KILLS {
            let victim = 1 + kill * (count - 2) / KILLS;
            let (dht, _) = nodes.registry().get(victim).ok_or("the victim does not run")?;
            let (node_id, boot) = (NodeId::new(&name(victim)), dht.inspect().boot);
            drop(dht);
            nodes.crash(victim, if kill % 2 == 0 { Crash::Process } else { Crash::Machine }).await;
            let begun = world.now();
            let left: Vec<Dht> = nodes.running().into_iter().map(|(_, dht)| dht).collect();
            let mut last = 0;
            while let Some(at) = left[last..].iter().position(|dht| dht.sees(&node_id, boot)) {
                last += at;
                tokio::time::sleep(LOOK).await;
            }
            took.push((world.now() - begun).as_secs_f64());
        }
        let (median, sorted) = super::median(took);
        let (p99, max) = (sorted[(KILLS * 99 - 1) / 100], sorted[KILLS - 1]);
        println!(
            "{count} nodes, {KILLS} crashes (half silent): known everywhere after {median:.1} s (median), {p99:.1} s \
             (p99), {max:.1} s (most)"
        );
        starved(&world, &nodes).await?;
        nodes.stop().await;
        Ok(())
    })
}

/// A tenth of the processes stands still for five seconds, all at once.
async fn starved(world: &World, nodes: &Nodes) -> Result<(), String> {
    let running = nodes.running();
    for (number, _) in running.iter().filter(|(number, _)| number % 10 == 3) {
        nodes.pause(*number, Duration::from_secs(5));
    }
    let (until, all) = (world.now() + Duration::from_secs(60), running.len());
    let mut fewest = all;
    while world.now() < until {
        fewest = running.iter().map(|(_, dht)| dht.view().1).min().unwrap_or(0).min(fewest);
        tokio::time::sleep(LOOK).await;
    }
    println!("a tenth starved for 5 s: {} false deaths in the worst view", all - fewest);
    Ok(())
}

fn splits(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    let count = nodes.unwrap_or(NODES);
    let shapes: [(&str, &[usize]); 4] = [
        ("50/50", &[50, 50]),
        ("90/10", &[90, 10]),
        ("three-way", &[34, 33, 33]),
        ("eight-way", &[13, 13, 13, 13, 12, 12, 12, 12]),
    ];
    for (name, percents) in shapes {
        // An hour of a large ring takes the simulator longer than it takes a ring.
        let minutes: &[u64] = if count > HOUR_MAX { &[1] } else { &[1, 60] };
        for &minutes in minutes {
            simulated("splits", SEED, async move |world| {
                let mut nodes = ring(&world, count).await?;
                let mut groups: Vec<Vec<Address>> = Vec::new();
                let mut number = 0;
                for (at, percent) in percents.iter().enumerate() {
                    let end = if at + 1 == percents.len() { count } else { number + count * percent / 100 };
                    groups.push((number..end).map(|n| world.address(n)).collect());
                    number = end;
                }
                let groups: Vec<&[Address]> = groups.iter().map(Vec::as_slice).collect();
                world.network().partition(&groups);
                tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
                let mut apart: Vec<usize> = nodes.running().iter().map(|(_, dht)| dht.view().1).collect();
                apart.sort_unstable();
                let apart = format!("{} to {}, median {}", apart[0], apart[count - 1], apart[count / 2]);
                world.network().heal();
                let exchanges = |world: &World| world.traffic().get("sync").map_or(0, |(messages, _)| *messages);
                let exchanged = exchanges(&world);
                let (begun, running) = (world.now(), nodes.running());
                let healed = |dht: &Dht, first: u64| dht.view() == (first, running.len());
                loop {
                    let (first, _) = running[0].1.view();
                    let took = world.now() - begun;
                    if running.iter().all(|(_, dht)| healed(dht, first)) {
                        println!(
                            "{count} nodes, {name} for {minutes} min (views of {apart}): one ring after {:.1} s, {:.1} \
                             heartbeats, {:.1} exchanges of records per node",
                            took.as_secs_f64(),
                            took.as_secs_f64() / config().heartbeat_interval.as_secs_f64(),
                            (exchanges(&world) - exchanged) as f64 / count as f64
                        );
                        break;
                    }
                    if took > Duration::from_secs(600) {
                        let views = running.iter().filter(|(_, dht)| healed(dht, first)).count();
                        return Err(format!("{name} for {minutes} min: {views} of {count} agree after {took:?}"));
                    }
                    tokio::time::sleep(LOOK).await;
                }
                nodes.stop().await;
                Ok(())
            })?;
        }
    }
    Ok(())
}
