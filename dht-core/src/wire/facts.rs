//! What a node remembers over restarts, as bytes: who it is, which ring it was in and who else was there.
//!
//! Written with the shapes of the wire, under a version of its own; unknown fields are skipped, a newer version is refused.

use bytes::Bytes;
use prost::Message;

use super::error::WireError;
use super::proto;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::params::{RingConfig, RingParams};
use crate::ring::record::{NodeId, NodeRecord, RingId};
use crate::ring::slot::Slot;

/// Version of these bytes.
const VERSION: u32 = 1;

/// See the module.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Facts {
    pub(crate) cluster: String,
    pub(crate) node_id: NodeId,
    pub(crate) params: RingParams,
    /// The boots of this node's lives, the newest last.
    pub(crate) boots: Vec<u64>,
    /// `None`: it was in no ring yet, and what follows is empty.
    pub(crate) ring: Option<(RingId, RingConfig)>,
    pub(crate) own: Option<NodeRecord>,
    pub(crate) others: Vec<NodeRecord>,
    /// Those that were gone for so long that they were looked for no more; older releases leave them out.
    pub(crate) buried: Vec<NodeRecord>,
    /// Slots that it had in its lists and had not caught up with.
    pub(crate) lagging: Vec<Slot>,
    /// How far ahead of its wall clock it stamped: see `Hlc`.
    pub(crate) ahead_ms: u64,
}

#[derive(prost::Message)]
struct Shape {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(string, tag = "2")]
    cluster: String,
    #[prost(string, tag = "3")]
    node_id: String,
    #[prost(message, optional, tag = "4")]
    params: Option<proto::RingParams>,
    #[prost(fixed64, repeated, tag = "5")]
    boots: Vec<u64>,
    #[prost(fixed64, optional, tag = "6")]
    ring_high: Option<u64>,
    #[prost(fixed64, optional, tag = "7")]
    ring_low: Option<u64>,
    #[prost(message, optional, tag = "8")]
    config: Option<proto::RingConfig>,
    #[prost(message, optional, tag = "9")]
    own: Option<proto::NodeRecord>,
    #[prost(message, repeated, tag = "10")]
    others: Vec<proto::NodeRecord>,
    #[prost(fixed32, repeated, tag = "11")]
    lagging: Vec<u32>,
    #[prost(uint64, tag = "12")]
    ahead_ms: u64,
    #[prost(message, repeated, tag = "13")]
    buried: Vec<proto::NodeRecord>,
}

impl Facts {
    pub(crate) fn encode(&self) -> Bytes {
        let ring = self.ring.as_ref();
        let shape = Shape {
            version: VERSION,
            cluster: self.cluster.clone(),
            node_id: self.node_id.as_str().to_owned(),
            params: Some((&self.params).into()),
            boots: self.boots.clone(),
            ring_high: ring.map(|(id, _)| (id.0 >> 64) as u64),
            ring_low: ring.map(|(id, _)| id.0 as u64),
            config: ring.map(|(_, config)| config.into()),
            own: self.own.as_ref().map(Into::into),
            others: self.others.iter().map(Into::into).collect(),
            buried: self.buried.iter().map(Into::into).collect(),
            lagging: self.lagging.iter().map(|slot| slot.0).collect(),
            ahead_ms: self.ahead_ms,
        };
        shape.encode_to_vec().into()
    }

    /// # Errors
    /// `Storage`: they are of a newer release, or damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: String| {
            let context = format!(
                "what data_dir says of this node is damaged ({what}): move data_dir away and start again, so that the \
                 node gets its data from the replicas"
            );
            Error::new(ErrorKind::Storage, context)
        };
        let shape = Shape::decode(bytes).map_err(|e| damaged(e.to_string()))?;
        if shape.version > VERSION {
            let context = format!(
                "what data_dir says of this node has version {}, this release reads up to {VERSION}: use the release \
                 that wrote it, or another data_dir",
                shape.version
            );
            return Err(Error::new(ErrorKind::Storage, context));
        }
        Self::checked(shape).map_err(|e| damaged(e.to_string()))
    }

    fn checked(shape: Shape) -> Result<Self, WireError> {
        let params = shape.params.ok_or(WireError::Missing { what: "ring parameters" })?.try_into()?;
        let ring = match (shape.ring_high, shape.ring_low, shape.config) {
            (Some(high), Some(low), Some(config)) => {
                Some((RingId(u128::from(high) << 64 | u128::from(low)), config.try_into()?))
            }
            _ => None,
        };
        let records =
            |list: Vec<proto::NodeRecord>| list.into_iter().map(TryInto::try_into).collect::<Result<_, WireError>>();
        Ok(Self {
            cluster: shape.cluster,
            node_id: NodeId::new(&shape.node_id),
            params,
            boots: shape.boots,
            ring,
            own: shape.own.map(TryInto::try_into).transpose()?,
            others: records(shape.others)?,
            buried: records(shape.buried)?,
            lagging: shape.lagging.into_iter().map(Slot).collect(),
            ahead_ms: shape.ahead_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::ring::record::test_record;

    fn facts() -> Facts {
        let config = RingConfig {
            version: 3,
            replication_factor: 2,
            tombstone_grace: Duration::from_secs(5),
            max_key_size: 10,
            max_value_size: 20,
        };
        Facts {
            cluster: "c".to_owned(),
            node_id: NodeId::new("me"),
            params: RingParams::of(&Config::default()),
            boots: vec![1, u64::MAX],
            ring: Some((RingId(u128::MAX - 5), config)),
            own: Some(test_record("me")),
            others: vec![test_record("a"), test_record("b")],
            buried: vec![test_record("c")],
            lagging: vec![Slot(0), Slot(77)],
            ahead_ms: 1_200,
        }
    }

    #[test]
    fn facts_come_back() {
        let bare =
            Facts { ring: None, own: None, others: vec![], buried: vec![], lagging: vec![], boots: vec![], ..facts() };
        for facts in [facts(), bare] {
            assert_eq!(Facts::decode(&facts.encode()).unwrap(), facts);
        }
    }

    #[test]
    fn newer_and_damaged_ones_are_told_apart() {
        let newer = Shape { version: VERSION + 1, ..Shape::default() }.encode_to_vec();
        let error = Facts::decode(&newer).unwrap_err();
        assert!(error.kind() == ErrorKind::Storage && error.context().contains("version 2"), "{error}");
        for bytes in [&[0xff; 9][..], &[]] {
            let error = Facts::decode(bytes).unwrap_err();
            assert!(error.kind() == ErrorKind::Storage && error.context().contains("damaged"), "{error}");
        }
    }
}
