//! What a ring at rest says to itself: messages and bytes per node and second, by kind.

use std::time::Duration;

use dht_core::Config;

use super::{Table, formed, simulated};
use crate::world::Failure;

const SIZES: &[usize] = &[5, 50, 200];
const REST: Duration = Duration::from_secs(60);
const WATCHED: Duration = Duration::from_secs(60);

pub(super) const TABLE: Table = Table {
    name: "maintenance",
    about: "messages and bytes per node and second of a ring at rest, by kind, default intervals",
    print,
};

fn print(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    let sizes = nodes.map_or(SIZES.to_vec(), |n| vec![n]);
    for count in sizes {
        simulated("maintenance", 1, async move |world| {
            let mut nodes = formed(&world, Config::default(), count).await?;
            println!("{count} nodes ready after {:.1} s", world.now().as_secs_f64());
            tokio::time::sleep(REST).await;
            let before = world.traffic();
            tokio::time::sleep(WATCHED).await;
            let per_second = count as f64 * WATCHED.as_secs_f64();
            let (mut messages, mut bytes) = (0, 0);
            for (kind, after) in world.traffic() {
                let earlier = before.get(kind).copied().unwrap_or_default();
                let (m, b) = (after.0 - earlier.0, after.1 - earlier.1);
                (messages, bytes) = (messages + m, bytes + b);
                if m > 0 {
                    println!("{kind:>14} {:8.2} /s {:9.1} B/s", m as f64 / per_second, b as f64 / per_second);
                }
            }
            let (m, b) = (messages as f64 / per_second, bytes as f64 / per_second);
            println!("{:>14} {m:8.2} /s {b:9.1} B/s", "all");
            nodes.stop().await;
            Ok(())
        })?;
    }
    Ok(())
}
