//! Faults. Each is entered into the trace.

use std::fmt::Write;
use std::time::Duration;

use dht_core::Address;

use super::SimNetwork;
use super::state::UNNAMED_GROUP;

/// Groups of a partition: one bit each, and one for the unnamed.
pub const GROUPS_MAX: usize = 63;

/// Which of a crashed endpoint's peers hear of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// The process died: its connections break and calls are refused, each after one delay.
    Process,
    /// The machine died: nobody hears anything until a deadline passes.
    Machine,
}

impl SimNetwork {
    /// The endpoint is gone, with the answers it was working on; calls through it end with `Closed`. What it sent
    /// before still arrives. Whoever owned it should be dropped. A new endpoint may take the address.
    pub fn crash(&self, address: &Address, crash: Crash) {
        let inner = &self.0.inner;
        self.note(&format!("crash {address} {crash:?}"));
        let site = inner.lock().site_of(address);
        let remains = inner.take_down(site, crash == Crash::Machine);
        drop(remains);
    }

    /// From now on only addresses that share a group reach each other; an address in several groups is a bridge.
    /// Addresses in none form a group of their own. What is on its way across is lost. Replaces a partition made
    /// before; leaves single cuts.
    ///
    /// # Panics
    /// With more than [`GROUPS_MAX`] groups.
    pub fn partition(&self, groups: &[&[Address]]) {
        assert!(groups.len() <= GROUPS_MAX, "{} groups, at most {GROUPS_MAX}", groups.len());
        let mut note = String::from("partition");
        let mut state = self.0.inner.lock();
        state.partitioned = true;
        let places: Vec<Vec<u32>> =
            groups.iter().map(|group| group.iter().map(|address| state.place_of(address)).collect()).collect();
        for place in &mut state.places {
            place.groups = 0;
        }
        for (bit, group) in places.iter().enumerate() {
            note.push_str(" |");
            for &place in group {
                let place = &mut state.places[place as usize];
                place.groups |= 1 << bit;
                // Writing to a string cannot fail.
                let _ = write!(note, " {}", place.address);
            }
        }
        for place in &mut state.places {
            if place.groups == 0 {
                place.groups = UNNAMED_GROUP;
            }
        }
        state.trace.note(self.0.inner.now_ns(), note);
    }

    /// From now on nothing gets from `from` to `to`; the other way stays open.
    pub fn cut(&self, from: &Address, to: &Address) {
        let mut state = self.0.inner.lock();
        let cut = (state.place_of(from), state.place_of(to));
        state.cuts.insert(cut);
        state.trace.note(self.0.inner.now_ns(), format!("cut {from} -> {to}"));
    }

    /// From now on the machine of `to` refuses whatever `from` asks it, as a firewall between the two may.
    pub fn reject(&self, from: &Address, to: &Address) {
        let mut state = self.0.inner.lock();
        let link = (state.place_of(from), state.place_of(to));
        state.rejects.insert(link);
        state.trace.note(self.0.inner.now_ns(), format!("reject {from} -> {to}"));
    }

    /// Undoes one cut.
    pub fn mend(&self, from: &Address, to: &Address) {
        let mut state = self.0.inner.lock();
        let cut = (state.place_of(from), state.place_of(to));
        state.cuts.remove(&cut);
        state.trace.note(self.0.inner.now_ns(), format!("mend {from} -> {to}"));
    }

    /// Ends the partition, all cuts and all refusals. Crashed endpoints stay gone; loss stays as configured.
    pub fn heal(&self) {
        let mut state = self.0.inner.lock();
        state.partitioned = false;
        state.cuts.clear();
        state.rejects.clear();
        for place in &mut state.places {
            place.groups = u64::MAX;
        }
        state.trace.note(self.0.inner.now_ns(), "heal".to_owned());
    }

    /// For `duration` whatever is sent to or from the address waits; then it goes on in its order. Whoever owns the
    /// endpoint stands still only if its environment is paused too.
    pub fn pause(&self, address: &Address, duration: Duration) {
        let now_ns = self.0.inner.now_ns();
        let mut state = self.0.inner.lock();
        let site = state.site_of(address);
        let place = state.place(site);
        place.paused_until_ns = place.paused_until_ns.max(now_ns + duration.as_nanos() as u64);
        state.trace.note(now_ns, format!("pause {address} for {duration:?}"));
    }
}
