//! Which operations this owner applied lately, and under which version: a retry finds its own here, however many
//! others have written the key since. A retry through another owner is recognised by the ids in the record.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::atomic::Effect;
use crate::data::record::{OpId, Value, Version};

/// Operations remembered. At 10,000 a second that is six seconds, three times the default bound of a call.
const OPERATIONS: usize = 65_536;
/// Bytes of the values that operations answered with; when there are more, the oldest of these are forgotten, and not that the
/// operations were carried out.
const ANSWER_BYTES: usize = 16 << 20;

/// The newest operations of this node as an owner.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Applied>);

#[derive(Default)]
struct Applied {
    /// In order: operations of one caller come and go beside each other, and share what memory is at hand.
    known: BTreeMap<OpId, Known>,
    order: VecDeque<OpId>,
    /// Those that were remembered with a value, the oldest first; some are gone.
    answers: VecDeque<OpId>,
    answer_bytes: usize,
}

struct Known {
    version: Version,
    existed: bool,
    /// It has not reached its level: it may be lost.
    doubted: bool,
    /// It had a value that there was no room for.
    answer_forgotten: bool,
    /// Most have none: only what took a value or made one does.
    value: Option<Box<Value>>,
}

impl Known {
    fn answer_len(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.bytes.len())
    }
}

impl Applied {
    fn forget_answer(&mut self, id: OpId) {
        if let Some(known) = self.known.get_mut(&id)
            && let Some(value) = known.value.take()
        {
            known.answer_forgotten = true;
            self.answer_bytes -= value.bytes.len();
        }
    }

    fn remove(&mut self, id: OpId) {
        if let Some(known) = self.known.remove(&id) {
            self.answer_bytes -= known.answer_len();
        }
    }
}

impl Recent {
    /// The operation has this version now and that effect; a restamped one replaces its former version.
    pub(crate) fn applied(&self, id: OpId, version: Version, effect: &Effect) {
        let value = effect.value.clone().map(Box::new);
        let answers = value.is_some();
        let known = Known { version, existed: effect.existed, doubted: false, answer_forgotten: false, value };
        let mut applied = self.lock();
        applied.answer_bytes += known.answer_len();
        match applied.known.insert(id, known) {
            Some(before) => applied.answer_bytes -= before.answer_len(),
            None => applied.order.push_back(id),
        }
        if answers {
            applied.answers.push_back(id);
        }
        while applied.answer_bytes > ANSWER_BYTES && applied.answers.len() > 1 {
            let Some(oldest) = applied.answers.pop_front() else { break };
            applied.forget_answer(oldest);
        }
        while applied.order.len() > OPERATIONS {
            let Some(oldest) = applied.order.pop_front() else { return };
            applied.remove(oldest);
        }
        // Of operations that are gone, or were remembered anew.
        while applied.answers.len() > OPERATIONS {
            applied.answers.pop_front();
        }
    }

    /// What the operation wrote did not get to as many replicas as it should.
    pub(crate) fn doubt(&self, id: OpId) {
        if let Some(known) = self.lock().known.get_mut(&id) {
            known.doubted = true;
        }
    }

    /// What the operation told its caller is not known any more.
    pub(crate) fn has_forgotten_answer(&self, id: OpId) -> bool {
        self.lock().known.get(&id).is_some_and(|known| known.answer_forgotten)
    }

    pub(crate) fn is_doubted(&self, id: OpId) -> bool {
        self.lock().known.get(&id).is_some_and(|known| known.doubted)
    }

    /// What the operation wrote is lost: it was not applied.
    pub(crate) fn forget(&self, id: OpId) {
        self.lock().remove(id);
    }

    pub(crate) fn applied_as(&self, id: OpId) -> Option<(Version, Effect)> {
        let applied = self.lock();
        let Known { version, existed, value, .. } = applied.known.get(&id)?;
        Some((*version, Effect { existed: *existed, value: value.as_deref().cloned() }))
    }

