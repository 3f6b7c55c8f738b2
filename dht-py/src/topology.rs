//! Where keys lie, who is there, how it goes. All answered from memory, but for `lookup_trace`, `trace`, `snapshot`, `restore`.

use std::path::PathBuf;

use dht_core::Dht;
use pyo3::prelude::*;
use pyo3::types::PyInt;

use crate::answers::{shape, shapes};
use crate::arguments::{Key, Level, Timeout, get_options};
use crate::calls::operate;
use crate::errors::raised;
use crate::node::Node;

#[pymethods]
impl Node {
    /// The id of ``key`` on the ring. Works before `start` too.
    ///
    /// >>> import dht
    /// >>> hex(dht.DHT(hash_function="sha1").hash_key("abc"))
    /// '0xa9993e364706816aba3e25717850c26c9cd0d89d'
    fn hash_key(&self, py: Python<'_>, key: Key<'_>) -> PyResult<Py<PyAny>> {
        let hex = self.handle(py)?.hash_key(key.0).map_err(|error| raised(py, &error))?;
        Ok(py.get_type::<PyInt>().call1((hex, 16))?.unbind())
    }

    /// The nodes that keep ``key``, its owner first, as a list of `NodeInfo`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT(node_id="me") as node:
    /// ...     [owner.id for owner in node.locate("k")]
    /// ['me']
    fn locate(&self, py: Python<'_>, key: Key<'_>) -> PyResult<Py<PyAny>> {
        shapes(py, "NodeInfo", &self.dht(py, |dht| dht.locate(key.0))?)
    }

    /// The way to the owner of ``key``, as a `LookupTrace`: walks the ring as a lookup does, whatever this node's view
    /// says, and tells whom it asked. Takes ``request_timeout`` at most.
    ///
    /// Raises TooLarge (the key), NotJoined, OperationTimeout; Unreachable if all ways ended at silent nodes.
    ///
    /// >>> import dht
    /// >>> with dht.DHT(node_id="me") as node:
    /// ...     trace = node.lookup_trace("k")
    /// >>> trace.owner.id, trace.hops, trace.one_hop
    /// ('me', (), True)
    fn lookup_trace(&self, py: Python<'_>, key: Key<'_>) -> PyResult<Py<PyAny>> {
        let convert = |py: Python<'_>, trace| shape(py, "LookupTrace", &trace);
        operate!(self, py, Reads, key.0, key.0.to_vec(), |dht, key| dht.lookup_trace(key), convert)
    }

    /// Reads ``key`` and tells what every node did for that, as an `OperationTrace`. What the read ended with is in it.
    ///
    /// Raises TooLarge (the key), NodeStopped.
    ///
    /// >>> import dht
    /// >>> with dht.DHT(node_id="me") as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     trace = node.trace("k")
    /// >>> trace.found, [(span.what, span.node.id, span.outcome) for span in trace.spans]
    /// (True, [('fetch', 'me', 'done')])
    #[pyo3(signature = (key, *, consistency=None, timeout=None))]
    fn trace(
        &self,
        py: Python<'_>,
        key: Key<'_>,
        consistency: Option<Level>,
        timeout: Option<Timeout>,
    ) -> PyResult<Py<PyAny>> {
        let options = get_options(consistency, timeout);
        let convert = |py: Python<'_>, trace| shape(py, "OperationTrace", &trace);
        operate!(self, py, Reads, key.0, key.0.to_vec(), |dht, key| dht.trace_get(key, options), convert)
    }

    /// Writes every record that this node keeps to a new file at ``path``, while it goes on serving; returns a
    /// `SnapshotInfo`. The file is whole and synced, or not there. It holds this node's part of the ring: with as many
    /// nodes as ``replication_factor``, or fewer, that is everything; else take one from each node.
    ///
    /// Raises InvalidArgument if something is at ``path`` already, which stays; Storage; Unsupported on a client; Overloaded
    /// while another snapshot or restore of this node is under way.
    ///
    /// >>> import dht, pathlib, tempfile
    /// >>> with tempfile.TemporaryDirectory() as dir, dht.DHT() as old, dht.DHT() as new:
    /// ...     outcome = old.put("k", 1)
    /// ...     old.snapshot(pathlib.Path(dir, "s")).records, new.restore(pathlib.Path(dir, "s")).records, new.get("k")
    /// (1, 1, 1)
    fn snapshot(&self, py: Python<'_>, path: PathBuf) -> PyResult<Py<PyAny>> {
        let convert = |py: Python<'_>, info| shape(py, "SnapshotInfo", &info);
        operate!(self, py, Reads, path, path, |dht, file| dht.snapshot(file), convert)
    }

