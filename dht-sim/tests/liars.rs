//! Members, or whoever passes for one, who tell what is not so: that nodes which live are dead, that a node is where it
//! is not.

use crate::common;
use crate::held;

use std::sync::Arc;
use std::time::Duration;

use common::{LATENCY, calm};
use dht_core::transport::{Call, Transport};
use dht_core::wire::message::{Request, Response};
use dht_core::wire::{decode_call, encode_call};
use dht_core::{Config, Dht, ErrorKind, Foundation, GetOptions, PutOptions};
use dht_sim::scenarios::ping_storm::ping;
use dht_sim::{SimTransport, World};
use held::{Start, keys_of, pass, ring};
use xxhash_rust::xxh3::xxh3_64;

const NODES: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

/// The boot of the liar: what clients tell of nodes, who have none, is not heard.
const BOOT: [u8; 8] = 99_u64.to_le_bytes();

fn call(body: Request) -> Call {
    // Sender (field 3) before the body: see docs/wire.md.
    let said = [&[0x19][..], &BOOT, &encode_call(&ping(0))].concat();
    Call { body, ..decode_call(said.into()).expect("an envelope") }
}

/// An endpoint that speaks the protocol, and is no node.
struct Liar<'a> {
    world: &'a World,
    transport: Arc<SimTransport>,
}

impl<'a> Liar<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, transport: world.network().endpoint(world.address(NODES)) }
    }

    /// What node 0 knows of `node`, as news to others.
    async fn news_of(&self, node: &Dht) -> Call {
        let wanted = vec![xxh3_64(node.node_id().as_bytes())];
        let ask = call(Request::Exchange { records: Vec::new(), wanted, lists: Vec::new() });
        let deadline = self.world.env().now() + SECOND;
        let reply = self.transport.call(&self.world.address(0), ask, deadline).await.expect("it answers");
        let Response::Exchanged { records } = reply.body else { panic!("{reply:?}") };
        assert_eq!(records.len(), 1, "it knows it");
        call(Request::Ping { boot: 0, records })
    }

    fn tell(&self, to: usize, news: &Call) {
        self.transport.send(&self.world.address(to), news.clone());
    }
}

/// The same news, but that the node is dead.
fn dead(news: &Call) -> Call {
    let mut bytes = encode_call(news).to_vec();
    // State (field 6), verdict (7), vnodes (8): see docs/wire.md.
    let at = bytes.windows(5).position(|w| matches!(w, [0x30, 2, 0x38, 1 | 2, 0x40])).expect("an active node");
    bytes[at + 3] = 3;
    decode_call(bytes.into()).expect("still a message")
}

fn state_of(node: &Dht, seen_by: &Dht) -> String {
    let members = seen_by.members().expect("it runs");
    members.into_iter().find(|info| info.id == node.node_id()).map_or_else(|| "unknown".to_owned(), |info| info.state)
}

fn false_deaths(node: &Dht) -> u64 {
    let kinds = node.statistics().expect("it runs").misbehaviour_kinds;
    kinds.get("false_death").copied().unwrap_or(0)
}

/// Writes and reads a key that `victim` owns, from all others.
async fn serves(nodes: &[Dht], victim: usize, keys: &[String], round: u64) {
    for (number, node) in nodes.iter().enumerate().filter(|(number, _)| *number != victim) {
        for key in keys {
            let value = round * 100 + number as u64;
            node.put_with(key, &value, PutOptions::default()).await.expect("it serves");
            let found = node.get_with::<u64>(key, GetOptions::default()).await.expect("it serves");
            assert_eq!(found, Some(value));
        }
    }
}

/// It has taken all for dead. Each refutes that, so that the client sees it again, and stays in its lists.
#[test]
fn a_client_that_was_cut_off_changes_nothing_and_hears_that_all_live() {
    calm(|world| async move {
        let nodes = ring(&world, &Config { slot_bits: 8, ..Config::default() }, NODES).await;
        let client = Config { slot_bits: 8, virtual_nodes: Some(0), ..Config::default() };
        let client = Start::new(&world, &client, &[0]).node(NODES).await.expect("it joins");
        pass(10 * SECOND).await;
        assert_eq!(client.view(), nodes[0].view());
        let lists = || nodes.iter().map(|node| node.inspect().slots).collect::<Vec<_>>();
        let before = lists();
        let all: Vec<_> = (0..NODES).map(|number| world.address(number)).collect();
        world.network().partition(&[&[world.address(NODES)], &all]);
        while client.view().1 > 0 {
            pass(SECOND).await;
        }
        world.network().heal();
        pass(60 * SECOND).await;
        assert!(lists() == before, "their lists are others");
        assert_eq!(client.view(), nodes[0].view());
        for node in &nodes {
            assert_eq!(state_of(node, &client), "active");
        }
        client.stop().await;
    });
}

