//! JSON texts that bindings pass on: options, entries and keys of batches.

use dht_core::binding::json::{Options, entries, keys};
use dht_core::{Error, ErrorKind};

use crate::bytes_of::first;

/// The first byte says what the rest is.
pub(crate) fn input(data: &[u8]) {
    let (what, text) = first(data);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let failed = match what % 3 {
        0 => Options::read(Some(text)).and_then(|options| options.check()).err(),
        1 => entries(text).map(|found| unique(found.iter().map(|(key, _)| key))).err(),
        _ => keys(text).map(|found| unique(found.iter())).err(),
    };
    if let Some(error) = failed {
        told(&error);
    }
}

fn unique<'a>(all: impl Iterator<Item = &'a String>) {
    let mut all: Vec<&String> = all.collect();
    all.sort();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "a key twice: {all:?}");
}

fn told(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let len = error.context().len();
    assert!((1..2_000).contains(&len), "an error of {len} bytes");
}