    /// Brings the records of the snapshot at ``path`` into the ring of this node, which may be another than that it was taken
    /// of; returns a `RestoreInfo`. Merges by version: what is newer in the ring stays. The whole file is checked before
    /// anything is restored. What was deleted after the snapshot, and longer ago than ``tombstone_grace``, comes back.
    /// Restoring again does no harm.
    ///
    /// Raises InvalidArgument if the file is no snapshot; Storage if it cannot be read, is damaged, or of a newer release;
    /// IncompatibleRing if it is of another ``cluster_name``; TooLarge; Overloaded while another snapshot or restore of this
    /// node is under way; NotJoined: nothing was restored. Storage, Overloaded, NotJoined, Unreachable, OperationTimeout,
    /// MemoryFull if a quorum of some record's replicas did not take it within the time of a call, and NodeStopped: a part may
    /// be restored. Of a class that is in both lists ``maybe_applied`` tells.
    fn restore(&self, py: Python<'_>, path: PathBuf) -> PyResult<Py<PyAny>> {
        let convert = |py: Python<'_>, info| shape(py, "RestoreInfo", &info);
        operate!(self, py, Writes, path, path, |dht, file| dht.restore(file), convert)
    }

    /// This node, as a `NodeInfo`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT(node_id="me") as node:
    /// ...     node.node_info().id, node.node_info().state
    /// ('me', 'active')
    fn node_info(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let node = self.handle(py)?.node_info().map_err(|error| raised(py, &error))?;
        shape(py, "NodeInfo", &node)
    }

    /// The first other node before this node's position 0, as a `NodeInfo`; None alone.
    fn predecessor(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.dht(py, Dht::predecessor)? {
            Some(node) => shape(py, "NodeInfo", &node),
            None => Ok(py.None()),
        }
    }

    /// The next other nodes clockwise, at most ``successor_list_size``, as a list of `NodeInfo`; [] alone.
    fn successor_list(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shapes(py, "NodeInfo", &self.dht(py, Dht::successor_list)?)
    }

    /// The finger table of position 0, ascending, as a list of `Finger`: finger k is the node that owns position 0 + 2^k.
    fn finger_table(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shapes(py, "Finger", &self.dht(py, Dht::finger_table)?)
    }

    /// The ring as this node sees it, as a `RingInfo`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT(node_id="me") as node:
    /// ...     [(member.id, member.share) for member in node.ring().nodes]
    /// [('me', 1.0)]
    fn ring(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shape(py, "RingInfo", &self.dht(py, Dht::ring)?)
    }

    /// All nodes that this node remembers, those that are gone included, as a list of `NodeInfo`.
    fn members(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shapes(py, "NodeInfo", &self.dht(py, Dht::members)?)
    }

    /// What this node has counted and measured since it started, as `Statistics`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     node.statistics().stores_successful
    /// 1
    fn statistics(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shape(py, "Statistics", &self.dht(py, Dht::statistics)?)
    }

    /// Whether this node and its part of the ring are well, as `Health`.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     node.health().joined
    /// True
    fn health(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        shape(py, "Health", &self.dht(py, Dht::health)?)
    }

    /// Statistics, health and the number of members by state as text in Prometheus' exposition format, version 0.0.4:
    /// what a page that is scraped answers, as ``text/plain; version=0.0.4``. Every metric is called ``dht_`` and the
    /// name of the statistic, with ``_seconds`` behind times and ``_total`` behind what is counted since the start.
    /// What calls took is in the summaries ``dht_store_duration_seconds`` and ``dht_lookup_duration_seconds``, without
    /// quantiles if ``enable_metrics`` is false.
    ///
    /// ``dht_misbehaving_peers_total`` has a label for each peer. Where untrusted ones can reach the node, drop it when
    /// scraping: who they say they are is for them to choose.
    ///
    /// >>> import dht
    /// >>> with dht.DHT() as node:
    /// ...     outcome = node.put("k", 1)
    /// ...     "dht_stores_successful_total 1" in node.metrics().split("\n")
    /// True
    fn metrics(&self, py: Python<'_>) -> PyResult<String> {
        self.dht(py, Dht::metrics)
    }
}
