//! Histories made by hand: good ones pass all checkers, and each kind of anomaly is seen by the rule that is meant for it.

use std::collections::BTreeMap;

use super::last::Last;
use super::search::{Verdict, linearizable};
use super::*;

fn v(n: u64) -> Version {
    format!("{n:048x}").parse().expect("48 digits")
}

/// One key. Operations are `(client, begin, end, action, outcome)`.
#[derive(Default)]
struct Key(Vec<Operation>);

const PUT: fn(i64) -> Action = |value| Action::Put { value, ttl_ms: 0 };
const TAKE: fn(i64) -> Action = |value| Action::GetAndPut { value };
const UP: Action = Action::Increment { by: 1 };

impl Key {
    fn with(mut self, client: u32, (begin, end): (u64, u64), action: Action, outcome: Outcome) -> Self {
        self.0.push(Operation { client, action, begin, end, outcome });
        self
    }

    /// Changed something, and told this version.
    fn wrote(self, client: u32, when: (u64, u64), action: Action, version: u64) -> Self {
        self.told(client, when, action, Sight::Unknown, true, Some(version))
    }

    fn told(
        self,
        client: u32,
        when: (u64, u64),
        action: Action,
        sight: Sight,
        changed: bool,
        version: Option<u64>,
    ) -> Self {
        let version = version.map(v);
        self.with(client, when, action, Outcome::Done(Told { sight, changed, version, expires_at_ms: 0 }))
    }

    fn read(self, client: u32, when: (u64, u64), value: i64, version: u64) -> Self {
        self.told(client, when, Action::Get, Sight::Value(value), false, Some(version))
    }

    fn missed(self, client: u32, when: (u64, u64)) -> Self {
        self.told(client, when, Action::Get, Sight::Absent, false, None)
    }

    fn unknown(self, client: u32, begin: u64, action: Action) -> Self {
        self.with(client, (begin, NEVER), action, Outcome::Unknown)
    }

