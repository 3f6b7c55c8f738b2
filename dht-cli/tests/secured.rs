//! Secured rings of processes: `dht keygen` makes what they need, and whoever has something else stays outside.

mod common;

use std::path::Path;

use common::{Dir, Ran, Served, dht, finish, run};

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// A client command against `served` with other variables.
async fn client(served: &Served, args: &[&str], vars: &[(&str, &str)]) -> Ran {
    let mut command = dht();
    command.args(args).args(["--node", &served.address, "--cluster-name", &served.cluster]).envs(vars.iter().copied());
    finish(&mut command).await
}

/// Three processes; what is written through one is read through the others.
async fn ring(vars: [Vec<(&str, String)>; 3]) -> Vec<Served> {
    let mut nodes: Vec<Served> = Vec::new();
    for vars in vars {
        let next = match nodes.first() {
            None => Served::with(|command| command.envs(vars)).await,
            Some(first) => {
                let seeds = first.address.clone();
                Served::start(first.cluster.clone(), |command| command.envs(vars).args(["--seeds", &seeds])).await
            }
        };
        nodes.push(next);
    }
    nodes
}

#[tokio::test]
async fn three_processes_and_a_client_share_a_key() {
    let dir = Dir::new();
    let file = dir.path().join("key");
    let ran = run(&["keygen", "--out", text(&file)]).await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    let key = std::fs::read_to_string(&file).expect("written").trim().to_owned();
    let nodes = ring([0, 1, 2].map(|_| vec![("DHT_CLUSTER_KEY", key.clone())])).await;
    let put = client(&nodes[1], &["put", "k", "42"], &[("DHT_CLUSTER_KEY", &key)]).await;
    assert_eq!(put.status, 0, "{}", put.err);
    for node in &nodes {
        let got = client(node, &["get", "k", "--cluster-key-file", text(&file)], &[]).await;
        assert_eq!((got.status, got.text()), (0, "42\n"), "{}", got.err);
    }
    for (vars, says) in [(&[("DHT_CLUSTER_KEY", "guessed")][..], "same cluster_key"), (&[], "wants cluster_key")] {
        let ran = client(&nodes[0], &["get", "k"], vars).await;
        assert_eq!(ran.status, 3);
        assert!(ran.err.starts_with("dht: AUTH: ") && ran.err.contains(says), "{}", ran.err);
        assert!(!ran.err.contains("guessed") && !ran.err.contains(&key), "{}", ran.err);
    }
    let seeds = nodes[0].address.as_str();
    let mut stranger = dht();
    stranger.args(["serve", "--port", "0", "--cluster-name", &nodes[0].cluster, "--seeds", seeds]);
    let ran = finish(stranger.env("DHT_CLUSTER_KEY", "guessed")).await;
    assert_eq!(ran.status, 3);
    assert!(ran.err.starts_with("dht: AUTH: "), "{}", ran.err);
}

#[tokio::test]
async fn three_processes_and_a_client_have_certificates() {
    let (dir, other) = (Dir::new(), Dir::new());
    for dir in [&dir, &other] {
        let ran = run(&["keygen", "ca", "--dir", text(dir.path())]).await;
        assert_eq!(ran.status, 0, "{}", ran.err);
    }
    let made = async |authority: &Dir, node_id: &str| {
        let own = authority.path().join(node_id);
        let args = ["keygen", "node", "--ca", text(authority.path()), "--node-id", node_id, "--dir", text(&own)];
        let ran = run(&args).await;
        assert_eq!(ran.status, 0, "{}", ran.err);
        let file = |name: &str| text(&own.join(name)).to_owned();
        vec![("DHT_TLS_CERT", file("node.pem")), ("DHT_TLS_KEY", file("node.key")), ("DHT_TLS_CA", file("ca.pem"))]
    };
    let vars = [made(&dir, "a").await, made(&dir, "b").await, made(&dir, "rack 1, c").await];
    let nodes = ring(vars).await;
    assert!(nodes[2].line.contains("serving rack 1, c at"), "{}", nodes[2].line);
    let vars = made(&dir, "me").await;
    let vars: Vec<_> = vars.iter().map(|(name, path)| (*name, path.as_str())).collect();
    assert_eq!(client(&nodes[1], &["put", "k", "42"], &vars).await.status, 0);
    for node in &nodes {
        let got = client(node, &["get", "k"], &vars).await;
        assert_eq!((got.status, got.text()), (0, "42\n"), "{}", got.err);
    }
    let vars = made(&other, "me").await;
    let vars: Vec<_> = vars.iter().map(|(name, path)| (*name, path.as_str())).collect();
    for vars in [&vars[..], &[("DHT_CLUSTER_KEY", "k")], &[]] {
        let ran = client(&nodes[0], &["get", "k"], vars).await;
        assert_eq!(ran.status, 3);
        assert!(ran.err.starts_with("dht: AUTH: "), "{}", ran.err);
    }
}

