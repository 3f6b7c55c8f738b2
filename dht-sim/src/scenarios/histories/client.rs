//! One client: does one thing after the other through its node, and records what it asked and what it was told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dht_core::{
    Consistency, Dht, Env, Error, Expected as Wanted, GetOptions, Number, PutOptions, Swap, Value, Version, Versioned,
};

use super::mix::{Mix, Work};
use crate::history::{Action, Expected, History, Kind, Outcome, Sight, Token, Told};
use crate::world::World;

/// Lives of values that expire, in milliseconds.
const TTLS_MS: [u64; 4] = [50, 500, 3_000, 60_000];
/// Values of one client: unique over all.
const VALUES: i64 = 1_000_000;

/// Where all clients of a run write down what they do.
#[derive(Clone)]
pub(super) struct Book {
    world: World,
    history: Arc<Mutex<History>>,
    /// What took longer than it may.
    late: Arc<Mutex<Vec<(String, Duration)>>>,
}

/// A call that is begun: what is noted of it, since when it lasts.
struct Begun(Token, u64);

/// No call lasts longer than the nodes' default for them, and what the paused clock rounds up to; processes that stand still make
/// calls late by that.
const CALL_MAX: Duration = Duration::from_millis(2_005);

impl Book {
    pub(super) fn new(world: World) -> Self {
        Self { world, history: Arc::default(), late: Arc::default() }
    }

    /// # Errors
    /// Which calls ended later than `paused` after they should have.
    pub(super) fn in_time(&self, paused: Duration) -> Result<(), String> {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        match late.iter().filter(|(_, took)| *took > CALL_MAX + paused).max_by_key(|(_, took)| *took) {
            Some((what, took)) => Err(format!("a call took {took:?}: {what}")),
            None => Ok(()),
        }
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.world.now().as_nanos() as u64
    }

    fn begin(&self, client: u32, key: &str, action: Action) -> Begun {
        let kind = match key.split('/').next() {
            Some("count") => Kind::Counter,
            Some("expiring") => Kind::Expiring,
            _ => Kind::Register,
        };
        let now_ns = self.now_ns();
        Begun(self.history().begin(now_ns, client, key, kind, action), now_ns)
    }

    fn end<T>(
        &self,
        Begun(token, since_ns): Begun,
        result: Result<T, Error>,
        told: impl FnOnce(&T) -> Told,
    ) -> Option<T> {
        let took = Duration::from_nanos(self.now_ns() - since_ns);
        if took > CALL_MAX {
            let ended = result.as_ref().map_or_else(ToString::to_string, |_| "carried out".to_owned());
            let what = format!("begun at {:?}, {ended}", Duration::from_nanos(since_ns));
            self.late.lock().unwrap_or_else(PoisonError::into_inner).push((what, took));
        }
        let outcome = match &result {
            Ok(result) => Outcome::Done(told(result)),
            Err(error) if error.maybe_applied() => Outcome::Unknown,
            Err(_) => Outcome::Rejected,
        };
        self.history().end(self.now_ns(), token, outcome);
        if let Err(error) = &result {
            self.world.count(&format!("{} errors", error.kind()), 1);
        }
        result.ok()
    }
}

/// See the module.
pub(super) struct Client {
    pub(super) number: u32,
    pub(super) dht: Dht,
    pub(super) env: Env,
    pub(super) book: Book,
    pub(super) mix: Mix,
    pub(super) count: i64,
    /// Keys of `Work::Bury` that have their value, and those that were deleted.
    pub(super) alive: Vec<String>,
    pub(super) buried: Vec<String>,
}

impl Client {
    /// For ever.
    pub(super) async fn run(mut self, stopping: Arc<std::sync::atomic::AtomicBool>) {
        loop {
            tokio::time::sleep(self.env.jittered(self.mix.period)).await;
            if stopping.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            self.work().await;
        }
    }

