//! All clients of a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dht_core::{Consistency, Dht, Env, GetOptions};
use tokio::task::JoinHandle;

use super::client::{Book, Client};
use super::mix::Mix;
use crate::history::Expected;
use crate::history::last::Last;
use crate::nodes::Registry;
use crate::world::World;

/// Clients at the nodes of a run, and the book that they keep.
pub(super) struct Clients {
    world: World,
    registry: Registry,
    mix: Mix,
    book: Book,
    running: BTreeMap<usize, (Vec<JoinHandle<()>>, Env)>,
    stopping: Arc<AtomicBool>,
    count: u32,
}

impl Clients {
    pub(super) fn new(world: World, registry: Registry, busy: bool) -> Self {
        let mix = Mix::draw(world.env(), busy);
        world.note(&format!("{mix:?}"));
        let book = Book::new(world.clone());
        Self { world, registry, mix, book, running: BTreeMap::new(), stopping: Arc::default(), count: 0 }
    }

    pub(super) fn book(&self) -> &Book {
        &self.book
    }

    pub(super) fn start(&mut self, number: usize, dht: &Dht) {
        let Some((_, env)) = self.registry.get(number) else { return };
        self.start_in(number, dht, env);
    }

    /// The same at a node that is in no registry, and whose process is that of `env`.
    pub(super) fn start_in(&mut self, number: usize, dht: &Dht, env: Env) {
        let clients = (0..self.mix.clients).map(|_| {
            let client = self.client(dht.clone());
            tokio::spawn(env.clone().gated(client.run(self.stopping.clone())))
        });
        let clients: Vec<_> = clients.collect();
        if let Some((before, _)) = self.running.insert(number, (clients, env)) {
            before.iter().for_each(JoinHandle::abort);
        }
    }

    fn client(&mut self, dht: Dht) -> Client {
        self.count += 1;
        let number = self.count;
        let env = self.world.node_env(&format!("history client {number}"));
        Client {
            number,
            dht,
            env,
            book: self.book.clone(),
            mix: self.mix.clone(),
            count: 0,
            alive: Vec::new(),
            buried: Vec::new(),
        }
    }

    pub(super) fn abandon(&mut self, number: usize) -> Option<Env> {
        let (clients, env) = self.running.remove(&number)?;
        clients.iter().for_each(JoinHandle::abort);
        Some(env)
    }

    /// Lets the clients end what they are at.
    pub(super) async fn stop(&mut self) -> Result<(), String> {
        self.stopping.store(true, Ordering::Relaxed);
        for (number, (clients, _)) in std::mem::take(&mut self.running) {
            for client in clients {
                client.await.map_err(|error| format!("a client of node {number}: {error}"))?;
            }
        }
        Ok(())
    }

    /// Reads every key from all its replicas, and asks its owner for the version.
    pub(super) async fn last(&mut self, nodes: &[(usize, Dht)]) -> Result<BTreeMap<String, Last>, String> {
        let keys: Vec<String> = self.book.history().keys().iter().map(|key| key.name.clone()).collect();
        let readers: Vec<Client> = nodes.iter().map(|(_, dht)| self.client(dht.clone())).collect();
        let all = GetOptions { consistency: Some(Consistency::All), timeout: None };
        let mut last = BTreeMap::new();
        for (at, key) in keys.into_iter().enumerate() {
            let reader = &readers[at % readers.len()];
            reader.get(&key, all).await;
            let Some(swap) = reader.swap(&key, Expected::Nothing, 0).await else {
                return Err(format!("{key} cannot be read when the ring has healed"));
            };
            let value = reader.get(&key, all).await.map(|(value, _)| value);
            last.insert(key, Last { version: swap.version, value });
        }
        Ok(last)
    }
}