#[test]
fn one_who_tells_of_the_death_of_a_node_that_lives_keeps_it_out_of_nothing() {
    calm(|world| async move {
        let nodes = ring(&world, &Config { slot_bits: 8, ..Config::default() }, NODES).await;
        let (victim, liar) = (2, Liar::new(&world));
        let keys = keys_of(&nodes[victim], &nodes[0], 3);
        let known = liar.news_of(&nodes[victim]).await;
        for round in 0..60 {
            // The victim is not told, so it cannot refute.
            let lie = dead(&liar.news_of(&nodes[victim]).await);
            (0..NODES).filter(|to| *to != victim).for_each(|to| liar.tell(to, &lie));
            pass(LATENCY * 4).await;
            for node in &nodes {
                assert_eq!(state_of(&nodes[victim], node), "active", "round {round}, seen by {}", node.node_id());
            }
            serves(&nodes, victim, &keys, round).await;
            pass(SECOND - LATENCY * 4).await;
        }
        assert_eq!(liar.news_of(&nodes[victim]).await, known, "nobody believed it");
        for (number, node) in nodes.iter().enumerate() {
            assert_eq!(false_deaths(node) >= 50, number != victim, "{number}: {}", false_deaths(node));
        }
    });
}

/// Each of them refutes it, and is a newcomer in its lists until it has compared: that is the price (`guarantees.md`). It
/// is not paid as often as the liar wants.
#[test]
fn one_who_tells_all_of_the_death_of_all_does_not_decide_how_often_lists_change() {
    calm(|world| async move {
        let nodes = ring(&world, &Config { slot_bits: 8, ..Config::default() }, NODES).await;
        let liar = Liar::new(&world);
        let incarnations = || -> Vec<u64> {
            let members = nodes[1].members().expect("it runs");
            members.iter().map(|info| info.incarnation).collect()
        };
        let before = incarnations();
        for _ in 0..60 {
            for victim in &nodes {
                let lie = dead(&liar.news_of(victim).await);
                (0..NODES).for_each(|to| liar.tell(to, &lie));
            }
            pass(SECOND).await;
        }
        for (before, after) in before.into_iter().zip(incarnations()) {
            assert!(after - before <= 25, "of 60 lies {} were refuted", after - before);
        }
        // All were newcomers at once, so all waited a minute for each other.
        pass(90 * SECOND).await;
        let keys: Vec<_> = (0..20).map(|i| format!("key-{i}")).collect();
        serves(&nodes, NODES, &keys, 0).await;
        for node in &nodes {
            assert_eq!(state_of(node, &nodes[0]), "active");
        }
    });
}

#[test]
fn a_node_that_nobody_reaches_at_its_address_does_not_get_in() {
    calm(|world| async move {
        let nodes = ring(&world, &Config::default(), 2).await;
        let (env, store) =
            (world.node_env("lost"), Arc::new(dht_core::store::MemoryStore::of(&Config::default()).expect("in range")));
        // It says another address than the one that it listens at, where nobody does.
        let transport = world.network().endpoint(world.address(7));
        let foundation = Foundation { transport, store, boot: 7, env, address: world.address(8), shared: None };
        let seeds = vec![world.address(0).as_str().to_owned()];
        let config = Config { node_id: "lost".to_owned(), seeds, ..Config::default() };
        let lost = Dht::start_with(config, foundation).await.expect("it starts, and goes on trying");
        pass(20 * SECOND).await;
        let error = lost.wait_ready(SECOND).await.expect_err("it is in no ring");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        for node in &nodes {
            assert_eq!(state_of(&lost, node), "unknown");
        }
        let told = nodes[0].statistics().expect("it runs");
        assert!(told.misbehaviour_kinds["unbacked_record"] > 0 && told.misbehaving_peers["lost"] > 0, "{told:?}");
        // The same where it listens: it gets in.
        Start::new(&world, &Config::default(), &[0]).node(9).await.expect("it starts");
    });
}
