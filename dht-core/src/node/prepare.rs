//! What one operation comes to at its owner: stamped and kept here, found to be done already, or not to be known.

use std::time::Duration;

use super::Node;
use super::atomic::{Decision, Effect, decide};
use crate::data::record::{OPERATIONS_MAX, Record, Version};
use crate::error::{Error, ErrorKind, Result};
use crate::ring::slot::Slot;
use crate::store::Merged;
use crate::wire::message::{Action, OpResult, Operation, PutOutcome};

/// Few calls last longer: a retry whose first try was so long ago is looked for among what the present replicas remember.
const CALL_USUAL_MAX: Duration = Duration::from_secs(60);

/// What a quorum said of one operation's key.
#[derive(Default)]
pub(super) struct Seen {
    /// The newest version of the key.
    pub(super) newest: Option<Version>,
    /// Under which version a replica stored this operation for another owner.
    pub(super) stored_as: Option<Version>,
    /// What was written for the operation before a replica refused it for a higher version.
    pub(super) wrote: Option<Record>,
}

/// What one operation comes to at the owner.
pub(super) enum Prepared {
    /// `replayed`: the version to report for an operation that was applied before, where that is known.
    Write {
        record: Record,
        effect: Effect,
        replayed: Option<Version>,
    },
    /// Nothing is to be done, because of a record that is here and was not at a quorum: it is to be there first.
    Confirm {
        record: Record,
        result: OpResult,
    },
    Done(OpResult),
}

impl Node {
    /// Stamps what one operation comes to, whose key is in `slot`, and keeps its record here. `again`: what was prepared before met a higher
    /// version. `retry`: an earlier try may have been carried out. `seen`: at a quorum, if it was asked.
    pub(super) fn prepare(
        &self,
        operation: &Operation,
        slot: Slot,
        again: bool,
        retry: bool,
        seen: Option<&Seen>,
    ) -> Result<Prepared> {
        loop {
            let present = self.store.get(slot, operation.map, &operation.key)?;
            let now_ms = self.env.wall_ms();
            let in_record = present.as_ref().is_some_and(|record| record.operations.contains(&operation.id));
            // What was refused may have been another's record, for an operation that was applied before or found nothing to do.
            let wrote = seen.and_then(|s| s.wrote.as_ref()).filter(|w| w.operations.last() == Some(&operation.id));
            let lost = again && !in_record && wrote.is_some();
            if lost {
                if wrote.zip(present.as_ref()).is_some_and(|(wrote, present)| may_build_on(present, wrote)) {
                    return Err(applied_before("whether others have built on it"));
                }
                // The higher version does not build on what was written before, which is lost.
                self.recent.forget(operation.id);
            } else if planted!("retry_blind") {
            } else if let Some(replay) = self.replay(operation, present.as_ref(), again) {
                return replay;
            } else if let (Some(version), Some(record)) = (seen.and_then(|s| s.stored_as), &present)
                && version < record.version
            {
                return overwritten(operation, version, record);
            } else if retry && !again && self.may_have_missed(slot, present.as_ref()) {
                return Err(applied_before("whether it was"));
            }
            // What an earlier write left here and nowhere else may not be told yet: others would not see it.
            let unseen =
                present.as_ref().filter(|record| seen.is_some_and(|s| s.newest < Some(record.version))).cloned();
            let told = |result: OpResult| match unseen {
                // What was written before and is lost may have been read where the higher version was not known.
                _ if lost => Err(applied_before("whether anybody saw it")),
                Some(record) if !planted!("dirty_told") => Ok(Prepared::Confirm { record, result }),
                _ => Ok(Prepared::Done(result)),
            };
            let (value, expires_at_ms, effect) = match decide(&operation.action, present.as_ref(), now_ms)? {
                Decision::Write { value, expires_at_ms, effect } => (value, expires_at_ms, effect),
                Decision::Nothing => return told(nothing_done(present)),
                Decision::Differs => return told(OpResult::Read { record: as_seen(present, now_ms) }),
            };
            let mut operations = present.map(|r| r.operations).unwrap_or_default();
            if operations.len() >= OPERATIONS_MAX {
                operations.drain(..=operations.len() - OPERATIONS_MAX);
            }
            operations.push(operation.id);
            let (map, key, version) = (operation.map, operation.key.clone(), self.stamp());
            let record = Record { map, key, value, version, expires_at_ms, operations };
            match self.store.merge(slot, record.clone())? {
                Merged::Stored => return Ok(Prepared::Write { record, effect, replayed: None }),
                // Another owner's write came in between: decide on what it left.
                Merged::Kept(present) => self.stamp_above(present).map(|_| ())?,
            }
        }
    }

    /// A retry of an operation on this record may have been carried out without any of the present replicas knowing: the
    /// list has changed since, so that those who remember it may be gone, and the record only tells of its newest ones.
    fn may_have_missed(&self, slot: Slot, present: Option<&Record>) -> bool {
        let full = present.is_some_and(|record| record.operations.len() >= OPERATIONS_MAX);
        full && !planted!("list_change_forgotten") && {
            let changed_at = self.state().table.get(slot).and_then(|s| s.changed_at);
            changed_at.is_some_and(|at| self.env.now() < at + CALL_USUAL_MAX)
        }
    }

