use std::sync::Arc;

use super::*;
use crate::env::Env;

const WINDOW: Duration = Duration::from_secs(10);

fn ids(names: &[&str]) -> Vec<NodeId> {
    names.iter().map(|name| NodeId::new(name)).collect()
}

fn began(lost: usize, of: usize) -> Change {
    Change::Began { lost, of, held_for: HOLD_MAX }
}

/// A ring that loses nodes and gets them back; time in seconds.
struct Ring {
    tally: MassLoss,
    begun: Instant,
    size: usize,
    replicas: usize,
}

impl Ring {
    fn of(size: usize, replicas: usize) -> Self {
        Self { tally: MassLoss::default(), begun: Env::simulated(1, 0).now(), size, replicas }
    }

    fn at(&self, second: f64) -> Instant {
        self.begun + Duration::from_secs_f64(second)
    }

    fn turn(&mut self, second: f64, lost: &[NodeId], came: &[NodeId]) -> Option<Change> {
        self.turn_with(second, lost, came, 0)
    }

    fn turn_with(&mut self, second: f64, lost: &[NodeId], came: &[NodeId], suspects: usize) -> Option<Change> {
        let turnover = Turnover { lost, came, of: self.size, suspects };
        self.size = self.size + came.len() - lost.len();
        let now = self.at(second);
        self.tally.observe(&turnover, self.replicas, WINDOW, now)
    }

    fn lose(&mut self, second: f64, names: &[&str]) -> Option<Change> {
        self.turn(second, &ids(names), &[])
    }

    fn get_back(&mut self, second: f64, names: &[&str]) -> Option<Change> {
        self.turn(second, &[], &ids(names))
    }

    fn holds(&self, second: f64) -> bool {
        self.tally.held_until(self.at(second)).is_some()
    }
}

#[test]
fn how_many_lost_of_how_many_are_too_many() {
    for (lost, of, replicas, mass) in [
        (9, 9, 3, false),
        (3, 10, 3, false),
        (4, 10, 3, true),
        (2, 10, 1, false),
        (3, 10, 1, true),
        (5, 12, 5, false),
        (6, 12, 5, true),
        (20, 100, 3, false),
        (21, 100, 3, true),
        (4, 20, 3, false),
        (5, 24, 3, true),
        (5, 25, 3, false),
    ] {
        let names: Vec<NodeId> = (0..lost).map(|n| NodeId::new(&format!("n{n}"))).collect();
        let mut ring = Ring::of(of, replicas);
        let change = ring.turn(0.0, &names, &[]);
        assert_eq!(change, mass.then_some(began(lost, of)), "{lost} of {of}, R = {replicas}");
        assert_eq!(ring.holds(0.0), mass);
    }
}

#[test]
fn losses_of_one_window_add_up_and_the_ring_counts_as_it_was_at_its_begin() {
    for (apart, mass) in [(0.0, true), (3.0, true), (3.3, true), (3.4, false), (30.0, false)] {
        let mut ring = Ring::of(12, 3);
        let mut changes = Vec::new();
        for (n, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            changes.extend(ring.lose(n as f64 * apart, &[name]));
        }
        let wanted = if mass { vec![began(4, 12)] } else { Vec::new() };
        assert_eq!(changes, wanted, "{apart} s apart");
    }
}

#[test]
fn a_hold_begins_once_and_ends_after_its_time_whatever_is_lost_meanwhile() {
    let mut ring = Ring::of(30, 3);
    assert!(ring.lose(0.0, &["a", "b", "c", "d", "e", "f", "g"]).is_some());
    assert_eq!(ring.lose(30.0, &["h"]), None);
    assert_eq!(ring.lose(59.0, &["i", "j", "k", "l", "m"]), None, "one event for one hold");
    assert!(ring.holds(59.9));
    assert!(!ring.tally.expire(ring.at(59.9)));
    assert!(!ring.holds(60.0));
    assert!(ring.tally.expire(ring.at(60.0)));
    assert!(!ring.tally.expire(ring.at(60.0)), "once");
    assert_eq!(ring.lose(61.0, &["n"]), None, "what was lost before is dealt with");
    assert_eq!(ring.lose(62.0, &["o", "p", "q", "r"]), Some(began(5, 17)), "another event");
}

#[test]
fn a_hold_that_ran_out_unseen_has_ended_all_the_same() {
    let mut ring = Ring::of(40, 3);
    assert!(ring.turn(0.0, &ids(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]), &[]).is_some());
    assert_eq!(ring.lose(70.0, &["j"]), None);
    assert!(!ring.holds(70.0));
}

#[test]
fn a_hold_ends_at_once_when_no_more_than_the_bound_are_missing() {
    let mut ring = Ring::of(12, 3);
    assert_eq!(ring.lose(0.0, &["a", "b", "c", "d", "e", "f"]), Some(began(6, 12)));
    assert_eq!(ring.get_back(20.0, &["b", "stranger"]), None);
    assert!(ring.holds(20.0));
    assert_eq!(ring.get_back(21.0, &["c", "d"]), Some(Change::Ended { missing: 3 }));
    assert!(!ring.holds(21.0));
    // Whoever comes and goes cannot hold for ever: the losses of long ago count no more.
    assert_eq!(ring.lose(22.0, &["b"]), None);
    assert_eq!(ring.get_back(23.0, &["b"]), None);
}