    fn lock(&self) -> MutexGuard<'_, Applied> {
        // Map, queue and sum are changed together without anything between that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Operations that changed nothing, and at which attempt: an earlier attempt, or the same once more, that comes late must
/// not do what the caller was told was not done.
#[derive(Default)]
pub(crate) struct Unchanged(Mutex<Attempts>);

#[derive(Default)]
struct Attempts {
    newest: BTreeMap<OpId, u32>,
    order: VecDeque<OpId>,
}

impl Unchanged {
    pub(crate) fn note(&self, id: OpId, attempt: u32) {
        let mut attempts = self.lock();
        if attempts.newest.insert(id, attempt).is_none() {
            attempts.order.push_back(id);
        }
        if attempts.order.len() > OPERATIONS
            && let Some(oldest) = attempts.order.pop_front()
        {
            attempts.newest.remove(&oldest);
        }
    }

    /// The caller has its answer, or asks for it in a later attempt.
    pub(crate) fn is_over(&self, id: OpId, attempt: u32) -> bool {
        self.lock().newest.get(&id).is_some_and(|newest| attempt <= *newest)
    }

    fn lock(&self) -> MutexGuard<'_, Attempts> {
        // Map and queue are changed together without anything between that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_with_their_last_version() {
        let recent = Recent::default();
        let id = |sequence: u64| OpId { origin: 1, sequence };
        let version = |hlc: u64| Version { hlc, node: 1, boot: 1 };
        for n in 0..=OPERATIONS as u64 {
            recent.applied(id(n), version(n), &Effect::default());
        }
        recent.applied(id(7), version(99), &Effect::default());
        let version_of = |n| recent.applied_as(id(n)).map(|(version, _)| version);
        assert_eq!(version_of(0), None, "the oldest made room");
        assert_eq!(version_of(1), Some(version(1)));
        assert_eq!(version_of(7), Some(version(99)));
        recent.doubt(id(7));
        assert!(recent.is_doubted(id(7)) && !recent.is_doubted(id(8)));
        recent.applied(id(7), version(100), &Effect::default());
        assert!(!recent.is_doubted(id(7)), "it was written anew");
        recent.forget(id(7));
        assert_eq!(version_of(7), None);
    }

    #[test]
    fn an_attempt_that_changed_nothing_is_over_and_a_later_one_is_not() {
        let unchanged = Unchanged::default();
        let id = |sequence: u64| OpId { origin: 1, sequence };
        assert!(!unchanged.is_over(id(0), 0));
        unchanged.note(id(0), 1);
        assert!(unchanged.is_over(id(0), 0) && unchanged.is_over(id(0), 1) && !unchanged.is_over(id(0), 2));
        for n in 1..=OPERATIONS as u64 {
            unchanged.note(id(n), 0);
        }
        assert!(!unchanged.is_over(id(0), 0), "the oldest made room");
        assert!(unchanged.is_over(id(1), 0));
    }

    #[test]
    fn answers_are_remembered_within_their_bytes() {
        let recent = Recent::default();
        let id = |sequence: u64| OpId { origin: 1, sequence };
        let version = Version { hlc: 1, node: 1, boot: 1 };
        let took = |len: usize| Effect { existed: true, value: Some(Value::from_bytes(vec![7; len])) };
        recent.applied(id(0), version, &took(10));
        assert_eq!(recent.applied_as(id(0)), Some((version, took(10))));
        recent.applied(id(0), version, &took(20));
        recent.applied(id(1), version, &took(ANSWER_BYTES - 20));
        assert!(recent.applied_as(id(0)).is_some(), "exactly as many as are allowed");
        recent.applied(id(2), version, &took(1));
        assert!(recent.has_forgotten_answer(id(0)) && !recent.has_forgotten_answer(id(1)));
        let carried_out = recent.applied_as(id(0)).map(|(version, _)| version);
        assert_eq!(carried_out, Some(version), "that it was carried out is remembered");
        assert_eq!(recent.applied_as(id(2)), Some((version, took(1))));
        recent.forget(id(1));
        assert_eq!(recent.lock().answer_bytes, 1);
    }
}
