//! Values against their bounds, against each other, and against what this release can do, in that order.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::bounds::{Bound, bound, out_of_bound};
use super::endpoint;
use super::text::{ShowDuration, ShowSize, quoted};
use super::{Config, Routing};
use crate::error::{Error, ErrorKind, Result};

impl Config {
    /// Checks every value; `start` calls it.
    ///
    /// # Errors
    /// `Config` for a value out of its bound (the text names key, value and bound) or for two that contradict each
    /// other (with both values); `Insecure` for a bind that would be open to anyone. The first one found is reported, in this
    /// order. `address` as a name is judged at start, when it is resolved.
    pub fn validate(&self) -> Result<()> {
        self.check_bounds()?;
        self.check_relations()?;
        self.address.parse().map_or(Ok(()), |ip| self.insecure_bind(ip))
    }

    /// Refuses to bind `ip` if that would let anyone in: it is not loopback, nothing authenticates peers, and it was
    /// not allowed. To be asked for every address a name in `address` resolves to.
    pub(crate) fn insecure_bind(&self, ip: IpAddr) -> Result<()> {
        // An IPv4 address inside an IPv6 one reaches the same interface.
        let loopback = ip.to_canonical().is_loopback();
        if loopback || self.allow_insecure || self.cluster_key.is_some() || self.tls.is_some() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Insecure,
            format!(
                "address = {ip}: without authentication only loopback may be bound. Three ways out: set cluster_key \
                 (a secret shared by all nodes), set tls (cert, key, ca), or set allow_insecure = true on a network \
                 you trust"
            ),
        ))
    }

    fn check_bounds(&self) -> Result<()> {
        text("node_id", &self.node_id)?;
        holds("address", &self.address, endpoint::is_host(&self.address))?;
        int("port", u64::from(self.port))?;
        let dialable = endpoint::is_endpoint(&self.advertise) && !endpoint::is_unspecified(&self.advertise);
        holds("advertise", &self.advertise, self.advertise.is_empty() || dialable)?;
        self.check_seeds()?;
        text("cluster_name", &self.cluster_name)?;
        int("hash_bits", u64::from(self.hash_bits))?;
        int("slot_bits", u64::from(self.slot_bits))?;
        int("replication_factor", self.replication_factor as u64)?;
        int("min_replicas", self.min_replicas as u64)?;
        int("successor_list_size", self.successor_list_size as u64)?;
        int("virtual_nodes", u64::from(self.vnode_count()))?;
        size("repair_rate", self.repair_rate)?;
        if (1..REPAIR_RATE_MIN).contains(&self.repair_rate) {
            let text = format!(
                "repair_rate = {}: must be 0, which is no limit, or at least 64KiB",
                ShowSize(self.repair_rate)
            );
            return Err(Error::new(ErrorKind::Config, text));
        }
        time("stabilize_interval", self.stabilize_interval)?;
        time("fix_finger_interval", self.fix_finger_interval)?;
        time("check_predecessor", self.check_predecessor)?;
        time("heartbeat_interval", self.heartbeat_interval)?;
        time("request_timeout", self.request_timeout)?;
        int("max_retries", u64::from(self.max_retries))?;
        int("buffer_size", self.buffer_size as u64)?;
        int("max_connections", self.max_connections as u64)?;
        int("max_table_nodes", self.max_table_nodes as u64)?;
        if let Some(dir) = &self.data_dir {
            path("data_dir", dir)?;
        }
        if let Some(bytes) = self.max_memory {
            size("max_memory", bytes)?;
        }
        size("max_key_size", self.max_key_size as u64)?;
        size("max_value_size", self.max_value_size as u64)?;
        time("tombstone_grace", self.tombstone_grace)?;
        time("max_clock_offset", self.max_clock_offset)?;
        if let Some(secret) = &self.cluster_key {
            let len = secret.expose().len();
            text_len("cluster_key", len, || format!("(hidden, {len} bytes)"))?;
            let parts = secret.parts().count();
            if parts > KEYS_MAX || secret.parts().any(str::is_empty) {
                let text =
                    "cluster_key = (hidden): must be one key, or two with a comma between them, none of them empty";
                return Err(Error::new(ErrorKind::Config, text));
            }
        }
        if let Some(tls) = &self.tls {
            path("tls.cert", &tls.cert)?;
            path("tls.key", &tls.key)?;
            path("tls.ca", &tls.ca)?;
        }
        text("zone", &self.zone)?;
        int("worker_threads", self.worker_threads as u64)?;
        int("trace_sample", self.trace_sample.into())
    }

    fn check_seeds(&self) -> Result<()> {
        if let Some(wrong) = self.seeds.iter().find(|seed| !endpoint::is_endpoint(seed)) {
            return Err(out_of_bound("seeds", format_args!("… {} …", quoted(wrong))));
        }
        match bound("seeds") {
            Some(Bound::Endpoints(max)) if self.seeds.len() <= *max => Ok(()),
            _ => Err(out_of_bound("seeds", format_args!("({} of them)", self.seeds.len()))),
        }
    }

    fn check_relations(&self) -> Result<()> {
        let against = |text: String| Err(Error::new(ErrorKind::Config, text));
        if self.min_replicas > self.replication_factor {
            return against(format!(
                "min_replicas = {}: must be at most replication_factor, which is {}",
                self.min_replicas, self.replication_factor
            ));
        }
        if let Some(vnodes @ 2..) = self.virtual_nodes
            && !self.consistent_hashing
        {
            return against(format!(
                "virtual_nodes = {vnodes}: must be 1 (or 0 for a client) or left out, because consistent_hashing is \
                 false and a node then has exactly one position"
            ));
        }
        if self.routing == Routing::Chord && !self.zone.is_empty() {
            return against(format!(
                "zone = {}: must be empty, because routing is chord, where the successor list decides placement; use \
                 routing = one_hop with zones",
                quoted(&self.zone)
            ));
        }
        if self.durability == super::Durability::Always && self.data_dir.is_none() && self.vnode_count() > 0 {
            return against("durability = always: needs a data_dir; without one nothing is on a disk".to_owned());
        }
        if self.eviction == super::Eviction::Lru && self.data_dir.is_some() {
            return against(
                "eviction = lru: must be reject with a data_dir, where max_memory bounds the caches".to_owned(),
            );
        }
        Ok(())
    }
}

