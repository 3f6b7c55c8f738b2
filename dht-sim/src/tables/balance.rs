//! How even the nodes' shares of the key space are, with and without the choice among candidate positions. Only records
//! are simulated: each node joins when all before it are known to it.

use dht_core::{Config, Placement};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{SEEDS, Table, median, simulated};
use crate::world::Failure;

/// Nodes, slot_bits, and what max/mean may be in the median with 16 and with 200 virtual nodes.
const SIZES: &[(usize, u8, [f64; 2])] = &[(10, 14, [1.25, 1.15]), (100, 14, [1.35, 1.2]), (1_000, 20, [1.4, 1.25])];
const VNODES: [u16; 2] = [16, 200];

pub(super) const TABLE: Table = Table {
    name: "balance",
    about: "share of the key space per node, over its mean, of 20 seeds: when grown, and after half were replaced",
    print,
};

fn print(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    let slots = |count: usize| if count <= 100 { 14 } else { 20 };
    let sizes = match nodes {
        None => SIZES.to_vec(),
        Some(n) => {
            vec![SIZES.iter().find(|(count, ..)| *count == n).copied().unwrap_or((n, slots(n), [f64::INFINITY; 2]))]
        }
    };
    simulated("balance", 1, async move |_| {
        println!("seeds {} to {}; max/mean and min/mean: median, and range over the seeds", SEEDS.start(), SEEDS.end());
        for (count, slot_bits, targets) in sizes {
            for (vnodes, target) in VNODES.into_iter().zip(targets) {
                let config = Config { virtual_nodes: Some(vnodes), slot_bits, ..Config::default() };
                for chooses in [false, true] {
                    let what =
                        format!("{count:>5} nodes {vnodes:>3} vnodes {}", if chooses { "chosen" } else { "plain " });
                    let both = SEEDS.map(|seed| measure(&config, count, seed, chooses)).collect::<Result<Vec<_>, _>>();
                    let both = both.map_err(|error| error.to_string())?;
                    let goal = if chooses { format!("  target {target}") } else { String::new() };
                    println!("{what} grown    {}{goal}", shown(both.iter().map(|(grown, _)| *grown)));
                    println!("{what} replaced {}{goal}", shown(both.iter().map(|(_, replaced)| *replaced)));
                }
            }
        }
        Ok(())
    })
}

/// The greatest and the least share, over the mean.
type Extremes = (f64, f64);

/// One ring, grown node by node, and again after half of them were replaced one after another, drawn by the seed.
fn measure(config: &Config, count: usize, seed: u64, chooses: bool) -> dht_core::Result<(Extremes, Extremes)> {
    let mut ring = Placement::new(config)?;
    let name = |number: usize| format!("seed-{seed}-node-{number}");
    for number in 0..count {
        ring.join(&name(number), chooses);
    }
    let grown = extremes(&ring.shares());
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|number| xxh3_64_with_seed(&number.to_be_bytes(), seed));
    for (gone, new) in order[..count / 2].iter().zip(count..) {
        ring.leave(&name(*gone));
        ring.join(&name(new), chooses);
    }
    Ok((grown, extremes(&ring.shares())))
}

fn extremes(shares: &[f64]) -> Extremes {
    let over_mean = |share: f64| share * shares.len() as f64;
    let most = shares.iter().copied().fold(0.0, f64::max);
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    (over_mean(most), over_mean(least))
}

fn shown(of_seeds: impl Iterator<Item = Extremes> + Clone) -> String {
    let one = |values: Vec<f64>| {
        let (middle, sorted) = median(values);
        format!("{middle:.3} [{:.3} to {:.3}]", sorted[0], sorted[sorted.len() - 1])
    };
    format!("max {}  min {}", one(of_seeds.clone().map(|e| e.0).collect()), one(of_seeds.map(|e| e.1).collect()))
}
