use std::ffi::CStr;

use dht_core::ErrorKind;

use crate::{dht_abi_version, dht_status, dht_status_name, dht_version};

fn name(status: i32) -> String {
    let name = dht_status_name(status);
    assert!(!name.is_null());
    // SAFETY: never NULL, static and NUL-terminated.
    unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned()
}

#[test]
fn numbers_and_names_are_those_of_the_core() {
    for kind in ErrorKind::ALL {
        let status = dht_status::from(*kind);
        assert_eq!((status as i32, name(status as i32).as_str()), (kind.code(), kind.name()));
    }
    assert_eq!(name(0), "OK");
    for none in [i32::MIN, -1, 28, i32::MAX] {
        assert_eq!(name(none), "UNKNOWN");
    }
}

#[test]
fn versions_are_told() {
    assert_eq!(dht_abi_version(), 0);
    // SAFETY: never NULL, static and NUL-terminated.
    let version = unsafe { CStr::from_ptr(dht_version()) };
    assert_eq!(version.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
}