    async fn work(&mut self) {
        let work = self.mix.next(&self.env);
        let dice = self.env.random_below(12);
        let value = self.value();
        match work {
            Work::Register => {
                let key = self.key("register");
                match dice {
                    0 => self.delete(&key).await,
                    1 => self.get_and_delete(&key).await,
                    2 => self.get_and_put(&key, value).await,
                    3..7 => self.put(&key, value, 0).await,
                    7 => self.peek(&key).await,
                    _ => drop(self.get(&key, GetOptions::default()).await),
                }
            }
            Work::Swap => {
                let key = self.key("swap");
                let expected = match self.get(&key, GetOptions::default()).await {
                    None if dice == 11 => return self.put(&key, value, 0).await,
                    None => Expected::Absent,
                    Some(_) if dice == 0 => return self.delete(&key).await,
                    Some((seen, _)) if dice < 5 => Expected::Value(seen),
                    Some((seen, version)) => Expected::Version(version, seen),
                };
                self.swap(&key, expected, value).await;
            }
            Work::Count if dice < 7 => self.increment(&self.key("count")).await,
            Work::Count => drop(self.get(&self.key("count"), GetOptions::default()).await),
            Work::Chain if dice < 9 => self.get_and_put(&self.key("chain"), value).await,
            Work::Chain => drop(self.get(&self.key("chain"), GetOptions::default()).await),
            Work::Expiring => {
                let key = self.key("expiring");
                let ttl_ms = TTLS_MS[self.env.random_below(TTLS_MS.len())];
                match dice {
                    0 => self.delete(&key).await,
                    1 | 2 => self.expire(&key, ttl_ms).await,
                    3 => self.expire(&key, 0).await,
                    4 => self.put(&key, value, 0).await,
                    5..8 => self.put(&key, value, ttl_ms).await,
                    8 => self.peek(&key).await,
                    _ => drop(self.get(&key, GetOptions::default()).await),
                }
            }
            Work::Add => {
                let key = format!("add/{}/{}", self.number, self.count);
                self.swap(&key, Expected::Absent, value).await;
            }
            Work::Batch => self.batch(dice).await,
            Work::Bury => self.bury(dice, value).await,
        }
    }

    /// Nobody touches these keys again: whether a deletion lasts is seen by whoever reads them, however much later.
    async fn bury(&mut self, dice: usize, value: i64) {
        let some = |from: &[String]| self.env.random_below(from.len());
        match dice {
            0..4 if !self.alive.is_empty() => {
                let key = self.alive.swap_remove(some(&self.alive));
                self.delete(&key).await;
                self.buried.push(key);
            }
            4..8 if !self.buried.is_empty() => {
                let key = &self.buried[some(&self.buried)];
                self.get(key, GetOptions::default()).await;
            }
            _ => {
                let key = format!("buried/{}/{}", self.number, self.count);
                self.put(&key, value, 0).await;
                self.alive.push(key);
            }
        }
    }

    fn key(&self, kind: &str) -> String {
        format!("{kind}/{}", self.env.random_below(self.mix.keys))
    }

    fn value(&mut self) -> i64 {
        self.count += 1;
        i64::from(self.number) * VALUES + self.count
    }

    pub(super) async fn get(&self, key: &str, options: GetOptions) -> Option<(i64, Version)> {
        let token = self.book.begin(self.number, key, Action::Get);
        let found = self.book.end(token, self.dht.get_versioned(key, options).await, read)?;
        found.map(|found| (number(&found.value), found.version))
    }

    /// Asks one replica.
    async fn peek(&self, key: &str) {
        let token = self.book.begin(self.number, key, Action::Peek);
        let one = GetOptions { consistency: Some(Consistency::One), timeout: None };
        self.book.end(token, self.dht.get_versioned(key, one).await, read);
    }

    async fn put(&self, key: &str, value: i64, ttl_ms: u64) {
        let token = self.book.begin(self.number, key, Action::Put { value, ttl_ms });
        let ttl = (ttl_ms > 0).then(|| Duration::from_millis(ttl_ms));
        let result = self.dht.put_value(key, of(value), PutOptions { ttl, ..PutOptions::default() }).await;
        self.book.end(token, result, |outcome| wrote(Sight::Unknown, Some(outcome.version)));
    }

    async fn delete(&self, key: &str) {
        let token = self.book.begin(self.number, key, Action::Delete);
        self.book.end(token, self.dht.delete(key).await, |existed| live(*existed));
    }

    async fn get_and_delete(&self, key: &str) {
        let token = self.book.begin(self.number, key, Action::GetAndDelete);
        let result = self.dht.get_and_delete_value(key, GetOptions::default()).await;
        self.book.end(token, result, |found| Told { changed: found.is_some(), ..wrote(sight(found.as_ref()), None) });
    }

    async fn get_and_put(&self, key: &str, value: i64) {
        let token = self.book.begin(self.number, key, Action::GetAndPut { value });
        let result = self.dht.get_and_put_value(key, of(value), PutOptions::default()).await;
        self.book.end(token, result, |found| wrote(sight(found.as_ref()), None));
    }

    async fn increment(&self, key: &str) {
        let token = self.book.begin(self.number, key, Action::Increment { by: 1 });
        let result = self.dht.increment_with(key, Number::Integer(1), GetOptions::default()).await;
        self.book.end(token, result, |sum| match sum {
            Number::Integer(1) => wrote(Sight::Absent, None),
            Number::Integer(sum) => wrote(Sight::Value(sum - 1), None),
            Number::Float(_) => wrote(Sight::Value(i64::MIN), None),
        });
    }

