//! A place in line per key: the owner coordinates one operation of a key at a time, in the order of arrival.
//!
//! Invariant: whoever holds a [`Place`] is alone with that key at this node; dropping it, at whatever point, hands
//! the place to the next in line. At most `waiting_max` wait for one key.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::data::FixedMap;
use crate::data::record::KeyDigest;

const SHARDS: usize = 64;

type Queues = FixedMap<KeyDigest, VecDeque<oneshot::Sender<Place>>>;

/// All lines of a node.
pub(crate) struct Lines {
    shards: Box<[Mutex<Queues>]>,
    waiting_max: usize,
}

/// The head of one line.
pub(crate) struct Place {
    /// `None` once the place has been handed on.
    lines: Option<Arc<Lines>>,
    key: KeyDigest,
}

/// How one gets into a line.
pub(crate) enum Entry {
    /// Nobody was there.
    Free(Place),
    /// The place comes through this channel.
    Wait(oneshot::Receiver<Place>),
    /// Too many wait already.
    Full,
}

impl Lines {
    pub(crate) fn new(waiting_max: usize) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), waiting_max }
    }

    pub(crate) fn enter(self: &Arc<Self>, key: KeyDigest) -> Entry {
        let mut queues = self.shard(key);
        match queues.get_mut(&key) {
            None => {
                queues.insert(key, VecDeque::new());
                Entry::Free(Place { lines: Some(self.clone()), key })
            }
            Some(queue) => {
                if queue.len() >= self.waiting_max {
                    // Those who gave up are still in the queue until it gets to them; they wait no more.
                    queue.retain(|next| !next.is_closed());
                }
                if queue.len() >= self.waiting_max {
                    return Entry::Full;
                }
                let (give, take) = oneshot::channel();
                queue.push_back(give);
                Entry::Wait(take)
            }
        }
    }

    /// Keys of which somebody holds the place.
    pub(crate) fn len(&self) -> usize {
        let len = |shard: &Mutex<Queues>| shard.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.shards.iter().map(len).sum()
    }

    fn shard(&self, key: KeyDigest) -> MutexGuard<'_, Queues> {
        // A queue is whole at every point, so a poisoned lock holds a valid one.
        self.shards[key.0 as usize % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(lines) = self.lines.take() else { return };
        loop {
            let next = {
                let mut queues = lines.shard(self.key);
                let next = queues.get_mut(&self.key).and_then(VecDeque::pop_front);
                if next.is_none() {
                    queues.remove(&self.key);
                }
                next
            };
            let Some(next) = next else { return };
            let place = Self { lines: Some(lines.clone()), key: self.key };
            match next.send(place) {
                Ok(()) => return,
                // That one gave up waiting. Its place comes back and is emptied, since this loop goes on for it.
                Err(mut place) => place.lines = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyDigest = KeyDigest(7);

    fn free(lines: &Arc<Lines>) -> Place {
        match lines.enter(KEY) {
            Entry::Free(place) => place,
            _ => panic!("the line was empty"),
        }
    }

    fn wait(lines: &Arc<Lines>) -> oneshot::Receiver<Place> {
        match lines.enter(KEY) {
            Entry::Wait(receiver) => receiver,
            _ => panic!("somebody holds the place"),
        }
    }

    #[test]
    fn the_place_passes_in_order_and_over_those_who_gave_up() {
        let lines = Arc::new(Lines::new(8));
        let first = free(&lines);
        let (mut second, third, mut fourth) = (wait(&lines), wait(&lines), wait(&lines));
        drop(third);
        assert!(second.try_recv().is_err(), "the first still holds it");
        drop(first);
        let place = second.try_recv().expect("second in line");
        assert!(fourth.try_recv().is_err());
        drop(place);
        drop(fourth.try_recv().expect("the third gave up"));
        drop(free(&lines));
        assert!(lines.shard(KEY).is_empty(), "nothing is kept for an idle key");
    }

    #[test]
    fn a_place_that_nobody_took_out_of_its_channel_passes_on() {
        let lines = Arc::new(Lines::new(8));
        let first = free(&lines);
        let (second, mut third) = (wait(&lines), wait(&lines));
        drop(first);
        drop(second);
        assert!(third.try_recv().is_ok());
    }

    #[test]
    fn a_line_is_bounded() {
        let lines = Arc::new(Lines::new(1));
        let _held = free(&lines);
        let _waiting = wait(&lines);
        assert!(matches!(lines.enter(KEY), Entry::Full));
    }

    #[test]
    fn whoever_gave_up_does_not_fill_the_line() {
        let lines = Arc::new(Lines::new(2));
        let _place = free(&lines);
        for _ in 0..10 {
            drop(wait(&lines));
        }
        let _waiting = (wait(&lines), wait(&lines));
        assert!(matches!(lines.enter(KEY), Entry::Full), "two wait");
    }
}
