//! Several nodes over TCP in one process.
use dht_core::{Config, Dht, ErrorKind};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes() {
    let t = std::time::Instant::now();
    let first = Dht::start(Config { node_id: "n0".into(), ..Config::default() }).await.unwrap();
    println!("start {:?}", t.elapsed());
    first.put("before", &1).await.unwrap();
    let mut nodes = vec![first];
    for i in 1..5 {
        let t = std::time::Instant::now();
        let n = Dht::start(Config { node_id: format!("n{i}"), seeds: vec![nodes[0].address()], ..Config::default() })
            .await
            .unwrap();
        println!("join {i} {:?} {:?}", t.elapsed(), n.health().unwrap());
        n.wait_ready(Duration::from_secs(10)).await.unwrap();
        println!("ready {i} {:?}", t.elapsed());
        nodes.push(n);
    }
    for i in 0..1000 {
        nodes[i % 5].put(format!("k{i}"), &i).await.unwrap();
    }
    for i in 0..1000 {
        assert_eq!(nodes[(i + 1) % 5].get::<usize>(format!("k{i}")).await.unwrap(), Some(i));
    }
    println!("data {:?}", t.elapsed());
    nodes[4].stop().await;
    let t = std::time::Instant::now();
    let mut worst = Duration::ZERO;
    for i in 0..1000 {
        let b = std::time::Instant::now();
        assert_eq!(nodes[(i + 1) % 4].get::<usize>(format!("k{i}")).await.unwrap(), Some(i));
        nodes[i % 4].put(format!("k{i}"), &(i + 1)).await.unwrap();
        worst = worst.max(b.elapsed());
    }
    println!("after a kill {:?} worst {worst:?}", t.elapsed());
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let under: Vec<_> = nodes[..4].iter().map(|n| n.health().unwrap().under_replicated_slots).collect();
        let sum: u64 = nodes[..4].iter().map(|n| n.statistics().unwrap().data_items_stored).sum();
        println!("{:?} under {under:?} sum {sum}", t.elapsed());
        if under.iter().all(|u| *u == 0) && sum == 3003 {
            break;
        }
        assert!(std::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    nodes[3].leave(Duration::from_secs(5)).await.unwrap();
    println!("left {:?}", t.elapsed());
    let sum: u64 = nodes[..3].iter().map(|n| n.statistics().unwrap().data_items_stored).sum();
    println!("sum {sum}");
    assert_eq!(nodes[3].get::<i32>("k1").await.unwrap_err().kind(), ErrorKind::Stopped);
    println!("{:#?}", nodes[0].statistics().unwrap());
}