    async fn expire(&self, key: &str, ttl_ms: u64) {
        let token = self.book.begin(self.number, key, Action::Expire { ttl_ms });
        let ttl = (ttl_ms > 0).then(|| Duration::from_millis(ttl_ms));
        let result = self.dht.expire_with(key, ttl, GetOptions::default()).await;
        self.book.end(token, result, |existed| match (existed, ttl_ms) {
            // It lives for ever already, or there is none.
            (false, 0) => Told::default(),
            _ => live(*existed),
        });
    }

    /// Returns what is there.
    pub(super) async fn swap(&self, key: &str, expected: Expected, value: i64) -> Option<Swap> {
        let wanted = match expected {
            Expected::Absent => Wanted::Absent,
            Expected::Version(version, _) => Wanted::Version(version),
            Expected::Value(value) => Wanted::Value(of(value)),
            Expected::Nothing => Wanted::Version(Version::default()),
        };
        let token = self.book.begin(self.number, key, Action::Swap { expected, value });
        let result = self.dht.compare_and_swap_value(key, wanted, of(value), PutOptions::default()).await;
        self.book.end(token, result, |swap| match (swap.swapped, expected) {
            (true, Expected::Absent) => wrote(Sight::Absent, swap.version),
            (true, Expected::Version(_, seen) | Expected::Value(seen)) => wrote(Sight::Value(seen), swap.version),
            (true, Expected::Nothing) => wrote(Sight::Unknown, swap.version),
            (false, _) => Told { changed: false, ..wrote(sight(swap.value.as_ref()), swap.version) },
        })
    }

    /// Two or three registers at once.
    async fn batch(&mut self, dice: usize) {
        let first = self.env.random_below(self.mix.keys);
        let count = 3.min(self.mix.keys);
        let keys: Vec<String> = (0..count).map(|n| format!("register/{}", (first + n) % self.mix.keys)).collect();
        let begin = |client: &Self, actions: &[Action]| -> Vec<Begun> {
            keys.iter().zip(actions).map(|(key, action)| client.book.begin(client.number, key, *action)).collect()
        };
        match dice {
            0 | 1 => {
                let tokens = begin(self, &vec![Action::Delete; count]);
                let results = self.dht.delete_many(keys.clone(), GetOptions::default()).await;
                for (token, result) in tokens.into_iter().zip(each(results, count)) {
                    self.book.end(token, result, |existed| live(*existed));
                }
            }
            2..6 => {
                let tokens = begin(self, &vec![Action::Get; count]);
                let results = self.dht.get_many(keys.clone(), GetOptions::default()).await;
                for (token, result) in tokens.into_iter().zip(each(results, count)) {
                    self.book.end(token, result, read);
                }
            }
            _ => {
                let values: Vec<i64> = (0..count).map(|_| self.value()).collect();
                let actions: Vec<Action> = values.iter().map(|&value| Action::Put { value, ttl_ms: 0 }).collect();
                let tokens = begin(self, &actions);
                let entries: Vec<(String, Value)> = keys.iter().cloned().zip(values.into_iter().map(of)).collect();
                let results = self.dht.put_many(entries, PutOptions::default()).await;
                for (token, result) in tokens.into_iter().zip(each(results, count)) {
                    self.book.end(token, result, |outcome| wrote(Sight::Unknown, Some(outcome.version)));
                }
            }
        }
    }
}

/// A batch that failed as a whole failed for each.
fn each<T>(results: Result<Vec<Result<T, Error>>, Error>, count: usize) -> Vec<Result<T, Error>> {
    results.unwrap_or_else(|error| (0..count).map(|_| Err(error.clone())).collect())
}

fn of(value: i64) -> Value {
    Value::from_bytes(value.to_string())
}

/// What is no number of ours is one that nobody wrote.
fn number(value: &Value) -> i64 {
    std::str::from_utf8(&value.bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(i64::MIN)
}

fn sight(value: Option<&Value>) -> Sight {
    value.map_or(Sight::Absent, |value| Sight::Value(number(value)))
}

fn read(found: &Option<Versioned<Value>>) -> Told {
    let expires_at_ms = found.as_ref().and_then(|found| found.expires_at).map_or(0, |at| (at * 1000.0).round() as u64);
    let version = found.as_ref().map(|found| found.version);
    Told { sight: sight(found.as_ref().map(|found| &found.value)), changed: false, version, expires_at_ms }
}

fn wrote(sight: Sight, version: Option<Version>) -> Told {
    Told { sight, changed: true, version, expires_at_ms: 0 }
}

/// Changed what was there, if anything was.
fn live(existed: bool) -> Told {
    Told { sight: if existed { Sight::Live } else { Sight::Absent }, changed: existed, ..Told::default() }
}