    fn rules(&self, kind: Kind) -> Vec<Rule> {
        let mut operations = self.0.clone();
        operations.sort_by_key(|o| o.begin);
        let key = KeyHistory { name: "k".into(), kind, operations };
        let mut rules = Vec::new();
        key.check(0, 0, &mut |rule, _| rules.push(rule));
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    fn search(&self) -> Verdict {
        let mut operations = self.0.clone();
        operations.sort_by_key(|o| o.begin);
        linearizable(&operations, 100_000)
    }

    /// Both kinds of checkers find nothing.
    fn good(self, kind: Kind) {
        assert_eq!(self.rules(kind), [], "{:?}", self.0);
        assert_eq!(self.search(), Verdict::Linearizable, "{:?}", self.0);
    }

    /// Exactly these rules are broken, and the search finds no order.
    fn bad(self, kind: Kind, rules: &[Rule]) {
        assert_eq!(self.rules(kind), rules, "{:?}", self.0);
        assert!(matches!(self.search(), Verdict::Not { .. }), "{:?}", self.0);
    }
}

use Kind::{Counter, Register};

fn key() -> Key {
    Key::default()
}

#[test]
fn good_histories_pass() {
    key().missed(1, (1, 2)).good(Register);
    key().wrote(1, (1, 4), PUT(1), 5).missed(2, (2, 3)).read(2, (5, 6), 1, 5).good(Register);
    // Two writes at once, read in either order of their ends.
    key().wrote(1, (1, 9), PUT(1), 6).wrote(2, (2, 8), PUT(2), 5).read(3, (10, 11), 1, 6).good(Register);
    // Unknown: it comes late, or not at all.
    key().unknown(1, 1, PUT(1)).missed(2, (2, 3)).read(2, (4, 5), 1, 5).good(Register);
    key().unknown(1, 1, PUT(1)).missed(2, (2, 3)).wrote(2, (4, 5), PUT(2), 5).read(2, (6, 7), 2, 5).good(Register);
    key().wrote(1, (1, 2), PUT(1), 5).unknown(2, 3, Action::Delete).missed(1, (4, 5)).missed(1, (6, 7)).good(Register);
    key()
        .wrote(1, (1, 2), PUT(1), 5)
        .told(2, (3, 4), Action::GetAndDelete, Sight::Value(1), true, None)
        .told(1, (5, 6), Action::Delete, Sight::Absent, false, None)
        .good(Register);
    let swap = Action::Swap { expected: Expected::Version(v(5), 1), value: 2 };
    key()
        .wrote(1, (1, 2), PUT(1), 5)
        .told(1, (3, 4), swap, Sight::Value(1), true, Some(6))
        .read(2, (5, 6), 2, 6)
        .good(Register);
    key()
        .told(1, (1, 2), UP, Sight::Absent, true, None)
        .unknown(2, 3, UP)
        .told(1, (4, 5), UP, Sight::Value(2), true, None)
        .read(3, (6, 7), 3, 9)
        .good(Counter);
    key()
        .told(1, (1, 6), TAKE(1), Sight::Absent, true, None)
        .told(2, (2, 7), TAKE(2), Sight::Value(1), true, None)
        .good(Register);
}

#[test]
fn what_nobody_wrote_is_seen() {
    key().wrote(1, (1, 2), PUT(1), 5).read(2, (3, 4), 7, 6).bad(Register, &[Rule::Written]);
}

#[test]
fn a_dishonest_rejection_is_seen() {
    let history = key().with(1, (1, 2), PUT(1), Outcome::Rejected).read(2, (3, 4), 1, 5);
    history.bad(Register, &[Rule::Honest]);
    let swap = Action::Swap { expected: Expected::Absent, value: 2 };
    key()
        .wrote(1, (1, 2), PUT(1), 5)
        .told(1, (3, 4), swap, Sight::Value(1), false, Some(5))
        .read(2, (5, 6), 2, 6)
        .bad(Register, &[Rule::Honest]);
}

#[test]
fn a_value_from_the_future_is_seen() {
    key().read(1, (1, 2), 1, 5).wrote(2, (3, 4), PUT(1), 5).bad(Register, &[Rule::Causal, Rule::Rising]);
    // A chain whose end was over before its beginning.
    key()
        .told(1, (10, 20), TAKE(1), Sight::Absent, true, None)
        .told(2, (5, 15), TAKE(2), Sight::Value(1), true, None)
        .told(3, (1, 8), TAKE(3), Sight::Value(2), true, None)
        .bad(Register, &[Rule::Causal, Rule::Present]);
}

#[test]
fn stale_reads_are_seen() {
    let two = || key().wrote(1, (1, 2), PUT(1), 5).wrote(1, (3, 4), PUT(2), 6);
    two().read(2, (5, 6), 1, 5).bad(Register, &[Rule::Fresh, Rule::Rising]);
    // An unknown write that was read counts from then on.
    key()
        .wrote(1, (1, 2), PUT(1), 5)
        .unknown(2, 3, PUT(2))
        .read(3, (4, 5), 2, 6)
        .read(3, (6, 7), 1, 5)
        .bad(Register, &[Rule::Fresh, Rule::Rising, Rule::MonotonicReads]);
    // Replaced by one that told so.
    key()
        .told(1, (1, 9), TAKE(1), Sight::Absent, true, None)
        .told(2, (2, 4), TAKE(2), Sight::Value(1), true, None)
        .told(3, (5, 6), Action::Get, Sight::Value(1), false, None)
        .bad(Register, &[Rule::Fresh]);
}

#[test]
fn missing_and_resurrected_values_are_seen() {
    key().wrote(1, (1, 2), PUT(1), 5).missed(2, (3, 4)).bad(Register, &[Rule::Present]);
    key()
        .wrote(1, (1, 2), PUT(1), 5)
        .told(1, (3, 4), Action::Delete, Sight::Live, true, None)
        .read(2, (5, 6), 1, 5)
        .bad(Register, &[Rule::Deleted]);
    // A delete that found nothing, although there was something.
    key()
        .wrote(1, (1, 2), PUT(1), 5)
        .told(2, (3, 4), Action::Delete, Sight::Absent, false, None)
        .bad(Register, &[Rule::Present]);
}

#[test]
fn versions_out_of_order_are_seen() {
    let falling = key().wrote(1, (1, 2), PUT(1), 6).wrote(2, (3, 4), PUT(2), 5);
    assert_eq!(falling.rules(Register), [Rule::Rising]);
    let twice = key().wrote(1, (1, 5), PUT(1), 6).wrote(2, (2, 4), PUT(2), 6);
    assert_eq!(twice.rules(Register), [Rule::OneValue]);
}

#[test]
fn lost_updates_are_seen() {
    let swap = |value| Action::Swap { expected: Expected::Version(v(5), 1), value };
    key()
        .wrote(1, (1, 2), PUT(1), 5)
        .told(1, (3, 7), swap(2), Sight::Value(1), true, Some(6))
        .told(2, (4, 8), swap(3), Sight::Value(1), true, Some(7))
        .bad(Register, &[Rule::OnTop, Rule::Once]);
    key()
        .told(1, (1, 3), TAKE(1), Sight::Absent, true, None)
        .told(2, (2, 5), TAKE(2), Sight::Value(1), true, None)
        .told(3, (4, 6), TAKE(3), Sight::Value(1), true, None)
        .bad(Register, &[Rule::Once]);
    // A put came between what was seen and what was written.
    let between = key().wrote(1, (1, 2), PUT(1), 5).wrote(2, (3, 9), PUT(9), 6).told(
        1,
        (4, 8),
        swap(2),
        Sight::Value(1),
        true,
        Some(7),
    );
    assert_eq!(between.rules(Register), [Rule::OnTop]);
}

#[test]
fn miscounted_increments_are_seen() {
    let one = || key().told(1, (1, 2), UP, Sight::Absent, true, None);
    one().told(2, (3, 4), UP, Sight::Absent, true, None).bad(Counter, &[Rule::Once, Rule::Sum]);
    one().told(2, (3, 4), UP, Sight::Value(2), true, None).bad(Counter, &[Rule::Sum]);
    one().missed(2, (3, 4)).bad(Counter, &[Rule::Sum]);
    one().with(2, (3, 4), UP, Outcome::Rejected).read(3, (5, 6), 2, 7).bad(Counter, &[Rule::Sum]);
    let falls = one().unknown(2, 3, UP).read(3, (4, 8), 1, 9).read(4, (5, 7), 2, 8);
    assert_eq!(falls.rules(Counter), [Rule::Rising]);
}

#[test]
fn sessions_are_checked() {
    let two = || key().wrote(1, (1, 2), PUT(1), 5).wrote(1, (3, 20), PUT(2), 6);
    let reads = two().read(2, (4, 5), 2, 6).read(2, (6, 7), 1, 5);
    assert!(reads.rules(Register).contains(&Rule::MonotonicReads));
    let own = key().wrote(1, (1, 2), PUT(1), 5).wrote(2, (1, 4), PUT(2), 6).read(2, (5, 6), 1, 5);
    assert!(own.rules(Register).contains(&Rule::ReadYourWrites));
    let writes = key().wrote(1, (1, 2), PUT(1), 6).wrote(1, (3, 4), PUT(2), 5);
    assert!(writes.rules(Register).contains(&Rule::Rising));
    let follows = key().wrote(1, (1, 2), PUT(1), 6).read(2, (3, 4), 1, 6).wrote(2, (5, 6), PUT(2), 5);
    let mut rules = Vec::new();
    session::check(&follows.0, &mut |rule, _| rules.push(rule));
    session::check(&writes.0, &mut |rule, _| rules.push(rule));
    assert_eq!(rules, [Rule::WritesFollowReads, Rule::MonotonicWrites]);
}

#[test]
fn expiry_is_allowed_for_and_checked() {
    let put = Action::Put { value: 1, ttl_ms: 10 };
    let history = || key().wrote(1, (MS, 2 * MS), put, 5);
    assert_eq!(history().missed(2, (12 * MS, 13 * MS)).rules(Kind::Expiring), []);
    assert_eq!(history().missed(2, (3 * MS, 11 * MS)).rules(Kind::Expiring), []);
    assert_eq!(history().missed(2, (3 * MS, 11 * MS - 1)).rules(Kind::Expiring), [Rule::Present]);
    let late = |at: u64| {
        let told = Told { sight: Sight::Value(1), changed: false, version: Some(v(5)), expires_at_ms: 11 };
        history().with(2, (at * MS, at * MS + 1), Action::Get, Outcome::Done(told)).rules(Kind::Expiring)
    };
    assert_eq!(late(11), []);
    assert_eq!(late(12), [Rule::Expiry]);
    // Whatever expiry is told with it: one that was lost on the way shows by what was put.
    let immortal = |changes: &[(u64, u64)], at: u64| {
        let told = Told { sight: Sight::Value(1), changed: false, version: Some(v(5)), expires_at_ms: 0 };
        let changed = changes.iter().fold(history(), |history, &(begin, end)| {
            let told = Told { sight: Sight::Live, changed: true, version: Some(v(5)), expires_at_ms: 0 };
            history.with(3, (begin * MS, end * MS), Action::Expire { ttl_ms: 0 }, Outcome::Done(told))
        });
        let read = changed.with(2, (at * MS, at * MS + 1), Action::Get, Outcome::Done(told));
        let mut rules = Vec::new();
        register::check_lifetimes(&read.0, 0, &mut |rule, _| rules.push(rule));
        rules
    };
    assert_eq!(immortal(&[], 12), []);
    assert_eq!(immortal(&[], 13), [Rule::Expiry]);
    assert_eq!(immortal(&[(5, 6)], 13), [], "it may live for ever since then");
    assert_eq!(immortal(&[(14, 15)], 13), [Rule::Expiry], "that came too late");
    // What expired before another write was asked for does not explain that nothing is there after it.
    let rewritten = || history().wrote(1, (20 * MS, 21 * MS), Action::Put { value: 2, ttl_ms: 60_000 }, 6);
    assert_eq!(rewritten().missed(2, (30 * MS, 31 * MS)).rules(Kind::Expiring), [Rule::Present]);
    assert_eq!(
        history().wrote(1, (12 * MS, 13 * MS), PUT(2), 6).missed(2, (30 * MS, 31 * MS)).rules(Kind::Expiring),
        []
    );
    // A longer life does not hide the value.
    let expire = Action::Expire { ttl_ms: 100 };
    let longer = history().told(2, (3 * MS, 4 * MS), expire, Sight::Live, true, None);
    assert_eq!(longer.read(3, (5 * MS, 6 * MS), 1, 6).rules(Kind::Expiring), []);
}

/// At level `one` anything that was once there may be told, but nothing else.
#[test]
fn reads_of_one_replica_may_be_behind() {
    let peek = |sight: Sight, version| (Action::Peek, sight, false, Some(version));
    let history = || key().wrote(1, (1, 2), PUT(1), 5).wrote(1, (3, 4), PUT(2), 6);
    let told =
        |history: Key, (action, sight, changed, version)| history.told(2, (10, 11), action, sight, changed, version);
    told(history(), peek(Sight::Value(1), 5)).good(Register);
    told(history(), (Action::Peek, Sight::Absent, false, None)).good(Register);
    let rules = |history: Key| history.rules(Register);
    assert_eq!(rules(told(history(), peek(Sight::Value(7), 5))), [Rule::Written, Rule::OneValue]);
    assert_eq!(rules(told(history(), peek(Sight::Value(2), 5))), [Rule::OneValue]);
    let rejected = history().with(3, (5, 6), PUT(3), Outcome::Rejected);
    assert_eq!(rules(told(rejected, peek(Sight::Value(3), 7))), [Rule::Honest]);
}

/// Of register and search, the former must never say more than the latter: random histories of a key that is not
/// linearizable at times.
#[test]
fn whatever_the_rules_refuse_the_search_refuses() {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    let (mut refused, mut both) = (0, 0);
    for seed in 0..3000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut below = |n: u64| rng.random_range(0..n);
        let (mut state, mut history, mut old) = (None, key(), None);
        for n in 1..=8 {
            let (begin, length) = (n as u64 * 10 + below(5), 1 + below(40));
            // Seldom a client is told of the state before.
            let seen = if below(12) == 0 { old } else { state };
            let sight = seen.map_or(Sight::Absent, Sight::Value);
            let (action, sight, changed, after) = match below(4) {
                0 => (PUT(n), Sight::Unknown, true, Some(n)),
                1 => (TAKE(n), sight, true, Some(n)),
                2 => (Action::GetAndDelete, sight, seen.is_some(), None),
                _ => (Action::Get, sight, false, state),
            };
            if after != state {
                old = state;
            }
            state = if changed || action == Action::Get { after } else { state };
            history = match below(8) {
                0 => history.unknown(n as u32, begin, action),
                _ => history.told(n as u32, (begin, begin + length), action, sight, changed, None),
            };
        }
        let rules = history.rules(Register);
        let verdict = history.search();
        assert_ne!(verdict, Verdict::Undecided);
        refused += usize::from(verdict != Verdict::Linearizable);
        both += usize::from(!rules.is_empty());
        assert!(rules.is_empty() || verdict != Verdict::Linearizable, "seed {seed}: {rules:?}, {:#?}", history.0);
    }
    assert!(refused > 300 && both * 10 > refused * 7, "the rules see {both} of {refused}");
}

