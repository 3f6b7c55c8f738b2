//! Twenty endpoints that ping each other without a node behind them: the network alone, and what it costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dht_core::transport::{Answer, Call, Reply, Service, Transport, TransportError};
use dht_core::wire;
use dht_core::wire::message::{Request, Response};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::{Body, Scenario};
use crate::network::{Latency, NetworkConfig};
use crate::world::World;

const ENDPOINTS: usize = 20;
const ROUNDS: usize = 250;
/// Pings to different peers at once.
const PINGS: usize = 10;
const PERIOD: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_millis(500);

/// In the registry.
pub const SCENARIO: Scenario = Scenario {
    name: "ping_storm",
    about: "20 endpoints ping each other in 250 rounds; 1 % of the messages are lost",
    network,
    body,
};

/// Answers a ping with a pong.
pub struct Pong;

impl Service for Pong {
    fn serve(&self, call: Call) -> Answer {
        Answer::Now(Reply::new(call.head, Response::Pong { records: Vec::new() }))
    }
}

/// A ping that carries a number.
pub fn ping(number: u64) -> Call {
    let empty = wire::decode_call(Bytes::from_static(EMPTY_PING)).expect("a ping");
    Call { body: Request::Ping { boot: number, records: Vec::new() }, ..empty }
}

/// An empty envelope around an empty ping, see `docs/wire.md`: only nodes can fill envelopes.
const EMPTY_PING: &[u8] = &[0x82, 0x01, 0x00];

fn network() -> NetworkConfig {
    let ms = Duration::from_millis;
    let latency = Latency::Tailed { min: ms(1), mean: ms(3), max: ms(100) };
    NetworkConfig { latency, loss: 0.01, ..NetworkConfig::default() }
}

fn body(world: World) -> Body {
    Box::pin(storm(world))
}

async fn storm(world: World) -> Result<(), String> {
    let transports: Vec<_> = (0..ENDPOINTS).map(|i| world.network().endpoint(world.address(i))).collect();
    for transport in &transports {
        transport.accept(Arc::new(Pong));
    }
    let (answered, silent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut nodes = JoinSet::new();
    for (i, transport) in transports.iter().enumerate() {
        let (world, transport) = (world.clone(), transport.clone());
        let (answered, silent) = (answered.clone(), silent.clone());
        nodes.spawn(async move {
            let env = world.node_env(&i.to_string());
            for _ in 0..ROUNDS {
                let until = env.now() + env.jittered(PERIOD);
                let mut pings = JoinSet::new();
                for _ in 0..PINGS {
                    let peer = world.address((i + 1 + env.random_below(ENDPOINTS - 1)) % ENDPOINTS);
                    pings.spawn(transport.call(&peer, ping(env.random_u64()), env.now() + PATIENCE));
                }
                for result in pings.join_all().await {
                    match result {
                        Ok(_) => answered.fetch_add(1, Ordering::Relaxed),
                        Err(TransportError::Deadline(_)) => silent.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("a ping failed: {error}"),
                    };
                }
                sleep_until(until).await;
            }
        });
    }
    nodes.join_all().await;
    let (answered, silent) = (answered.load(Ordering::Relaxed), silent.load(Ordering::Relaxed));
    let calls = (ENDPOINTS * ROUNDS * PINGS) as u64;
    // A call needs two messages, so 1.99 % of the calls are expected to hear nothing.
    let expected = calls / 100..calls * 3 / 100;
    if answered + silent != calls || !expected.contains(&silent) {
        return Err(format!("{answered} of {calls} pings answered, {silent} not"));
    }
    Ok(())
}
