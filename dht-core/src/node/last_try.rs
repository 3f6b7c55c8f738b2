//! Why the last try to get into a ring failed: for whoever waits for that, and for the log.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Node, Phase};
use crate::config::text::cut_at;
use crate::error::{Error, ErrorKind};

/// Seeds that the text names, and the longest reason in it, in characters.
const SEEDS_NAMED_MAX: usize = 4;
const REASON_MAX: usize = 400;

/// `None` before the first try has failed, and from the moment on at which this node is in a ring.
#[derive(Default)]
pub(super) struct LastTry(Mutex<Option<Error>>);

impl LastTry {
    /// Keeps the reason; true if the try before, if any, failed for another one. Numbers do not make another one: in many texts
    /// they are times.
    fn failed(&self, reason: &Error) -> bool {
        let words = |error: &Error| error.context().replace(|c: char| c.is_ascii_digit(), "");
        let before = self.lock().replace(reason.clone());
        before.is_none_or(|before| before.kind() != reason.kind() || words(&before) != words(reason))
    }

    fn forget(&self) {
        *self.lock() = None;
    }

    fn reason(&self) -> Option<String> {
        self.lock().as_ref().map(|error| cut_at(&error.to_string(), REASON_MAX))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Error>> {
        // Either value is valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// A try to get into a ring failed.
    pub(super) fn try_failed(&self, error: &Error) {
        if self.life.phase() != Phase::Joining {
            // An explicit join was quicker.
            return;
        }
        if self.last_try.failed(error) {
            log!(self, warn, %error, "not joined");
        } else {
            log!(self, debug, %error, "not joined yet");
        }
    }

    /// This node is in a ring from now on; false if it was told to leave, or ended, meanwhile.
    pub(super) fn enter_active(&self) -> bool {
        let entered = self.life.enter(Phase::Active);
        self.last_try.forget();
        entered
    }

    /// What those are told who wait in vain for this node to get into a ring.
    pub(super) fn not_joined(&self) -> Error {
        Error::new(ErrorKind::NotJoined, self.in_no_ring())
    }

    /// That this node is in no ring, and what came of the last try, if that is known.
    pub(super) fn in_no_ring(&self) -> String {
        let Some(reason) = self.last_try.reason() else { return "this node is in no ring yet".to_owned() };
        let seeds = &self.config.seeds;
        let mut named = seeds.iter().take(SEEDS_NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        if seeds.is_empty() {
            // It was in a ring before it was started.
            named.push_str("those it knew");
        }
        if seeds.len() > SEEDS_NAMED_MAX {
            named.push_str(&format!(" and {} more", seeds.len() - SEEDS_NAMED_MAX));
        }
        format!("this node is in no ring yet; the last try to join {named}: {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_reason_is_news_and_success_forgets_it() {
        let last = LastTry::default();
        let error = |kind, text: &str| Error::new(kind, text);
        assert_eq!(last.reason(), None);
        assert!(last.failed(&error(ErrorKind::ClockSkew, "here 17.1, there 42.5")));
        assert!(!last.failed(&error(ErrorKind::ClockSkew, "here 18.3, there 43.75")), "only time goes on");
        assert_eq!(last.reason().as_deref(), Some("CLOCK_SKEW: here 18.3, there 43.75"), "the last one counts");
        assert!(last.failed(&error(ErrorKind::Unreachable, "here 18, there 43")), "another kind");
        assert!(last.failed(&error(ErrorKind::Unreachable, "a:1 is silent")), "another text");
        last.forget();
        assert_eq!(last.reason(), None);
        assert!(last.failed(&error(ErrorKind::Unreachable, "a:1 is silent")), "it is news once more");
        last.failed(&error(ErrorKind::Auth, &"x".repeat(5_000)));
        assert!(last.reason().is_some_and(|reason| reason.len() < REASON_MAX + 40), "bounded");
    }
}
