//! Operations that look at the present value: the key's owner carries each out alone with the key
//! (`node/coordinator.rs`). While two nodes believe that they own a key, as in a split, both decide on their own.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Dht;
use super::data::written;
use crate::data::number::Number;
use crate::data::record::{Expected, Value};
use crate::error::{Error, Result};
use crate::node::no_result;
use crate::ops::{Count, GetOptions, PutOptions, Swap, ttl_ms};
use crate::wire::message::{Action, OpResult};

impl Dht {
    /// Stores the JSON of `value` under `key`, for ever, if what is there is as `expected`. If it is not, nothing is
    /// written, and the answer has what is there: no error.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use dht_core::{Config, Dht, Expected, Value};
    ///
    /// let node = Dht::start(Config::default()).await?;
    /// let first = node.compare_and_swap("leader", Expected::Absent, "a").await?;
    /// assert!(first.swapped);
    /// let second = node.compare_and_swap("leader", Expected::Absent, "b").await?;
    /// assert_eq!((second.swapped, second.value), (false, Some(Value::from_serialize("a")?)));
    /// assert!(node.compare_and_swap("leader", first.version.unwrap(), "b").await?.swapped);
    /// # node.stop().await;
    /// # Ok::<(), dht_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `InvalidValue` if `value` has no JSON form; otherwise as [`Dht::put_value`]. Where `Error::maybe_applied` is true,
    /// read the key to learn what became of it.
    pub async fn compare_and_swap<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        expected: impl Into<Expected>,
        value: &T,
    ) -> Result<Swap> {
        self.compare_and_swap_value(key, expected.into(), Value::from_serialize(value)?, PutOptions::default()).await
    }

    /// The same for a value of either format, with options.
    ///
    /// # Errors
    /// As [`Dht::compare_and_swap`].
    pub async fn compare_and_swap_value(
        &self,
        key: impl AsRef<[u8]>,
        expected: Expected,
        value: Value,
        options: PutOptions,
    ) -> Result<Swap> {
        let action = Action::CompareAndSwap { expected, value, ttl_ms: ttl_ms(options.ttl)? };
        Swap::of(self.act(key.as_ref(), action, options.consistency, options.timeout).await?)
    }

    /// Stores the JSON of `value` under `key`, for ever, if there is no value; else the answer has what is there.
    ///
    /// # Errors
    /// As [`Dht::compare_and_swap`].
    pub async fn put_if_absent<T: Serialize + ?Sized>(&self, key: impl AsRef<[u8]>, value: &T) -> Result<Swap> {
        self.compare_and_swap(key, Expected::Absent, value).await
    }

    /// Adds `by` to the number under `key`, 0 if there is none, and answers with the sum. The expiry of what is there
    /// stays. With an `i64` the value is an integer of 64 bits; with an `f64` the sum is a float.
    ///
    /// # Errors
    /// `WrongFormat` if the value is no number, or a float and `by` an integer; `InvalidValue` if the sum does not fit or
    /// `by` is not finite: nothing was done. Otherwise as [`Dht::put_value`].
    pub async fn increment<N: Count>(&self, key: impl AsRef<[u8]>, by: N) -> Result<N> {
        N::of(self.increment_with(key, by.into(), GetOptions::default()).await?)
    }

    /// The same for a number of either kind, with options.
    ///
    /// # Errors
    /// As [`Dht::increment`].
    pub async fn increment_with(&self, key: impl AsRef<[u8]>, by: Number, options: GetOptions) -> Result<Number> {
        by.check_finite()?;
        let action = Action::Increment { by };
        match self.act(key.as_ref(), action, options.consistency, options.timeout).await? {
            OpResult::Written { value: Some(sum), .. } => Number::of(&sum),
            _ => Err(no_result()),
        }
    }

    /// Stores the JSON of `value` under `key`, for ever, and answers with what was there before.
    ///
    /// # Errors
    /// `WrongFormat` if what was there is no `R`: the new value is stored nevertheless. `InvalidValue` if `value` has no
    /// JSON form; otherwise as [`Dht::put_value`].
    pub async fn get_and_put<R: DeserializeOwned, T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        value: &T,
    ) -> Result<Option<R>> {
        let before = self.get_and_put_value(key, Value::from_serialize(value)?, PutOptions::default()).await?;
        before.map(|before| before.deserialize().map_err(Error::unknown_outcome)).transpose()
    }

    /// The same for values of either format, with options.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn get_and_put_value(
        &self,
        key: impl AsRef<[u8]>,
        value: Value,
        options: PutOptions,
    ) -> Result<Option<Value>> {
        let action = Action::GetAndPut { value, ttl_ms: ttl_ms(options.ttl)? };
        taken(self.act(key.as_ref(), action, options.consistency, options.timeout).await?)
    }

    /// Deletes `key` and answers with what was there.
    ///
    /// # Errors
    /// `WrongFormat` if what was there is no `R`: it is deleted nevertheless. Otherwise as [`Dht::put_value`].
    pub async fn get_and_delete<R: DeserializeOwned>(&self, key: impl AsRef<[u8]>) -> Result<Option<R>> {
        let before = self.get_and_delete_value(key, GetOptions::default()).await?;
        before.map(|before| before.deserialize().map_err(Error::unknown_outcome)).transpose()
    }

    /// The same for values of either format, with options.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn get_and_delete_value(&self, key: impl AsRef<[u8]>, options: GetOptions) -> Result<Option<Value>> {
        taken(self.act(key.as_ref(), Action::GetAndDelete, options.consistency, options.timeout).await?)
    }

    /// Lets what is under `key` live for `ttl` from now, whatever its expiry was; true if there is a value.
    ///
    /// # Errors
    /// `InvalidArgument` (ttl 0); otherwise as [`Dht::put_value`].
    pub async fn expire(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<bool> {
        self.expire_with(key, Some(ttl), GetOptions::default()).await
    }

    /// Lets what is under `key` live for ever; true if there is a value that would have expired.
    ///
    /// # Errors
    /// As [`Dht::put_value`].
    pub async fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.expire_with(key, None, GetOptions::default()).await
    }

    /// [`Dht::expire`], or [`Dht::persist`] for `None`, with options.
    ///
    /// # Errors
    /// As [`Dht::expire`].
    pub async fn expire_with(&self, key: impl AsRef<[u8]>, ttl: Option<Duration>, options: GetOptions) -> Result<bool> {
        let action = Action::Expire { ttl_ms: ttl_ms(ttl)? };
        let result = self.act(key.as_ref(), action, options.consistency, options.timeout).await?;
        written(result).map(|(_, existed)| existed)
    }
}

/// What was there before.
fn taken(result: OpResult) -> Result<Option<Value>> {
    match result {
        OpResult::Written { value, .. } => Ok(value),
        _ => Err(no_result()),
    }
}
