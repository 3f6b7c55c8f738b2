//! Which library this is.

use std::ffi::c_char;

use crate::boundary::contained;

/// Raised when programs must be built anew: the number in the name libdht.so.0.
pub const DHT_ABI_VERSION: u32 = 0;

/// The `DHT_ABI_VERSION` of the library that is linked. Compare it with that of the header.
#[unsafe(no_mangle)]
pub extern "C" fn dht_abi_version() -> u32 {
    contained(DHT_ABI_VERSION, || DHT_ABI_VERSION)
}

/// The release, such as "0.1.0". Static: not to be freed. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn dht_version() -> *const c_char {
    const TEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    contained(TEXT, || TEXT).as_ptr().cast()
}
