use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use dht_core::binding::NodeHandle;
use dht_core::{Config, ErrorKind};

use crate::registry::{dht_t, find, insert, remove};

fn node() -> NodeHandle {
    NodeHandle::new(Config::default()).unwrap()
}

#[test]
fn a_name_is_never_used_again() {
    let first = insert(node()).unwrap();
    assert!(!first.is_null());
    assert!(find(first).is_ok());
    let held = find(first).unwrap();
    assert!(remove(first).is_some());
    assert!(remove(first).is_none());
    let second = insert(node()).unwrap();
    assert_ne!(first, second);
    assert_eq!(find(first).err().unwrap().kind(), ErrorKind::InvalidArgument);
    assert_eq!(held.hash_key(b"a").unwrap().len(), 40);
    assert!(remove(second).is_some());
}

#[test]
fn what_is_no_handle_is_found_out() {
    for address in [0, 1, 64, 0xffff, 0x1_0000, usize::MAX] {
        let wrong: *mut dht_t = ptr::without_provenance_mut(address);
        assert_eq!(find(wrong).err().unwrap().kind(), ErrorKind::InvalidArgument);
        assert!(remove(wrong).is_none());
    }
}

#[test]
fn of_many_threads_one_removes_and_each_inserts() {
    let names: Vec<usize> = (0..200).map(|_| insert(node()).unwrap().addr()).collect();
    let removed = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for name in &names {
                    let mine = insert(node()).unwrap();
                    if remove(ptr::without_provenance_mut(*name)).is_some() {
                        removed.fetch_add(1, Ordering::Relaxed);
                    }
                    assert!(find(mine).is_ok() && remove(mine).is_some());
                }
            });
        }
    });
    assert_eq!(removed.load(Ordering::Relaxed), names.len());
}
