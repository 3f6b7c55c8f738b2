//! What the network knows: who is where, what is on its way, who waits for what.
//!
//! Everything here is synchronous and under one lock, and draws chance in the order of sending: that, and the queue's
//! order, is what makes a run a function of its seed.

use bytes::Bytes;
use dht_core::Address;
use dht_core::transport::{Traffic, TransportError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::config::NetworkConfig;
use super::place::{Feed, Pair, Part, Pending, Place, Remains, Waiter};
use super::queue::{Load, Manner, Parcel, Queue, Site};
use crate::trace::Trace;
use crate::{FixedMap, FixedSet};

/// Addresses that a partition does not name stand together in this group.
pub(super) const UNNAMED_GROUP: u64 = 1 << 63;

pub(super) struct State {
    pub(super) config: NetworkConfig,
    pub(super) trace: Trace,
    pub(super) queue: Queue,
    /// Until when the driver sleeps, so that an earlier parcel wakes it and others do not. 0 while it is awake.
    pub(super) driver_wakes_ns: u64,
    pub(super) places: Vec<Place>,
    by_address: FixedMap<Address, u32>,
    /// What "host:port" texts resolve to, besides addresses themselves.
    /// `None`: the name service does not answer.
    pub(super) names: FixedMap<String, Option<Vec<Address>>>,
    pairs: FixedMap<(u32, u32), Pair>,
    pub(super) calls: FixedMap<u64, Pending>,
    pub(super) feeds: FixedMap<u64, Feed>,
    calls_made: u64,
    pub(super) cuts: FixedSet<(u32, u32)>,
    /// Links at whose end a machine refuses what comes.
    pub(super) rejects: FixedSet<(u32, u32)>,
    pub(super) partitioned: bool,
    rng: StdRng,
}

impl State {
    pub(super) fn new(seed: u64, config: NetworkConfig, trace: Trace) -> Self {
        Self {
            config,
            trace,
            queue: Queue::default(),
            driver_wakes_ns: 0,
            places: Vec::new(),
            by_address: FixedMap::default(),
            names: FixedMap::default(),
            pairs: FixedMap::default(),
            calls: FixedMap::default(),
            feeds: FixedMap::default(),
            calls_made: 0,
            cuts: FixedSet::default(),
            rejects: FixedSet::default(),
            partitioned: false,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// The place of an address, made if nobody named it before.
    pub(super) fn place_of(&mut self, address: &Address) -> u32 {
        if let Some(&place) = self.by_address.get(address) {
            return place;
        }
        let place = self.places.len() as u32;
        self.places.push(Place {
            address: address.clone(),
            epoch: 0,
            up: false,
            silent: false,
            service: None,
            tasks: JoinSet::new(),
            traffic: Traffic::default(),
            peers: Vec::new(),
            groups: if self.partitioned { UNNAMED_GROUP } else { u64::MAX },
            paused_until_ns: 0,
        });
        self.by_address.insert(address.clone(), place);
        place
    }

    pub(super) fn site_of(&mut self, address: &Address) -> Site {
        let place = self.place_of(address);
        Site { place, epoch: self.places[place as usize].epoch }
    }

    pub(super) fn place(&mut self, site: Site) -> &mut Place {
        &mut self.places[site.place as usize]
    }

    /// True while the endpoint is the one at its address.
    pub(super) fn is_up(&self, site: Site) -> bool {
        let place = &self.places[site.place as usize];
        place.up && place.epoch == site.epoch
    }

    /// True if a cut or a partition holds the parcel up.
    pub(super) fn severed(&self, parcel: &Parcel) -> bool {
        let (from, to) = (parcel.from, parcel.to);
        if matches!(parcel.load, Load::Cancel { .. }) {
            return false;
        }
        let groups = |site: Site| self.places[site.place as usize].groups;
        groups(from) & groups(to) == 0 || (!self.cuts.is_empty() && self.cuts.contains(&(from.place, to.place)))
    }

    /// Enters a request, sends it, and gives its number. Errors as `Transport::call`; nothing was sent then.
    pub(super) fn request(
        &mut self,
        now_ns: u64,
        from: Site,
        to: &Address,
        kind: &'static str,
        bytes: Bytes,
        waiter: Option<Waiter>,
    ) -> Result<u64, TransportError> {
        if !self.is_up(from) {
            return Err(TransportError::Closed);
        }
        let bound = self.config.message_len_max;
        if bytes.len() > bound {
            return Err(TransportError::TooLarge { len: bytes.len(), bound });
        }
        let site = self.site_of(to);
        let requests_max = self.config.pair_requests_max;
        let pair = self.pair(from, site);
        if pair.requests >= requests_max {
            return Err(TransportError::Overloaded(to.clone()));
        }
        pair.requests += 1;
        self.calls_made += 1;
        let call = self.calls_made;
        let manner = match &waiter {
            None => Manner::OneWay,
            Some(Waiter::Call(_)) => Manner::Call(call),
            Some(Waiter::Stream(_)) => Manner::Open(call),
        };
        if let Some(waiter) = waiter {
            self.calls.insert(call, Pending { caller: from, callee: site, arrived: false, waiter });
        }
        self.send(now_ns, from, site, kind, Load::Request { manner, bytes });
        Ok(call)
    }

    /// Lets a parcel leave: it is traced, delayed, perhaps lost or doubled.
    pub(super) fn send(&mut self, now_ns: u64, from: Site, to: Site, kind: &'static str, load: Load) {
        let bytes = load.message();
        let (source, target) = (&self.places[from.place as usize].address, &self.places[to.place as usize].address);
        let number = self.trace.sent(now_ns, source, target, kind, bytes.map_or(&[], Bytes::as_ref));
        let traffic = &mut self.places[from.place as usize].traffic;
        traffic.messages_sent += 1;
        traffic.bytes_sent += load.framed_len();
        let lost = bytes.is_some() && self.config.loss > 0.0 && self.rng.random_bool(self.config.loss);
        let parcel = Parcel { number, from, to, kind, load };
        if lost || self.severed(&parcel) {
            return self.lose(now_ns, parcel, if lost { "lost" } else { "cut off" });
        }
        self.connect(from, to);
        let copy = match &parcel.load {
            Load::Request { manner: manner @ (Manner::OneWay | Manner::Call(_)), bytes }
                if self.config.duplication > 0.0 =>
            {
                self.rng
                    .random_bool(self.config.duplication)
                    .then(|| Load::Request { manner: Manner::Copy(manner.call()), bytes: bytes.clone() })
            }
            _ => None,
        };
        self.push(now_ns, parcel);
        if let Some(load) = copy {
            self.trace.fate(now_ns, number, "doubled");
            self.push(now_ns, Parcel { number, from, to, kind, load });
        }
    }

    fn push(&mut self, now_ns: u64, parcel: Parcel) {
        let (from, to) = (parcel.from, parcel.to);
        let leaves_ns = now_ns.max(self.places[from.place as usize].paused_until_ns);
        let mut due_ns = leaves_ns + self.config.latency.draw_ns(&mut self.rng);
        let may_overtake =
            self.config.reordering && matches!(parcel.load, Load::Request { .. } | Load::Response { .. });
        let pair = self.pair(from, to);
        if !may_overtake {
            due_ns = due_ns.max(pair.floor_ns);
        }
        pair.floor_ns = pair.floor_ns.max(due_ns);
        self.queue.push(due_ns, parcel);
    }

    /// A parcel reached an endpoint.
    pub(super) fn arrived(&mut self, now_ns: u64, parcel: &Parcel) {
        self.trace.fate(now_ns, parcel.number, "arrived");
        let traffic = &mut self.place(parcel.to).traffic;
        traffic.messages_received += 1;
        traffic.bytes_received += parcel.load.framed_len();
        match parcel.load {
            Load::Request { manner: Manner::OneWay, .. } => self.end_request(parcel.from, parcel.to),
            Load::Request { manner: Manner::Call(call) | Manner::Open(call), .. } => {
                if let Some(pending) = self.calls.get_mut(&call) {
                    pending.arrived = true;
                }
            }
            _ => {}
        }
    }

    /// A parcel goes no further.
    pub(super) fn lose(&mut self, now_ns: u64, parcel: Parcel, why: &'static str) {
        self.trace.fate(now_ns, parcel.number, why);
        if let Load::Request { manner: Manner::OneWay, .. } = parcel.load {
            self.end_request(parcel.from, parcel.to);
        }
    }

    /// Takes a call out of the table: answered, failed, or nobody waits any more.
    pub(super) fn end_call(&mut self, call: u64) -> Option<Pending> {
        let pending = self.calls.remove(&call)?;
        self.end_request(pending.caller, pending.callee);
        Some(pending)
    }

    fn end_request(&mut self, caller: Site, callee: Site) {
        let pair = self.pair(caller, callee);
        pair.requests = pair.requests.saturating_sub(1);
    }

    /// The callee works on one more request of the caller; false if those are too many already.
    pub(super) fn begin_serving(&mut self, caller: Site, callee: Site) -> bool {
        let serving_max = self.config.pair_requests_max;
        let pair = self.pair(caller, callee);
        let room = pair.serving < serving_max;
        pair.serving += usize::from(room);
        room
    }

    pub(super) fn end_serving(&mut self, caller: Site, callee: Site) {
        let pair = self.pair(caller, callee);
        pair.serving = pair.serving.saturating_sub(1);
    }

    fn pair(&mut self, from: Site, to: Site) -> &mut Pair {
        self.pairs.entry((from.place, to.place)).or_default()
    }

    fn connect(&mut self, from: Site, to: Site) {
        let pair = self.pair(from, to);
        if pair.connected || from.place == to.place || !self.is_up(from) || !self.is_up(to) {
            return;
        }
        self.pair(from, to).connected = true;
        self.pair(to, from).connected = true;
        for (one, other) in [(from, to), (to, from)] {
            let place = self.place(one);
            place.peers.push(other.place);
            place.traffic.connections += 1;
        }
    }

    /// The endpoint is gone. Its own calls end with `Closed`; unless it is `silent`, those who wait for its answers
    /// hear that the connection broke. Nothing happens if it went before.
    pub(super) fn take_down(&mut self, now_ns: u64, site: Site, silent: bool) -> Remains {
        if !self.is_up(site) {
            return Remains::default();
        }
        let place = self.place(site);
        place.up = false;
        place.silent = silent;
        place.epoch += 1;
        place.traffic.connections = 0;
        let remains = Remains { tasks: std::mem::take(&mut place.tasks), _service: place.service.take() };
        for peer in std::mem::take(&mut place.peers) {
            let traffic = &mut self.places[peer as usize];
            traffic.peers.retain(|&p| p != site.place);
            traffic.traffic.connections -= 1;
            for pair in [(site.place, peer), (peer, site.place)] {
                if let Some(pair) = self.pairs.get_mut(&pair) {
                    pair.connected = false;
                }
            }
        }
        // In the order of the calls, not of the map: what follows sends messages.
        let mut calls: Vec<u64> =
            self.calls.iter().filter(|(_, c)| c.caller == site || c.callee == site).map(|(&c, _)| c).collect();
        calls.sort_unstable();
        for call in calls {
            if self.calls[&call].caller == site {
                if let Some(pending) = self.end_call(call) {
                    pending.waiter.fail(TransportError::Closed);
                }
                self.cancel(call);
            } else if self.calls[&call].arrived && !silent {
                let caller = self.calls[&call].caller;
                let error = TransportError::Broken(self.place(site).address.clone());
                self.send(now_ns, site, caller, "broken", Load::Failed { call, error });
            }
        }
        remains
    }

    /// Hands a part to a stream's reader, if it still reads.
    pub(super) fn tell(&mut self, call: u64, part: Part) {
        let Some(Pending { waiter: Waiter::Stream(parts), .. }) = self.calls.get(&call) else { return };
        let last = !matches!(part, Part::Item { .. });
        // Credit keeps the parts below the channel's capacity.
        debug_assert!(parts.capacity() > 0, "a sender ran ahead of its credit");
        drop(parts.try_send(part));
        if last {
            self.end_call(call);
        }
    }

    /// Ends the sender of a stream.
    pub(super) fn cancel(&mut self, call: u64) {
        if let Some(feed) = self.feeds.remove(&call) {
            feed.task.abort();
        }
    }

    pub(super) fn wake_driver(&mut self, driver: &Notify) {
        if self.queue.next_due_ns().is_some_and(|due_ns| due_ns < self.driver_wakes_ns) {
            self.driver_wakes_ns = 0;
            driver.notify_one();
        }
    }
}