#[tokio::test]
async fn keygen_writes_over_nothing_and_keeps_private_keys_private() {
    let dir = Dir::new();
    let ca = text(dir.path()).to_owned();
    let key = text(&dir.path().join("key")).to_owned();
    let own = text(&dir.path().join("own")).to_owned();
    let makes: [&[&str]; 3] = [
        &["keygen", "--out", &key],
        &["keygen", "ca", "--dir", &ca],
        &["keygen", "node", "--ca", &ca, "--node-id", "n", "--dir", &own],
    ];
    let contents = || {
        let files = ["key", "ca.key", "ca.pem", "own/node.key", "own/node.pem"].map(|name| dir.path().join(name));
        files.map(|file| std::fs::read(file).unwrap_or_default())
    };
    for make in makes {
        assert_eq!(run(make).await.status, 0, "{make:?}");
        let before = contents();
        let again = run(make).await;
        assert_eq!(again.status, 3, "{make:?}");
        assert!(again.err.contains("is there already"), "{}", again.err);
        assert_eq!(contents(), before, "{make:?}");
        let forced = run(&[make, &["--force"]].concat()).await;
        assert_eq!(forced.status, 0, "{}", forced.err);
        assert_ne!(contents(), before, "{make:?}");
    }
    #[cfg(unix)]
    for private in ["key", "ca.key", "own/node.key"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.path().join(private)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }
    let printed = run(&["keygen"]).await;
    assert!(printed.text().trim().len() == 64 && printed.text() != run(&["keygen"]).await.text());
    assert_eq!(run(&["keygen", "--json"]).await.json()["cluster_key"].as_str().map(str::len), Some(64));
}

#[tokio::test]
async fn keygen_leaves_nothing_where_a_certificate_would_be_of_no_use() {
    let (dir, other) = (Dir::new(), Dir::new());
    for dir in [&dir, &other] {
        assert_eq!(run(&["keygen", "ca", "--dir", text(dir.path())]).await.status, 0);
    }
    let (ca, own) = (text(dir.path()).to_owned(), dir.path().join("own"));
    let make = ["keygen", "node", "--ca", &ca, "--node-id", "n", "--dir", text(&own)];
    assert_eq!(run(&make).await.status, 0);
    let contents = || ["node.key", "node.pem", "ca.pem"].map(|name| std::fs::read(own.join(name)).expect("there"));
    let before = contents();
    // The certificate of one authority and the key of another.
    std::fs::copy(other.path().join("ca.key"), dir.path().join("ca.key")).expect("copied");
    let elsewhere = dir.path().join("else/where");
    let ran = run(&["keygen", "node", "--ca", &ca, "--node-id", "n", "--dir", text(&elsewhere)]).await;
    assert_eq!(ran.status, 3);
    assert!(ran.err.contains(&ca) && !ran.err.contains(".keygen"), "{}", ran.err);
    assert!(!elsewhere.exists(), "nothing was made");
    assert_eq!(run(&[&make[..], &["--force"]].concat()).await.status, 3);
    assert_eq!(contents(), before, "what is of use stays");
    assert_eq!(std::fs::read_dir(&own).expect("there").count(), 3, "and nothing else");
    // An authority without a key.
    let ran = run(&["keygen", "node", "--ca", text(&own), "--node-id", "n", "--dir", text(&elsewhere)]).await;
    assert_eq!(ran.status, 3);
    assert!(!elsewhere.exists(), "nothing was made");
}