/// Slower, a page of records would hold up all others for more than seconds.
const REPAIR_RATE_MIN: u64 = 64 << 10;

/// Keys in `cluster_key`: the present one, and while they are changed a second.
const KEYS_MAX: usize = 2;

fn int(key: &str, value: u64) -> Result<()> {
    match bound(key) {
        Some(Bound::Int(low, high)) if (*low..=*high).contains(&value) => Ok(()),
        _ => Err(out_of_bound(key, value)),
    }
}

fn size(key: &str, bytes: u64) -> Result<()> {
    match bound(key) {
        Some(Bound::Size(low, high)) if (*low..=*high).contains(&bytes) => Ok(()),
        _ => Err(out_of_bound(key, ShowSize(bytes))),
    }
}

fn time(key: &str, value: Duration) -> Result<()> {
    match bound(key) {
        Some(Bound::Time(low, high)) if (*low..=*high).contains(&value) => Ok(()),
        _ => Err(out_of_bound(key, ShowDuration(value))),
    }
}

fn text(key: &str, value: &str) -> Result<()> {
    text_len(key, value.len(), || quoted(value))
}

fn text_len(key: &str, len: usize, shown: impl FnOnce() -> String) -> Result<()> {
    match bound(key) {
        Some(Bound::Text(low, high)) if (*low..=*high).contains(&len) => Ok(()),
        _ => Err(out_of_bound(key, shown())),
    }
}

fn path(key: &str, value: &Path) -> Result<()> {
    holds(key, &value.to_string_lossy(), !value.as_os_str().is_empty())
}

fn holds(key: &str, value: &str, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(out_of_bound(key, quoted(value))) }
}