    /// An operation that was applied before, by this owner or another: only its replicas are left to do. What depends
    /// on the present value writes only where it found what it wanted.
    fn replay(&self, operation: &Operation, present: Option<&Record>, again: bool) -> Option<Result<Prepared>> {
        let record = present?;
        let known = self.recent.applied_as(operation.id);
        let newest = record.operations.last() == Some(&operation.id);
        let effect = match &known {
            Some((_, effect)) => Some(effect.clone()),
            None => effect_seen_in(&operation.action, record, newest),
        };
        let unknown = |what: &str| Some(Err(applied_before(what)));
        if known.is_some() && self.recent.has_forgotten_answer(operation.id) {
            return unknown("what was there");
        }
        let Some(effect) = effect else {
            return if record.operations.contains(&operation.id) { unknown("what was there") } else { None };
        };
        if newest && again {
            // Nobody built on it, and a higher version that did not is somewhere: the same above that one.
            let mut record = record.clone();
            record.version = self.stamp();
            let kept = self.keep_above(&mut record);
            return Some(kept.map(|()| Prepared::Write { record, effect, replayed: None }));
        }
        if newest {
            return Some(Ok(Prepared::Write { record: record.clone(), effect, replayed: None }));
        }
        let named = record.operations.contains(&operation.id);
        if !named && self.recent.is_doubted(operation.id) {
            // Who wrote the present record may never have seen it.
            return unknown("whether others have built on it");
        }
        if let Some((version, _)) = known.filter(|(version, _)| *version < record.version) {
            // Overwritten since: the present record on the replicas is as good as this operation on them.
            return Some(Ok(Prepared::Write { record: record.clone(), effect, replayed: Some(version) }));
        }
        // Another owner applied it. The record keeps the version of its newest operation only, and no two writes may
        // claim one version.
        if named { unknown("its version, since it was overwritten,") } else { None }
    }

    /// Keeps `record` here, stamped above whatever is here already.
    pub(crate) fn keep_above(&self, record: &mut Record) -> Result<()> {
        let slot = self.slot_of(&record.key);
        while let Merged::Kept(present) = self.store.merge(slot, record.clone())? {
            if present == record.version {
                return Ok(());
            }
            record.version = self.stamp_above(present)?;
        }
        Ok(())
    }

    /// A stamp above `present`; `ClockSkew` if a peer made that one of a clock that nobody has.
    pub(crate) fn stamp_above(&self, present: Version) -> Result<Version> {
        self.hlc.observe(present.hlc);
        let version = self.stamp();
        if version > present {
            return Ok(version);
        }
        let (ours, theirs) = (crate::data::hlc::wall_ms(version.hlc), crate::data::hlc::wall_ms(present.hlc));
        let context = format!("the key has a version of {theirs} ms, which is no time of day: it is {ours} ms here");
        Err(Error::new(ErrorKind::ClockSkew, context))
    }
}

/// Whether the operation of `wrote`, its newest, may be among those that led to `present`, though that does not name it: a
/// record names its last few operations. If it names one that came before in `wrote`, it would name this one too.
fn may_build_on(present: &Record, wrote: &Record) -> bool {
    let full = present.operations.len() >= OPERATIONS_MAX;
    full && !wrote.operations.iter().any(|id| present.operations.contains(id))
}

/// A retry of what another owner applied as `version`, and others overwrote.
fn overwritten(operation: &Operation, version: Version, present: &Record) -> Result<Prepared> {
    if operation.action.depends() {
        return Err(applied_before("what was there"));
    }
    // A record names its last few operations: one that names fewer, and not this one, was written past it, perhaps on what was
    // there before.
    let bypassed = present.operations.len() < OPERATIONS_MAX && !present.operations.contains(&operation.id);
    if bypassed {
        return Err(applied_before("whether others have built on it"));
    }
    // The present record on the replicas is as good as this operation on them.
    Ok(Prepared::Write { record: present.clone(), effect: Effect::default(), replayed: Some(version) })
}

pub(super) fn applied_before(what: &str) -> Error {
    let context = format!("the write was tried before: {what} is not known");
    Error::new(ErrorKind::Quorum, context).unknown_outcome()
}

/// Nothing was to be done to `present`.
fn nothing_done(present: Option<Record>) -> OpResult {
    let version = present.map(|record| record.version).unwrap_or_default();
    let outcome = PutOutcome { version, acks: 0, wanted: 0, set_size: 0, degraded: false };
    OpResult::Written { outcome, existed: false, value: None }
}

/// What expired is gone for the caller too, whatever the caller's clock says.
fn as_seen(record: Option<Record>, now_ms: u64) -> Option<Record> {
    let gone = |record: &Record| record.expired(now_ms);
    record.map(|record| if gone(&record) { Record { value: None, ..record } } else { record })
}

/// What an operation that another owner applied told its caller, as far as the record still shows it.
fn effect_seen_in(action: &Action, record: &Record, newest: bool) -> Option<Effect> {
    match action {
        Action::GetAndPut { .. } | Action::GetAndDelete => None,
        Action::Increment { .. } if newest => Some(Effect { existed: true, value: record.value.clone() }),
        Action::Increment { .. } => None,
        _ => Some(Effect { existed: true, value: None }),
    }
}
