use std::time::Duration;

use bytes::Bytes;
use dht_core::store::{Slot, Store, contract};
use dht_core::{Durability, Env, ErrorKind};

use super::*;

const SLOTS: u32 = contract::SLOTS;

#[tokio::test(start_paused = true)]
async fn the_store_contract_holds() {
    let env = Env::simulated(1, 0);
    contract::check(&|| Box::new(Disk::new(SLOTS).open(Durability::Interval, &env).expect("it opens")));
}

#[tokio::test(start_paused = true)]
async fn a_death_takes_back_what_no_commit_has() {
    let (env, disk) = (Env::simulated(1, 0), Disk::new(SLOTS));
    let records = contract::some_records(3);
    for (durability, waits) in [(Durability::Always, true), (Durability::Interval, false)] {
        let store = disk.open(durability, &env).expect("it opens");
        store.merge(Slot(1), records[0].clone()).expect("it takes it");
        assert_eq!(store.ticket(Slot(1)).is_ready(), !waits, "{durability:?}");
        store.cut();
        let store = disk.open(durability, &env).expect("it opens");
        assert_eq!(store.usage().live, 0, "{durability:?}: it was in no commit");
    }
    let store = disk.open(Durability::Interval, &env).expect("it opens");
    store.merge(Slot(1), records[0].clone()).expect("it takes it");
    store.remember(Bytes::from_static(b"facts")).wait().await.expect("it hurries");
    store.merge(Slot(2), records[1].clone()).expect("it takes it");
    tokio::time::sleep(Duration::from_millis(300)).await;
    store.merge(Slot(3), records[2].clone()).expect("it takes it");
    store.cut();
    let store = disk.open(Durability::Interval, &env).expect("it opens");
    assert_eq!(
        (store.occupied().expect("it reads"), store.remembered()),
        (vec![Slot(1), Slot(2)], Some("facts".into()))
    );
    let stamp = records[..2].iter().map(|record| record.version().stamp()).max();
    assert_eq!(Some(store.highest_stamp()), stamp);
    store.merge(Slot(3), records[2].clone()).expect("it takes it");
    store.close().wait().await.expect("it writes what is left");
    assert_eq!(disk.open(Durability::None, &env).expect("it opens").usage().live, 3);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_fails_takes_nothing_until_it_is_opened_anew() {
    let (env, disk) = (Env::simulated(1, 0), Disk::new(SLOTS));
    let records = contract::some_records(2);
    let store = disk.open(Durability::Always, &env).expect("it opens");
    disk.set_failing(true);
    store.merge(Slot(1), records[0].clone()).expect("nobody knows yet");
    let error = store.ticket(Slot(1)).wait().await.expect_err("no commit has it");
    assert_eq!((error.kind(), store.healthy()), (ErrorKind::Storage, false));
    disk.set_failing(false);
    let error = store.merge(Slot(1), records[1].clone()).expect_err("it stays failed");
    assert_eq!(error.kind(), ErrorKind::Storage);
    let store = disk.open(Durability::Always, &env).expect("it opens");
    store.merge(Slot(1), records[1].clone()).expect("it takes it");
    store.ticket(Slot(1)).wait().await.expect("it is well");
    assert_eq!(store.usage().live, 1);
}
