//! Operations that look at the present value, on rings of real nodes, through every node at once.

use crate::cluster;

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::*;
use dht_core::{Dht, ErrorKind, Expected, GetOptions, Number, PutOptions, Value};

fn json(text: &str) -> Value {
    Value::from_json_text(text.to_owned()).unwrap()
}

macro_rules! on_rings {
    ($($name:ident = $n:literal)+) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let nodes = ring($n).await;
            compare_and_swap(&nodes).await;
            increments(&nodes).await;
            taking(&nodes).await;
            expiry(&nodes).await;
            nothing_is_lost_between_callers(&nodes).await;
            one_of_many_wins(&nodes).await;
            stop_all(&nodes).await;
        }
    )+ };
}

on_rings! {
    atomic_operations_on_one_node = 1
    atomic_operations_on_three_nodes = 3
    atomic_operations_on_five_nodes = 5
}

async fn compare_and_swap(nodes: &[Dht]) {
    for (i, node) in nodes.iter().enumerate() {
        let other = &nodes[(i + 1) % nodes.len()];
        let key = format!("swap-{i}");
        let first = node.put_if_absent(&key, &1).await.unwrap();
        assert!(first.swapped && first.value.is_none());
        let refused = other.put_if_absent(&key, &2).await.unwrap();
        assert_eq!((refused.swapped, refused.version, refused.value), (false, first.version, Some(json("1"))));

        let version = first.version.unwrap();
        let second = other.compare_and_swap(&key, version, &2).await.unwrap();
        assert!(second.swapped && second.version > first.version);
        let old = node.compare_and_swap(&key, version, &3).await.unwrap();
        assert_eq!((old.swapped, old.version, old.value), (false, second.version, Some(json("2"))));
        assert!(node.compare_and_swap(&key, json(" 2 "), &3).await.unwrap().swapped);
        assert!(!other.compare_and_swap(&key, json("2"), &4).await.unwrap().swapped);
        assert_eq!(other.get::<u32>(&key).await.unwrap(), Some(3));

        assert!(other.delete(&key).await.unwrap());
        let gone = node.compare_and_swap(&key, json("3"), &4).await.unwrap();
        assert!(!gone.swapped && gone.value.is_none());
        assert!(gone.version > second.version, "the version of the deletion");
        let minute = Duration::from_secs(60);
        let options = PutOptions { ttl: Some(minute), ..PutOptions::default() };
        assert!(node.compare_and_swap_value(&key, Expected::Absent, json("5"), options).await.unwrap().swapped);
        assert!(other.ttl(&key).await.unwrap().is_some_and(|left| left <= minute));
    }
}

async fn increments(nodes: &[Dht]) {
    let (node, last) = (&nodes[0], nodes.last().unwrap());
    assert_eq!(node.increment("n", 5).await.unwrap(), 5);
    assert_eq!(last.increment("n", -7).await.unwrap(), -2);
    assert_eq!(last.increment("n", 0.5).await.unwrap(), -1.5);
    let error = node.increment("n", 1).await.unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::WrongFormat, false));
    assert_eq!(node.get::<f64>("n").await.unwrap(), Some(-1.5));
    node.put("text", "no number").await.unwrap();
    assert_eq!(last.increment("text", 1).await.unwrap_err().kind(), ErrorKind::WrongFormat);
    node.put("most", &i64::MAX).await.unwrap();
    let error = last.increment("most", 1).await.unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::InvalidValue, false));
    assert_eq!(last.get::<i64>("most").await.unwrap(), Some(i64::MAX));
    let infinite = node.increment_with("n", Number::Float(f64::INFINITY), GetOptions::default()).await;
    assert_eq!(infinite.unwrap_err().kind(), ErrorKind::InvalidValue);
    node.put_with_ttl("short", &1, Duration::from_secs(60)).await.unwrap();
    assert_eq!(last.increment("short", 1).await.unwrap(), 2);
    assert!(node.ttl("short").await.unwrap().is_some(), "the expiry stays");
}

async fn taking(nodes: &[Dht]) {
    let (node, last) = (&nodes[0], nodes.last().unwrap());
    assert_eq!(node.get_and_put::<u32, _>("take", &1).await.unwrap(), None);
    assert_eq!(last.get_and_put::<u32, _>("take", &2).await.unwrap(), Some(1));
    assert_eq!(node.get_and_delete::<u32>("take").await.unwrap(), Some(2));
    assert_eq!(last.get_and_delete::<u32>("take").await.unwrap(), None);
    node.put_bytes("take", b"raw".as_slice(), PutOptions::default()).await.unwrap();
    let error = last.get_and_delete::<u32>("take").await.unwrap_err();
    assert_eq!((error.kind(), error.maybe_applied()), (ErrorKind::WrongFormat, true));
    assert!(!node.contains("take").await.unwrap(), "it is deleted nevertheless");
}

async fn expiry(nodes: &[Dht]) {
    let (node, last) = (&nodes[0], nodes.last().unwrap());
    assert!(!node.expire("life", Duration::from_secs(9)).await.unwrap());
    let put = node.put("life", &1).await.unwrap();
    assert!(!last.persist("life").await.unwrap(), "it lives for ever already");
    assert!(last.expire("life", Duration::from_secs(9)).await.unwrap());
    assert!(node.ttl("life").await.unwrap().is_some_and(|left| left <= Duration::from_secs(9)));
    assert!(last.get_versioned("life", GetOptions::default()).await.unwrap().unwrap().version > put.version);
    assert!(last.persist("life").await.unwrap());
    assert_eq!(node.ttl("life").await.unwrap(), None);
    assert_eq!(node.get::<u32>("life").await.unwrap(), Some(1));
    assert_eq!(node.expire("life", Duration::ZERO).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(last.expire("life", Duration::from_millis(1)).await.unwrap());
    eventually(SOON, "the value expires", async || seen(!node.contains("life").await.unwrap(), || "there".into()))
        .await;
    assert!(!last.persist("life").await.unwrap(), "what expired is gone");
}

/// Many callers through all nodes: every increment counts once, every sum is told once.
async fn nothing_is_lost_between_callers(nodes: &[Dht]) {
    const EACH: usize = 50;
    let mut callers = tokio::task::JoinSet::new();
    for i in 0..8 {
        let node = nodes[i % nodes.len()].clone();
        callers.spawn(async move {
            let mut sums = Vec::with_capacity(EACH);
            for _ in 0..EACH {
                sums.push(node.increment("counter", 1).await.unwrap());
            }
            assert!(sums.is_sorted(), "one caller's sums rise");
            sums
        });
    }
    let sums: BTreeSet<i64> = callers.join_all().await.into_iter().flatten().collect();
    assert_eq!(sums, (1..=8 * EACH as i64).collect());
}

async fn one_of_many_wins(nodes: &[Dht]) {
    for round in 0..20 {
        let key = format!("leader-{round}");
        let mut callers = tokio::task::JoinSet::new();
        for i in 0..6 {
            let (node, key) = (nodes[i % nodes.len()].clone(), key.clone());
            callers.spawn(async move { (i, node.put_if_absent(&key, &i).await.unwrap()) });
        }
        let swaps = callers.join_all().await;
        let winners: Vec<usize> = swaps.iter().filter(|(_, swap)| swap.swapped).map(|(i, _)| *i).collect();
        let [winner] = winners[..] else { panic!("{winners:?} all won") };
        for (_, swap) in swaps.into_iter().filter(|(_, swap)| !swap.swapped) {
            assert_eq!(swap.value, Some(Value::from_serialize(&winner).unwrap()));
        }
    }
}
