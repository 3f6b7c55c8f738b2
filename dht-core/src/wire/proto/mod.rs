//! The protobuf shapes, written as prost structs: no compiler of proto files is needed to build us.
//!
//! `docs/wire.md` has the same as tables. Tag numbers are never reused. Fields that are `bytes` here and a packed
//! array or a string there have the same encoding: so they are decoded without a copy, and checked in `convert`.
//! Repeated messages stand only at the top of a body, where `scan` counts them before anything is allocated.

use bytes::Bytes;

mod data;
mod ring;
mod trace;

pub(super) use data::*;
pub(super) use ring::*;
pub(super) use trace::*;

/// A request in its envelope. Tags from 16 on are bodies; exactly one is there.
#[derive(prost::Message)]
pub(crate) struct Call {
    #[prost(fixed64, optional, tag = "1")]
    pub(crate) ring_high: Option<u64>,
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) ring_low: Option<u64>,
    #[prost(fixed64, tag = "3")]
    pub(crate) sender: u64,
    #[prost(uint32, tag = "4")]
    pub(crate) deadline_ms: u32,
    #[prost(fixed64, tag = "5")]
    pub(crate) trace_id: u64,
    #[prost(uint32, tag = "6")]
    pub(crate) attempt: u32,
    #[prost(fixed64, tag = "7")]
    pub(crate) view: u64,
    #[prost(fixed64, tag = "9")]
    pub(crate) clock: u64,
    #[prost(
        oneof = "Request",
        tags = "16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 33, 34, 35, 36, 42, 43"
    )]
    pub(crate) body: Option<Request>,
}

/// A response in its envelope: the same fields and one more, other bodies.
#[derive(prost::Message)]
pub(crate) struct Reply {
    #[prost(fixed64, optional, tag = "1")]
    pub(crate) ring_high: Option<u64>,
    #[prost(fixed64, optional, tag = "2")]
    pub(crate) ring_low: Option<u64>,
    #[prost(fixed64, tag = "3")]
    pub(crate) sender: u64,
    #[prost(uint32, tag = "4")]
    pub(crate) deadline_ms: u32,
    #[prost(fixed64, tag = "5")]
    pub(crate) trace_id: u64,
    #[prost(uint32, tag = "6")]
    pub(crate) attempt: u32,
    #[prost(fixed64, tag = "7")]
    pub(crate) view: u64,
    #[prost(fixed64, tag = "9")]
    pub(crate) clock: u64,
    /// [`Spans`], of an answer to a traced call.
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub(crate) trace: Option<Bytes>,
    #[prost(
        oneof = "Response",
        tags = "16, 17, 18, 19, 20, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 43"
    )]
    pub(crate) body: Option<Response>,
}

/// What is asked.
#[derive(prost::Oneof)]
pub(crate) enum Request {
    #[prost(message, tag = "16")]
    Ping(Ping),
    #[prost(message, tag = "17")]
    PingFor(PingFor),
    #[prost(message, tag = "18")]
    Sync(Sync),
    #[prost(message, tag = "19")]
    Join(Join),
    #[prost(message, tag = "20")]
    Admit(Admit),
    #[prost(message, tag = "21")]
    Merge(Merge),
    #[prost(message, tag = "22")]
    Stabilize(Stabilize),
    #[prost(message, tag = "23")]
    Notify(Notify),
    #[prost(message, tag = "24")]
    Lookup(Lookup),
    #[prost(message, tag = "25")]
    Apply(Apply),
    #[prost(message, tag = "26")]
    Store(Store),
    #[prost(message, tag = "27")]
    Fetch(Fetch),
    #[prost(message, tag = "28")]
    Compare(Compare),
    #[prost(message, tag = "29")]
    Versions(Versions),
    #[prost(message, tag = "30")]
    Pull(Pull),
    #[prost(message, tag = "31")]
    Describe(Describe),
    #[prost(message, tag = "33")]
    Exchange(Exchange),
    #[prost(message, tag = "34")]
    CompareSums(CompareSums),
    #[prost(message, tag = "35")]
    Scan(Scan),
    #[prost(message, tag = "36")]
    LastLife(LastLife),
    #[prost(message, tag = "42")]
    Collect(Collect),
    #[prost(message, tag = "43")]
    SealKey(SealKey),
}

/// What is answered; where a tag is a request's too, this answers it.
#[derive(prost::Oneof)]
pub(crate) enum Response {
    #[prost(message, tag = "16")]
    Pong(Pong),
    #[prost(message, tag = "17")]
    Probed(Probed),
    #[prost(message, tag = "18")]
    Synced(Synced),
    #[prost(message, tag = "19")]
    Welcome(Welcome),
    #[prost(message, tag = "20")]
    Admitted(Admitted),
    #[prost(message, tag = "22")]
    Neighbours(Neighbours),
    #[prost(message, tag = "24")]
    Route(Route),
    #[prost(message, tag = "25")]
    Applied(Applied),
    #[prost(message, tag = "26")]
    Stored(Stored),
    #[prost(message, tag = "27")]
    Fetched(Fetched),
    #[prost(message, tag = "28")]
    Compared(Compared),
    #[prost(message, tag = "29")]
    Versions(VersionsPart),
    #[prost(message, tag = "30")]
    Records(Records),
    #[prost(message, tag = "31")]
    Described(Described),
    #[prost(message, tag = "32")]
    Failure(Error),
    #[prost(message, tag = "33")]
    Exchanged(Exchanged),
    #[prost(message, tag = "34")]
    ComparedSums(ComparedSums),
    #[prost(message, tag = "35")]
    Scanned(Scanned),
    #[prost(message, tag = "36")]
    LastLife(LastLife),
    #[prost(message, tag = "43")]
    SealKey(SealKeyAnswer),
}