#[test]
fn what_was_acknowledged_is_kept_to_the_end() {
    let version = |ms: u64| format!("{:016x}{:032x}", ms << 16, 0).parse().expect("48 digits");
    let mut history = History::default();
    let put = history.begin(5 * MS, 1, "k", Register, PUT(1));
    let told = Told { changed: true, version: Some(version(2000)), ..Told::default() };
    history.end(6 * MS, put, Outcome::Done(told));
    let rules = |history: &History, last: Last| -> Vec<Rule> {
        let last = BTreeMap::from([("k".to_owned(), last)]);
        last::check(history, &last, 2, 2000, |_| false).into_iter().map(|anomaly| anomaly.rule).collect()
    };
    assert_eq!(rules(&history, Last { version: Some(version(2000)), value: Some(1) }), []);
    assert_eq!(rules(&history, Last { version: Some(version(2001)), value: None }), []);
    assert_eq!(rules(&history, Last { version: Some(version(1999)), value: Some(1) }), [Rule::Kept]);
    assert_eq!(rules(&history, Last::default()), [Rule::Kept]);
    let delete = history.begin(50 * MS, 1, "k", Register, Action::Delete);
    history.end(51 * MS, delete, Outcome::Done(Told { sight: Sight::Live, changed: true, ..Told::default() }));
    assert_eq!(rules(&history, Last { version: Some(version(2048)), value: None }), []);
    assert_eq!(rules(&history, Last { version: Some(version(2047)), value: Some(1) }), [Rule::Deleted]);
}