#[test]
fn once_one_is_given_up_suspects_count_and_the_hold_is_told_when_all_are() {
    let mut ring = Ring::of(12, 3);
    assert_eq!(ring.turn_with(0.0, &[], &[], 6), None);
    assert!(!ring.holds(0.0), "without a loss nothing is copied that could be held");
    assert_eq!(ring.turn_with(1.0, &ids(&["a"]), &[], 2), None);
    assert!(!ring.holds(1.0));
    assert_eq!(ring.turn_with(2.0, &[], &[], 3), None);
    assert!(ring.holds(2.0));
    assert_eq!(ring.turn_with(3.0, &[], &[], 2), None);
    assert!(!ring.holds(3.0), "one refuted");
    assert_eq!(ring.turn_with(4.0, &ids(&["b"]), &[], 2), None);
    assert!(ring.holds(4.0));
    assert_eq!(
        ring.turn_with(5.0, &ids(&["c", "d"]), &[], 0),
        Some(Change::Began { lost: 4, of: 12, held_for: HOLD_MAX - Duration::from_secs(1) })
    );
    assert!(ring.holds(63.9) && !ring.holds(64.0), "counted from when it began to hold");
    assert_eq!(ring.turn_with(6.0, &[], &ids(&["a"]), 1), None, "a suspect is missing too");
    assert_eq!(ring.turn_with(7.0, &[], &[], 0), Some(Change::Ended { missing: 3 }));
}

#[test]
fn the_end_of_a_hold_is_seen_once() {
    let mut ring = Ring::of(12, 3);
    assert!(!ring.tally.held_since_last_asked(ring.at(0.0)));
    ring.lose(0.0, &["a", "b", "c", "d"]);
    assert!(ring.tally.held_since_last_asked(ring.at(0.0)));
    assert!(ring.tally.held_since_last_asked(ring.at(59.0)));
    assert!(ring.tally.held_since_last_asked(ring.at(60.0)));
    assert!(!ring.tally.held_since_last_asked(ring.at(60.0)));
}

#[test]
fn another_ring_has_lost_nobody() {
    let mut ring = Ring::of(12, 3);
    ring.lose(0.0, &["a", "b", "c", "d"]);
    ring.tally.clear();
    assert!(!ring.holds(0.0));
    ring.size = 12;
    assert_eq!(ring.lose(0.0, &["e", "f", "g"]), None);
}

#[test]
fn a_guard_that_is_switched_off_holds_nothing() {
    let mut ring = Ring::of(12, 3);
    ring.lose(0.0, &["a", "b", "c", "d"]);
    ring.tally.switch_off();
    assert!(!ring.holds(0.0));
    ring.size = 12;
    assert_eq!(ring.lose(1.0, &["e", "f", "g", "h"]), None);
}

#[test]
fn the_window_is_twice_the_patience_with_silent_nodes() {
    let silent = Duration::from_secs_f64;
    assert_eq!(window(silent(4.0)), WINDOW_MIN);
    assert_eq!(window(silent(8.0)), silent(16.0));
}

fn list(names: &[&str]) -> Arc<[Incarnate]> {
    names.iter().map(|name| (NodeId::new(name), boot(name))).collect()
}

fn boot(name: &str) -> u64 {
    u64::from(name.as_bytes()[0])
}

#[test]
fn who_waits() {
    // Lists that the newcomer has known, oldest first; the last is the present one.
    type Row = (&'static str, &'static [&'static [&'static str]], &'static [&'static str], bool);
    let rows: &[Row] = &[
        // (newcomer, lists, dead, waits)
        ("d", &[&["a", "b", "c"], &["a", "b", "d"]], &["c"], true),
        ("d", &[&["a", "b", "c"], &["a", "b", "d"]], &[], false),
        ("d", &[&["a", "b", "c"], &["c", "d", "e"]], &["a", "b"], false),
        ("e", &[&["a", "b", "c"], &["c", "d", "e"]], &["a", "b"], true),
        // The same, one death after the other: the second newcomer takes the first for a copy, and the first goes on.
        ("d", &[&["a", "b", "c"], &["b", "c", "d"], &["c", "d", "e"]], &["a", "b"], false),
        ("e", &[&["b", "c", "d"], &["c", "d", "e"]], &["b"], true),
        // Nobody has a copy.
        ("d", &[&["a", "b", "c"], &["d", "e", "f"]], &["a", "b", "c"], false),
        ("e", &[&["a", "b", "c"], &["d", "e", "f"]], &["a", "b", "c"], false),
        ("f", &[&["a", "b", "c"], &["d", "e", "f"]], &["a", "b", "c"], true),
        // R = 2 and R = 1: what is lost leaves one copy, or none.
        ("c", &[&["a", "b"], &["b", "c"]], &["a"], false),
        ("b", &[&["a"], &["b"]], &["a"], false),
        // With more replicas: who leaves ("l") does not wait for those who wait.
        ("e", &[&["a", "b", "c", "l"], &["a", "b", "l", "e"], &["a", "b", "e", "f"]], &["c"], false),
        ("e", &[&["a", "b", "c", "x"], &["a", "b", "x", "e"], &["a", "b", "e", "f"]], &["c"], true),
        // A suspect ("s") is not relied on.
        ("d", &[&["a", "s", "c"], &["a", "s", "d"]], &["c"], false),
    ];
    for (me, lists, dead, wanted) in rows {
        let (present, sources) = lists.split_last().expect("a list");
        let mut catch_up = CatchUp::new(list(present), 3, false, Env::simulated(1, 0).now());
        catch_up.sources = sources.iter().map(|names| list(names)).collect();
        let fate = |(node_id, _): &Incarnate| match node_id.as_str() {
            name if dead.contains(&name) => Fate::Dead,
            "s" => Fate::Doubtful,
            "l" => Fate::Leaving,
            _ => Fate::Alive,
        };
        assert_eq!(waits(&catch_up, boot(me), fate), *wanted, "{me} in {lists:?} without {dead:?}");
    }
}
