//! Small histories, each with what may and what may not be read in it.

use super::*;

type Reads = Oracle<u64>;

fn b(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(oracle: &mut Reads, value: &str, version: u64) {
    let write = oracle.begin_write(&b("k"), Some(b(value)));
    oracle.acknowledged(write, Some(version)).expect("in order");
}

fn delete(oracle: &mut Reads, version: u64) {
    let write = oracle.begin_write(&b("k"), None);
    oracle.acknowledged(write, Some(version)).expect("in order");
}

fn maybe(oracle: &mut Reads, value: Option<&str>) {
    let write = oracle.begin_write(&b("k"), value.map(b));
    oracle.unknown(write);
}

fn read(oracle: &mut Reads, found: Option<(&str, u64)>) -> Result<(), Violation> {
    let token = oracle.begin_read(&b("k"));
    let found = found.map(|(value, version)| (b(value), version));
    oracle.read(token, found.as_ref().map(|(value, version)| (value, *version)))
}

#[test]
fn the_last_acknowledged_write_is_read() {
    let mut oracle = Reads::new();
    read(&mut oracle, None).expect("never written");
    put(&mut oracle, "a", 1);
    read(&mut oracle, Some(("a", 1))).expect("the last");
    put(&mut oracle, "b", 2);
    read(&mut oracle, Some(("b", 2))).expect("the last");
    for wrong in [Some(("a", 1)), None, Some(("never", 3))] {
        let violation = read(&mut oracle, wrong).expect_err("stale, lost, or invented");
        assert!(violation.to_string().contains("only b\"b\" may be read"), "{violation}");
    }
}

#[test]
fn a_deleted_key_is_missing() {
    let mut oracle = Reads::new();
    put(&mut oracle, "a", 1);
    delete(&mut oracle, 2);
    read(&mut oracle, None).expect("deleted");
    read(&mut oracle, Some(("a", 1))).expect_err("came back");
    put(&mut oracle, "b", 3);
    read(&mut oracle, None).expect_err("the new value is lost");
}

#[test]
fn an_unknown_write_may_show_at_any_time_but_not_unshow() {
    let mut oracle = Reads::new();
    put(&mut oracle, "a", 1);
    maybe(&mut oracle, Some("b"));
    read(&mut oracle, Some(("a", 1))).expect("not yet applied");
    read(&mut oracle, Some(("b", 2))).expect("applied late");
    read(&mut oracle, Some(("a", 1))).expect_err("it was applied, so a is over");
    read(&mut oracle, Some(("b", 2))).expect("still there");
}

#[test]
fn an_unknown_delete_leaves_both_answers_open() {
    let mut oracle = Reads::new();
    put(&mut oracle, "a", 1);
    maybe(&mut oracle, None);
    read(&mut oracle, Some(("a", 1))).expect("not applied");
    read(&mut oracle, None).expect("applied");
    read(&mut oracle, Some(("a", 1))).expect_err("it was seen deleted");
    read(&mut oracle, Some(("b", 2))).expect_err("invented");
}

#[test]
fn an_unknown_write_may_be_applied_after_a_later_acknowledged_one() {
    let mut oracle = Reads::new();
    maybe(&mut oracle, Some("a"));
    put(&mut oracle, "b", 1);
    read(&mut oracle, Some(("a", 2))).expect("its request was delayed");
    read(&mut oracle, Some(("b", 1))).expect_err("the version went backwards");
}

#[test]
fn a_rejected_write_is_never_read() {
    let mut oracle = Reads::new();
    put(&mut oracle, "a", 1);
    let write = oracle.begin_write(&b("k"), Some(b("b")));
    oracle.rejected(write).expect("nobody saw it");
    read(&mut oracle, Some(("b", 2))).expect_err("rejected");

    let write = oracle.begin_write(&b("k"), Some(b("c")));
    read(&mut oracle, Some(("c", 2))).expect("under way");
    oracle.rejected(write).expect_err("it was read, so it was applied");
}

#[test]
fn concurrent_writes_and_reads_are_free_within_their_overlap() {
    let mut oracle = Reads::new();
    put(&mut oracle, "a", 1);
    let slow_read = oracle.begin_read(&b("k"));
    let one = oracle.begin_write(&b("k"), Some(b("b")));
    let other = oracle.begin_write(&b("k"), Some(b("c")));
    oracle.acknowledged(one, Some(3)).expect("fresh");
    oracle.acknowledged(other, Some(2)).expect("concurrent writes end in any order");
    oracle.read(slow_read, Some((&b("a"), 1))).expect("a was there when the read began");
    read(&mut oracle, Some(("a", 1))).expect_err("over");
    read(&mut oracle, Some(("c", 2))).expect_err("b has the higher version, and was acknowledged");
    read(&mut oracle, Some(("b", 3))).expect("the winner");
}

#[test]
fn versions_are_unique_and_ascend() {
    let mut oracle = Reads::new();
    put(&mut oracle, "a", 5);
    let write = oracle.begin_write(&b("k"), Some(b("b")));
    oracle.acknowledged(write, Some(5)).expect_err("not above");
    let one = oracle.begin_write(&b("k"), Some(b("c")));
    let other = oracle.begin_write(&b("k"), Some(b("d")));
    oracle.acknowledged(one, Some(7)).expect("above");
    oracle.acknowledged(other, Some(7)).expect("c stands over it");
    let (first, second) = (oracle.begin_read(&b("k")), oracle.begin_read(&b("k")));
    oracle.read(first, Some((&b("c"), 7))).expect("the winner");
    oracle.read(second, Some((&b("d"), 7))).expect_err("one version, two values");
}

#[test]
fn a_failed_read_shows_nothing() {
    let mut oracle = Reads::new();
    put(&mut oracle, "a", 1);
    let token = oracle.begin_read(&b("k"));
    oracle.unread(token);
    read(&mut oracle, Some(("a", 1))).expect("still there");
    assert_eq!(oracle.counts(), Counts { acknowledged: 1, unknown: 0, rejected: 0, read: 1, unread: 1 });
}

#[test]
fn what_no_read_can_need_is_forgotten() {
    let mut oracle = Reads::new();
    for version in 1..=1000 {
        put(&mut oracle, &version.to_string(), version);
        read(&mut oracle, Some((&version.to_string(), version))).expect("the last");
    }
    let history = &oracle.keys[&b("k")];
    assert_eq!((history.writes.len(), history.floors.len()), (1, 1));
    assert_eq!(oracle.keys(), [b("k")]);
}

#[test]
fn a_reply_without_a_version_still_orders() {
    let mut oracle = Reads::new();
    put(&mut oracle, "a", 1);
    let write = oracle.begin_write(&b("k"), None);
    oracle.acknowledged(write, None).expect("nothing to compare");
    read(&mut oracle, Some(("a", 1))).expect_err("deleted");
    read(&mut oracle, None).expect("deleted");
}

#[test]
fn a_key_that_was_only_read_is_not_listed() {
    let mut oracle = Reads::new();
    read(&mut oracle, None).expect("missing");
    assert!(oracle.keys().is_empty());
    delete(&mut oracle, 1);
    assert_eq!(oracle.keys(), [b("k")]);
}