/// `cargo test --release -p dht-sim -- --ignored --nocapture operations_checked_per_second`
#[test]
#[ignore = "a measurement"]
fn operations_checked_per_second() {
    const OPERATIONS: u64 = 3_000_000;
    const KEYS: u64 = 1000;
    let mut history = History::default();
    let names: Vec<String> = (0..KEYS).map(|key| format!("key/{key}")).collect();
    let mut states = vec![(0, 0); KEYS as usize];
    for n in 1..=OPERATIONS {
        let key = (n * 7919 % KEYS) as usize;
        let (value, version) = &mut states[key];
        let action = match n % 10 {
            0..4 => PUT(n as i64),
            4 => Action::Swap { expected: Expected::Version(v(*version), *value), value: n as i64 },
            _ => Action::Get,
        };
        let changed = action != Action::Get;
        let sight = if *version == 0 { Sight::Absent } else { Sight::Value(*value) };
        let sight = if matches!(action, Action::Put { .. }) { Sight::Unknown } else { sight };
        let token = history.begin(n * 1000, n as u32 % 50, &names[key], Register, action);
        if changed {
            (*value, *version) = (n as i64, n);
        }
        let version = (*version > 0).then(|| v(*version));
        let outcome = Outcome::Done(Told { sight, changed, version, expires_at_ms: 0 });
        history.end(n * 1000 + 500, token, outcome);
    }
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let begun = std::time::Instant::now();
    let found = history.check(0, 0);
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(found, []);
    println!("{OPERATIONS} operations of {KEYS} keys checked in {took:.2} s: {:.0} a second", OPERATIONS as f64 / took);
}
