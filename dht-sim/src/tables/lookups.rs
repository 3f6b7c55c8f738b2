//! Lookups that walk: how many hops they take in rings at rest, and what they make of rings of which a part died at once. A
//! ring's pointers are as they are at rest; what nodes answer and whom a lookup asks is what nodes run (`dht_core::Walks`).

use dht_core::{Config, Walked, Walks};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Table, simulated};
use crate::world::Failure;

const LOOKUPS: usize = 10_000;
/// Nodes, and what lookups with a successor list of 2·log2 of them may take in the mean.
const SIZES: &[(usize, f64)] = &[(64, f64::NAN), (256, f64::NAN), (1_024, 3.95), (4_096, f64::NAN), (16_384, 5.75)];

pub(super) const HOPS: Table = Table {
    name: "hops",
    about: "hops of 10,000 lookups in chord routing, one position each, the owner counted; slot_bits 20",
    print: hops,
};

pub(super) const KILLS: Table = Table {
    name: "kills",
    about: "10,000 lookups in a ring of 1,000 of which a part died at once, before anybody noticed; lists of 20",
    print: kills,
};

pub(super) const VNODES: Table = Table {
    name: "vnodes",
    about: "hops of 2,000 lookups in chord routing with many positions, whose fingers all are used; lists of 20",
    print: vnodes,
};

fn ring(nodes: usize, vnodes: u16, list_len: usize) -> Result<Walks, String> {
    let config =
        Config { virtual_nodes: Some(vnodes), slot_bits: 20, successor_list_size: list_len, ..Config::default() };
    Walks::new(&config, (0..nodes).map(|n| format!("node-{n}"))).map_err(|error| error.to_string())
}

/// Lookups of drawn keys by drawn nodes that live.
fn lookups(ring: &Walks, nodes: usize, count: usize) -> Vec<Walked> {
    let drawn = |n: usize| xxh3_64_with_seed(&n.to_le_bytes(), 1) as usize % nodes;
    let from = (0_usize..).map(drawn).filter(|node| ring.lives(*node)).take(count);
    from.enumerate().map(|(n, node)| ring.walk(node, format!("key-{n}").as_bytes())).collect()
}

/// Mean, 1st and 99th percentile.
fn spread(values: impl Iterator<Item = u32>) -> String {
    let mut sorted: Vec<u32> = values.collect();
    sorted.sort_unstable();
    let mean = sorted.iter().map(|&n| f64::from(n)).sum::<f64>() / sorted.len() as f64;
    let at = |percent: usize| sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)];
    format!("{mean:.2} ({}, {})", at(1), at(99))
}

fn wrong(all: &[Walked]) -> usize {
    all.iter().filter(|walked| !walked.right).count()
}

fn hops(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    simulated("hops", 1, async move |_| {
        println!("hops: mean (1st, 99th percentile); aims: fingers alone 0.5 log2 N + 1; with lists as printed");
        for &(count, aim) in SIZES.iter().filter(|(count, _)| nodes.is_none_or(|n| n == *count)) {
            let log2 = count.ilog2() as usize;
            for list_len in [1, 2 * log2] {
                let all = lookups(&ring(count, 1, list_len)?, count, LOOKUPS);
                let aim = if list_len == 1 { log2 as f64 / 2.0 + 1.0 } else { aim };
                let aim = if aim.is_nan() { String::new() } else { format!("  aim {aim:.2}") };
                let spread = spread(all.iter().map(|walked| walked.hops));
                println!("{count:>6} nodes, lists of {list_len:>2}: {spread}, {} failed{aim}", wrong(&all));
            }
        }
        Ok(())
    })
}

fn kills(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    simulated("kills", 1, async move |_| {
        let count = nodes.unwrap_or(1_000);
        println!("mean (1st, 99th percentile); Chord 2003, Table II, at 50 %: 5.09 hops, 5.10 timeouts");
        for percent in [0, 10, 20, 30, 40, 50] {
            let mut ring = ring(count, 1, 20)?;
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by_key(|node| xxh3_64_with_seed(&node.to_le_bytes(), 2));
            order[..count * percent / 100].iter().for_each(|node| ring.kill(*node));
            let all = lookups(&ring, count, LOOKUPS);
            let (hops, timeouts) = (all.iter().map(|w| w.hops), all.iter().map(|w| w.timeouts));
            let (most, failed) = (all.iter().map(|w| w.hops + w.timeouts).max().unwrap_or(0), wrong(&all));
            let (hops, timeouts) = (spread(hops), spread(timeouts));
            println!(
                "{percent:>2} % dead: {hops} hops, {timeouts} timeouts, at most {most} questions, {failed} failed"
            );
        }
        Ok(())
    })
}

fn vnodes(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    simulated("vnodes", 1, async move |_| {
        let count = nodes.unwrap_or(1_000);
        for positions in [1, 16, 200] {
            let all = lookups(&ring(count, positions, 20)?, count, LOOKUPS / 5);
            let aim = if positions == 200 { "  aim 3.50" } else { "" };
            let spread = spread(all.iter().map(|walked| walked.hops));
            println!("{count} nodes, {positions:>3} positions each: {spread} hops, {} failed{aim}", wrong(&all));
        }
        Ok(())
    })
}
