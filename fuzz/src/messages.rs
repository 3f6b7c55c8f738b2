//! Payloads: what decodes is said again in bytes that decode to the same.

use bytes::Bytes;
use dht_core::transport::Hello;
use dht_core::wire::{HEADER_LEN, WireError, decode_call, decode_reply, encode_call, encode_reply};

/// Bytes of structures for each byte of a message at most: of the smallest valid pointers, with what the targets hold
/// beside the message, which is the same once more.
pub(crate) const EXPANSION_MAX: usize = 60;

/// Bytes of structures for an item at most, however few bytes it has.
pub(crate) const ITEM_MAX: usize = 704;

pub(crate) fn call(data: &[u8]) {
    let call = match decode_call(Bytes::copy_from_slice(data)) {
        Ok(call) => call,
        Err(error) => return told(&error),
    };
    let again = encode_call(&call);
    assert_eq!(decode_call(again.clone()).as_ref(), Ok(&call));
    assert_eq!(encode_call(&call), again, "said in two ways");
}

pub(crate) fn reply(data: &[u8]) {
    let reply = match decode_reply(Bytes::copy_from_slice(data)) {
        Ok(reply) => reply,
        Err(error) => return told(&error),
    };
    // Errors have no equality, so replies have none; the bytes of what was decoded say all of it.
    let again = encode_reply(&reply);
    match decode_reply(again.clone()) {
        Ok(same) => assert_eq!(encode_reply(&same), again),
        Err(error) => panic!("{error}: {reply:?}"),
    }
}

pub(crate) fn hello(data: &[u8]) {
    let hello = match Hello::decode(data) {
        Ok(hello) => hello,
        Err(error) => return told(&error),
    };
    let frame = hello.encode().expect("what was decoded is short enough");
    assert_eq!(Hello::decode(&frame[HEADER_LEN..]), Ok(hello.clone()));
    let own = Hello::new("default", dht_core::NodeId::new("a"), 1, false);
    match (own.agree(&hello), hello.agree(&own)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "a version each"),
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("only one side agrees: {ours:?}, {theirs:?}"),
    }
}

/// An error can be shown, and is not as long as what it speaks of.
fn told(error: &WireError) {
    let text = error.to_string();
    assert!((1..1_000).contains(&text.len()), "{text}");
}
