//! Operations that look at the present value, through a running node; see `dht/atomic.rs`.

use std::time::Duration;

use super::{Remote, not_that, unexpected};
use crate::data::number::Number;
use crate::data::record::{Expected, Value};
use crate::error::Result;
use crate::ops::{GetOptions, PutOptions, Swap, ttl_ms};
use crate::wire::message::{Action, OpResult};

impl Remote {
    /// Stores `value` under `key` if what is there is as `expected`; if not, the answer has what is there.
    ///
    /// # Errors
    /// As `Dht::compare_and_swap_value`; without a level in `options` it is `quorum`.
    pub async fn compare_and_swap(
        &self,
        key: &[u8],
        expected: Expected,
        value: Value,
        options: &PutOptions,
    ) -> Result<Swap> {
        let timeout = options.timeout.unwrap_or_else(|| self.timeout(value.bytes.len()));
        let action = Action::CompareAndSwap { expected, value, ttl_ms: ttl_ms(options.ttl)? };
        Swap::of(self.operate(key, action, options.consistency, timeout).await?)
    }

    /// Adds `by` to the number under `key`, 0 if there is none, and answers with the sum.
    ///
    /// # Errors
    /// As `Dht::increment_with`; without a level in `options` it is `quorum`.
    pub async fn increment(&self, key: &[u8], by: Number, options: &GetOptions) -> Result<Number> {
        by.check_finite()?;
        let timeout = options.timeout.unwrap_or(self.0.timeout);
        match self.operate(key, Action::Increment { by }, options.consistency, timeout).await? {
            OpResult::Written { value: Some(sum), .. } => Number::of(&sum),
            OpResult::Failed(error) => Err(error),
            _ => Err(unexpected()),
        }
    }

    /// Lets what is under `key` live for `ttl` from now, or, for `None`, for ever; true if there is a value, for `None` one
    /// that would have expired.
    ///
    /// # Errors
    /// As `Dht::expire_with`; without a level in `options` it is `quorum`.
    pub async fn expire(&self, key: &[u8], ttl: Option<Duration>, options: &GetOptions) -> Result<bool> {
        let timeout = options.timeout.unwrap_or(self.0.timeout);
        let action = Action::Expire { ttl_ms: ttl_ms(ttl)? };
        match self.operate(key, action, options.consistency, timeout).await? {
            OpResult::Written { existed, .. } => Ok(existed),
            other => Err(not_that(other)),
        }
    }
}
