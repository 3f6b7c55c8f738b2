//! Operations on all keys of a prefix.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::yield_now;

use super::Dht;
use crate::data::record::{Record, Value};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::node::scan::{WIDTH_MIN, Wanted};
use crate::ops::{GetOptions, Versioned, versioned};
use crate::ring::slot::Slot;
use crate::wire::message::{ScanFrom, ScanWant};

/// A scan under way: see [`Dht::scan`]. Holds one page of what it found, about 256 KiB or one value.
pub struct Scan {
    pages: Pages,
    found: VecDeque<Record>,
}

impl Dht {
    /// All keys that begin with `prefix` and have a value, in no order. A key that is there throughout is found exactly
    /// once, whatever nodes join, leave or die meanwhile; one that is put or deleted meanwhile may be found or not.
    /// Each page is read at the configured level.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use dht_core::{Config, Dht};
    ///
    /// let node = Dht::start(Config::default()).await?;
    /// node.put("user:1", "Ada").await?;
    /// node.put("user:2", "Bob").await?;
    /// node.put("other", "x").await?;
    /// let mut names = Vec::new();
    /// let mut users = node.scan("user:");
    /// while let Some((_key, found)) = users.next().await? {
    ///     names.push(found.value.deserialize::<String>()?);
    /// }
    /// names.sort();
    /// assert_eq!(names, ["Ada", "Bob"]);
    /// # node.stop().await;
    /// # Ok::<(), dht_core::Error>(()) }).unwrap();
    /// ```
    pub fn scan(&self, prefix: impl AsRef<[u8]>) -> Scan {
        self.scan_with(prefix, GetOptions::default())
    }

    /// The same with options; the timeout is that of each page.
    pub fn scan_with(&self, prefix: impl AsRef<[u8]>, options: GetOptions) -> Scan {
        Scan { pages: self.pages(prefix.as_ref(), ScanWant::Values, options), found: VecDeque::new() }
    }

    /// How many keys begin with `prefix` and have a value: counts them one by one, without their values.
    ///
    /// # Errors
    /// As [`Scan::next`].
    pub async fn count(&self, prefix: impl AsRef<[u8]>) -> Result<u64> {
        let mut pages = self.pages(prefix.as_ref(), ScanWant::Keys, GetOptions::default());
        let mut count = 0;
        while let Some(records) = pages.next().await? {
            count += records.len() as u64;
            // Where no page has to be waited for, as in a ring of one: others get their turn, and the caller can give it up.
            yield_now().await;
        }
        Ok(count)
    }

    /// About how many keys have a value, without asking anybody: what this node holds, scaled by the part of the ring that it
    /// holds. A few percent off with many keys, more with few; right in a ring of up to `replication_factor` nodes at
    /// rest. A client, which holds nothing, asks some nodes.
    ///
    /// # Errors
    /// `Stopped`; for a client also `NotJoined`, `Unreachable`.
    pub async fn len(&self) -> Result<u64> {
        let node = self.node()?;
        node.estimated_len(node.env.now() + node.config.request_timeout).await
    }

    /// Deletes all keys that begin with `prefix`, the empty one: all keys; returns how many had a value. Keys that are
    /// put meanwhile may stay.
    ///
    /// # Errors
    /// As [`Scan::next`] and [`Dht::delete`], the first that occurred, with an unknown outcome if some may be deleted.
    pub async fn clear(&self, prefix: impl AsRef<[u8]>) -> Result<u64> {
        let mut pages = self.pages(prefix.as_ref(), ScanWant::Keys, GetOptions::default());
        let (mut count, mut begun) = (0, false);
        // What was deleted before stays so.
        let after = |begun: bool| move |error: Error| if begun { error.unknown_outcome() } else { error };
        while let Some(records) = pages.next().await.map_err(after(begun))? {
            let keys: Vec<Bytes> = records.into_iter().map(|record| record.key).collect();
            let deleted = self.delete_many(keys, GetOptions::default()).await.map_err(after(begun))?;
            begun |= !deleted.is_empty();
            for existed in deleted {
                count += u64::from(existed.map_err(after(begun))?);
            }
            // As in `count`.
            yield_now().await;
        }
        Ok(count)
    }

    fn pages(&self, prefix: &[u8], want: ScanWant, options: GetOptions) -> Pages {
        let node = &self.0.node;
        let level = options.consistency.unwrap_or(node.config.consistency);
        Pages {
            dht: self.clone(),
            what: Wanted { map: 0, prefix: Bytes::copy_from_slice(prefix), want, level },
            from: Some(ScanFrom { slot: Slot(0), after: None }),
            width: WIDTH_MIN,
            timeout: options.timeout.unwrap_or(node.config.request_timeout),
        }
    }
}

impl Scan {
    /// The next key with its value; `None` at the end.
    ///
    /// # Errors
    /// `TooLarge` (the prefix), `Stopped`, `NotJoined`, `Quorum` if too few replicas of a part of the ring agreed within the
    /// timeout, `Timeout` if those that are missing were silent, `Overloaded` if the replicas of a key over which they differ
    /// have too much to do. The scan is where it was: calling again goes on there.
    #[allow(clippy::should_implement_trait, reason = "it waits; `into_stream` is the trait's form")]
    pub async fn next(&mut self) -> Result<Option<(Bytes, Versioned<Value>)>> {
        // Before what the last page has left: a node that has ended tells nothing.
        self.pages.dht.node()?;
        loop {
            while let Some(record) = self.found.pop_front() {
                let key = record.key.clone();
                if let Some(found) = versioned(record, &self.pages.node().env) {
                    return Ok(Some((key, found)));
                }
            }
            match self.pages.next().await? {
                Some(records) => self.found = records.into(),
                None => return Ok(None),
            }
        }
    }

    /// The same as a stream, which ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<(Bytes, Versioned<Value>)>> + Send {
        futures_util::stream::try_unfold(self, async |mut scan| {
            let found = scan.next().await?;
            Ok(found.map(|found| (found, scan)))
        })
    }
}

/// The pages of a scan.
struct Pages {
    dht: Dht,
    what: Wanted,
    /// `None`: there is no more.
    from: Option<ScanFrom>,
    width: usize,
    timeout: Duration,
}

impl Pages {
    fn node(&self) -> &Arc<Node> {
        &self.dht.0.node
    }

    /// The next page, which may be empty; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<Record>>> {
        let Some(from) = self.from else { return Ok(None) };
        let node = self.dht.node()?;
        node.check_key(&self.what.prefix)?;
        let page = node.scan_page(&self.what, from, self.width, node.env.after(self.timeout)).await?;
        (self.from, self.width) = (page.next, page.width);
        Ok(Some(page.records))
    }
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.pages.from.map(|from| from.slot.0);
        f.debug_struct("Scan").field("slot", &at).field("found", &self.found.len()).finish_non_exhaustive()
    }
}
