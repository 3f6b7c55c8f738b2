//! Pure: what is said, and its bytes. `docs/wire.md` describes the same for other implementations.
//!
//! Nothing here can panic, whatever arrives, and the lints below see to it.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::unreachable
    )
)]

pub(crate) mod class;
pub(crate) mod codec;
mod convert;
pub(crate) mod error;
pub(crate) mod facts;
pub(crate) mod frame;
pub mod hello;
mod kind;
pub(crate) mod limits;
pub mod message;
mod proto;
mod scan;
pub(crate) mod snapshot;
pub mod trace;

pub use codec::{decode_call, decode_reply, encode_call, encode_call_framed, encode_reply, encode_reply_framed};
pub use error::WireError;
pub use frame::{FrameKind, HEADER_LEN, Header, MAGIC, PROTOCOL_VERSION, PROTOCOL_VERSION_MIN};

#[cfg(test)]
mod bounds_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod strategies;
