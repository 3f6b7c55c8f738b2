//! How long the simulator itself takes.

use std::time::Duration;

use super::{Table, large, simulated};
use crate::world::Failure;

const NODES: usize = 10_000;
const WATCHED: Duration = Duration::from_secs(60);

pub(super) const TABLE: Table = Table {
    name: "speed",
    about: "seconds of the machine for a minute of a large ring at rest, which is there at once, and the memory",
    print,
};

#[expect(clippy::disallowed_methods, reason = "what is measured is the machine's time")]
fn print(nodes: Option<usize>) -> Result<(), Box<Failure>> {
    let count = nodes.unwrap_or(NODES);
    let begun = std::time::Instant::now();
    simulated("speed", 1, async move |world| {
        let mut nodes = large::ring(&world, count).await?;
        let (formed, before) = (std::time::Instant::now(), messages(&world.traffic()));
        tokio::time::sleep(WATCHED).await;
        let sent = messages(&world.traffic()) - before;
        println!(
            "{count} nodes: there after {:.1} s; {WATCHED:?} of them took {:.1} s, {sent} messages, {} MiB resident",
            (formed - begun).as_secs_f64(),
            formed.elapsed().as_secs_f64(),
            resident_bytes() >> 20
        );
        nodes.stop().await;
        Ok(())
    })
}

fn messages<'a>(traffic: impl IntoIterator<Item = (&'a &'static str, &'a (u64, u64))>) -> u64 {
    traffic.into_iter().map(|(_, (messages, _))| messages).sum()
}

/// 0 where the system does not say.
fn resident_bytes() -> u64 {
    let pages = |text: String| text.split(' ').nth(1)?.parse::<u64>().ok();
    std::fs::read_to_string("/proc/self/statm").ok().and_then(pages).unwrap_or(0) * 4096
}
