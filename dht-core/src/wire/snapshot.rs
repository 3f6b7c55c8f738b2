//! What a snapshot file says, as bytes: whose it is, and records. With the shapes of the wire; unknown fields are skipped.

use bytes::Bytes;
use prost::Message;

use super::error::WireError;
use super::limits::{ITEMS_MAX, NODE_ID_LEN_MAX, WALL_MS_MAX};
use super::scan::check_items;
use super::{convert, proto};
use crate::data::record::Record;
use crate::ring::params::RingParams;
use crate::ring::record::RingId;
use crate::ring::slot::Slot;

/// Where the records of a snapshot come from.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Origin {
    pub(crate) cluster: String,
    pub(crate) ring_id: Option<RingId>,
    pub(crate) params: RingParams,
    pub(crate) node_id: String,
    /// Unix milliseconds when it was begun.
    pub(crate) taken_ms: u64,
}

#[derive(prost::Message)]
struct Shape {
    #[prost(string, tag = "1")]
    cluster: String,
    #[prost(fixed64, optional, tag = "2")]
    ring_high: Option<u64>,
    #[prost(fixed64, optional, tag = "3")]
    ring_low: Option<u64>,
    #[prost(message, optional, tag = "4")]
    params: Option<proto::RingParams>,
    #[prost(string, tag = "5")]
    node_id: String,
    #[prost(uint64, tag = "6")]
    taken_ms: u64,
}

impl Origin {
    pub(crate) fn encode(&self) -> Bytes {
        let shape = Shape {
            cluster: self.cluster.clone(),
            ring_high: self.ring_id.map(|id| (id.0 >> 64) as u64),
            ring_low: self.ring_id.map(|id| id.0 as u64),
            params: Some((&self.params).into()),
            node_id: self.node_id.clone(),
            taken_ms: self.taken_ms,
        };
        shape.encode_to_vec().into()
    }

    pub(crate) fn decode(bytes: Bytes) -> Result<Self, WireError> {
        let shape = Shape::decode(bytes)?;
        for (what, text) in [("cluster_name", &shape.cluster), ("node_id", &shape.node_id)] {
            if text.is_empty() || text.len() > NODE_ID_LEN_MAX {
                return Err(WireError::TooLong { what, len: text.len(), max: NODE_ID_LEN_MAX });
            }
        }
        if shape.taken_ms > WALL_MS_MAX {
            return Err(WireError::OutOfRange { what: "taken_ms", value: shape.taken_ms, wanted: "below 2^48" });
        }
        let ring_id = match (shape.ring_high, shape.ring_low) {
            (Some(high), Some(low)) => Some(RingId(u128::from(high) << 64 | u128::from(low))),
            _ => None,
        };
        let params = shape.params.ok_or(WireError::Missing { what: "ring parameters" })?.try_into()?;
        Ok(Self { cluster: shape.cluster, ring_id, params, node_id: shape.node_id, taken_ms: shape.taken_ms })
    }
}

/// Records that one block of a snapshot holds, at most.
pub(crate) const BLOCK_ITEMS_MAX: usize = ITEMS_MAX;

/// The bytes of at most [`BLOCK_ITEMS_MAX`] records, each with the slot that it was in.
pub(crate) fn encode_records(items: &[(Slot, Record)]) -> Bytes {
    convert::records_message(items).encode_to_vec().into()
}

/// Reads what [`encode_records`] wrote: counted before it is decoded.
pub(crate) fn decode_records(bytes: Bytes) -> Result<Vec<(Slot, Record)>, WireError> {
    check_items(&bytes)?;
    convert::records(proto::Records::decode(bytes)?)
}
