//! What a node says of itself, of the ring, and of where a key is.

use super::Dht;
use crate::error::Result;
use crate::ring::id::Id;
use crate::shapes::{Finger, Health, LookupTrace, NodeInfo, RingInfo, Statistics};

impl Dht {
    /// # Errors
    /// `TooLarge` if no key of this ring is so long.
    #[doc(hidden)]
    pub fn check_key(&self, key: &[u8]) -> Result<()> {
        self.0.node.check_key(key)
    }

    /// The id of a key on the ring.
    pub fn hash_key(&self, key: impl AsRef<[u8]>) -> Id {
        self.0.node.key_id(key.as_ref())
    }

    /// The id of a key on the ring as lower-case hexadecimal of ceil(hash_bits / 4) digits.
    pub fn hash_key_hex(&self, key: impl AsRef<[u8]>) -> String {
        self.0.node.ids.hex(self.hash_key(key))
    }

    /// The nodes that keep `key`, owner first, as this node sees the ring.
    ///
    /// # Errors
    /// `TooLarge`, `Stopped`.
    pub fn locate(&self, key: impl AsRef<[u8]>) -> Result<Vec<NodeInfo>> {
        let node = self.node()?;
        node.check_key(key.as_ref())?;
        Ok(node.locate(key.as_ref()))
    }

    /// The way to the owner of `key`: walks the ring as a Chord lookup does, whatever this node's view says, and tells
    /// whom it asked. Counts in no statistics; takes `request_timeout` at most.
    ///
    /// # Errors
    /// `TooLarge` (the key), `Stopped`; `NotJoined` if this node is in no ring by then, `Timeout`, `Unreachable` if all
    /// ways ended at silent nodes.
    pub async fn lookup_trace(&self, key: impl AsRef<[u8]>) -> Result<LookupTrace> {
        let node = self.node()?;
        node.check_key(key.as_ref())?;
        node.lookup_trace(key.as_ref(), node.env.now() + node.config.request_timeout).await
    }

    /// This node; after [`Dht::leave`], unless it was stopped before, a node that has left.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn node_info(&self) -> Result<NodeInfo> {
        if self.0.node.has_left() {
            return Ok(self.0.node.node_info());
        }
        Ok(self.node()?.node_info())
    }

    /// The first other node before this node's position 0; `None` alone.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn predecessor(&self) -> Result<Option<NodeInfo>> {
        Ok(self.node()?.predecessor())
    }

    /// The next distinct others clockwise, at most `successor_list_size`; none alone.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn successor_list(&self) -> Result<Vec<NodeInfo>> {
        Ok(self.node()?.successor_list())
    }

    /// The finger table of position 0: `hash_bits` fingers, ascending by index; finger k is the node that owns position 0 + 2^k, which
    /// may be this one. Found by lookups every `fix_finger_interval`, and until then what the view says.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn finger_table(&self) -> Result<Vec<Finger>> {
        Ok(self.node()?.finger_table())
    }

    /// The ring as this node sees it.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn ring(&self) -> Result<RingInfo> {
        Ok(self.node()?.ring_info())
    }

    /// All nodes that this node remembers, those that are gone included.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn members(&self) -> Result<Vec<NodeInfo>> {
        Ok(self.node()?.members())
    }

    /// What was counted and measured.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn statistics(&self) -> Result<Statistics> {
        Ok(self.node()?.statistics())
    }

    /// Whether this node and its part of the ring are well.
    ///
    /// # Errors
    /// `Stopped`.
    pub fn health(&self) -> Result<Health> {
        Ok(self.node()?.health())
    }

    /// Statistics, health and the number of members by state as text in Prometheus' exposition format, version 0.0.4: what
    /// a page that is scraped answers, as `text/plain; version=0.0.4`. Every metric is called `dht_` and the name of the
    /// statistic, with `_seconds` behind times and `_total` behind what is counted since the start. What calls took is in
    /// the summaries `dht_store_duration_seconds` and `dht_lookup_duration_seconds`, without quantiles if
    /// `enable_metrics` is false.
    ///
    /// `dht_misbehaving_peers_total` has a label for each peer. Where untrusted ones can reach the node, drop it when
    /// scraping: who they say they are is for them to choose.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let node = dht_core::Dht::start(dht_core::Config::default()).await?;
    /// node.put("k", &1).await?;
    /// assert!(node.metrics()?.contains("\ndht_stores_successful_total 1\n"));
    /// # node.stop().await;
    /// # Ok::<(), dht_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Stopped`.
    pub fn metrics(&self) -> Result<String> {
        Ok(self.node()?.metrics())
    }
}
