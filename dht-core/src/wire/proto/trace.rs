//! What the envelope of an answer tells of how it was made.

use bytes::Bytes;

#[derive(prost::Message)]
pub(crate) struct Spans {
    #[prost(uint64, tag = "1")]
    pub(crate) served_us: u64,
    #[prost(uint32, tag = "2")]
    pub(crate) left_out: u32,
    #[prost(message, repeated, tag = "3")]
    pub(crate) spans: Vec<Span>,
}

#[derive(Clone, prost::Message)]
pub(crate) struct Span {
    #[prost(uint32, tag = "1")]
    pub(crate) depth: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) node_id: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) address: Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) what: Bytes,
    #[prost(uint32, tag = "5")]
    pub(crate) attempt: u32,
    #[prost(bool, tag = "6")]
    pub(crate) hedged: bool,
    #[prost(uint64, tag = "7")]
    pub(crate) begun_us: u64,
    #[prost(uint64, tag = "8")]
    pub(crate) took_us: u64,
    #[prost(uint64, optional, tag = "9")]
    pub(crate) served_us: Option<u64>,
    #[prost(uint32, tag = "10")]
    pub(crate) outcome: u32,
    #[prost(uint32, tag = "11")]
    pub(crate) error: u32,
}
