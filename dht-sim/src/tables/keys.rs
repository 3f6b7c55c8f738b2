//! Whether sequential keys fall on the nodes in proportion to their shares, for every hash function.

use dht_core::{Config, HashFunction, Placement};

use super::chi_square::{chi_square, p_value};
use super::{SEEDS, Table, median, simulated};
use crate::world::Failure;

const KEYS: u32 = 1_000_000;
const NODES: usize = 10;
/// Smaller probabilities count against the function.
const P_MIN: f64 = 0.01;
/// Of 20 seeds at least as many must be above that.
const SEEDS_MIN: usize = 18;

pub(super) const TABLE: Table = Table {
    name: "keys",
    about: "1,000,000 sequential keys on 10 nodes with 16 vnodes: chi-square of their counts against the shares",
    print,
};

fn print(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    let nodes = nodes.unwrap_or(NODES);
    simulated("keys", 1, async move |_| {
        let text = |error: dht_core::Error| error.to_string();
        println!("seeds {} to {}, which name the nodes; keys key_0 to key_{}", SEEDS.start(), SEEDS.end(), KEYS - 1);
        println!("raw: the digest as it is, as without consistent_hashing; on the same nodes");
        let rings: Vec<Placement> = SEEDS.map(|seed| ring(nodes, seed)).collect::<Result<_, _>>().map_err(text)?;
        for &function in HashFunction::ALL {
            // The digests of the others are never mixed.
            let mixed = matches!(function, HashFunction::Fnv1 | HashFunction::Fnv1a | HashFunction::Crc32);
            for consistent_hashing in if mixed { &[true, false][..] } else { &[true] } {
                let consistent_hashing = *consistent_hashing;
                let per_slot = count(function, consistent_hashing).map_err(text)?;
                let of_seeds: Vec<(f64, f64)> = rings.iter().map(|ring| tested(ring, &per_slot)).collect();
                let passed = of_seeds.iter().filter(|(_, p)| *p > P_MIN).count();
                let (middle, sorted) = median(of_seeds.iter().map(|(chi, _)| *chi).collect());
                let p_least = of_seeds.iter().map(|(_, p)| *p).fold(1.0, f64::min);
                println!(
                    "{:<10} {:<5} {passed:>2} of {} seeds with p > {P_MIN} {}  chi-square {middle:.1} [{:.1} to {:.1}]  \
                     least p {p_least:.2e}",
                    function.to_string(),
                    if consistent_hashing { "" } else { "raw" },
                    of_seeds.len(),
                    if passed >= SEEDS_MIN { "ok  " } else { "FAIL" },
                    sorted[0],
                    sorted[sorted.len() - 1],
                );
            }
        }
        Ok(())
    })
}

fn ring(nodes: usize, seed: u64) -> dht_core::Result<Placement> {
    let mut ring = Placement::new(&Config::default())?;
    for number in 0..nodes {
        ring.join(&format!("seed-{seed}-node-{number}"), true);
    }
    Ok(ring)
}

/// How many keys each slot has.
fn count(hash_function: HashFunction, consistent_hashing: bool) -> dht_core::Result<Vec<u32>> {
    let hashing = Placement::new(&Config { hash_function, consistent_hashing, ..Config::default() })?;
    let mut counts = vec![0; hashing.slot_count() as usize];
    for number in 0..KEYS {
        counts[hashing.slot_of(format!("key_{number}").as_bytes()) as usize] += 1;
    }
    Ok(counts)
}

/// Chi-square of the nodes' keys against their shares, and its probability.
fn tested(ring: &Placement, per_slot: &[u32]) -> (f64, f64) {
    let shares = ring.shares();
    let mut counts = vec![0u32; shares.len()];
    for (owner, count) in ring.owners().into_iter().zip(per_slot) {
        counts[owner as usize] += count;
    }
    let expected = shares.iter().map(|share| share * f64::from(KEYS));
    let chi_square = chi_square(counts.iter().map(|count| f64::from(*count)).zip(expected));
    (chi_square, p_value(chi_square, shares.len() as u32 - 1))
}
