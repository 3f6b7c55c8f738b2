//! `dht serve` from outside: its line, its signals, where its configuration comes from, and what it refuses.

mod common;

use std::process::Stdio;

use common::{Dir, PATIENCE, Served, dht, finish, run};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

#[tokio::test]
async fn prints_one_line_with_its_address() {
    let served = Served::with(|command| command.args(["--node-id", "n-1"])).await;
    assert_eq!(served.line, format!("dht: serving n-1 at {}\n", served.address));
    assert!(served.address.starts_with("127.0.0.1:") && !served.address.ends_with(":0"), "{}", served.address);
    let stream = tokio::net::TcpStream::connect(&served.address).await;
    assert!(stream.is_ok(), "nobody listens at {}", served.address);
}

#[tokio::test]
async fn says_that_it_is_joining_until_it_has_joined() {
    for args in [&[][..], &["--json"]] {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        let seed = format!("127.0.0.1:{port}");
        let mut early = Served::with(|command| {
            command.args(["--node-id", "n-1", "--seeds", &seed, "--request-timeout", "0.3"]).args(args)
        })
        .await;
        let address = early.address.clone();
        let said = |line: &str, word: &str, state: &str| match args {
            [] => assert_eq!(line, format!("dht: {word} n-1 at {address}\n")),
            _ => {
                let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
                assert_eq!((&line["address"], &line["state"]), (&address.as_str().into(), &state.into()), "{line}");
            }
        };
        said(&early.line, "joining", "joining");
        let mut seed = dht();
        seed.args(["serve", "--port", &port.to_string(), "--cluster-name", &early.cluster]);
        let _seed = seed.spawn().expect("it starts");
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, early.stdout.read_line(&mut line)).await.expect("it joins").expect("a line");
        said(&line, "serving", "active");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn leaves_on_a_signal_with_status_0() {
    for name in ["TERM", "INT"] {
        let mut served = Served::with(|command| command.arg("--json")).await;
        let line: serde_json::Value = serde_json::from_str(&served.line).expect("JSON");
        assert_eq!(line["pid"], served.pid());
        assert!(line["node_id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
        common::signal(name, served.pid()).await;
        assert_eq!(served.status().await.code(), Some(0), "SIG{name}");
        let mut rest = String::new();
        served.stdout.read_to_string(&mut rest).await.expect("its end");
        assert_eq!(rest, "", "nothing but the one line");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_signal_does_not_wait_for_the_leave() {
    let first = Served::new().await;
    let mut second = first.joined_by_another().await;
    common::until("the two have found each other", async || {
        let nodes = second.client(&["ring", "--json"]).await.json();
        nodes["nodes"]
            .as_array()
            .is_some_and(|nodes| nodes.iter().filter(|node| node["state"] == "active").count() == 2)
    })
    .await;
    // Nobody takes over what the second has, so its leave goes on for seconds; two kinds of signal never become one.
    common::signal("STOP", first.pid()).await;
    common::signal("TERM", second.pid()).await;
    common::signal("INT", second.pid()).await;
    // Of signals that are pending at once the system may tell the later one first.
    let status = second.status().await.code();
    assert!(matches!(status, Some(130 | 143)), "{status:?}");
}

#[tokio::test]
async fn stops_when_its_input_ends_if_it_was_asked_to() {
    let mut served = Served::with(|command| command.arg("--exit-with-stdin").stdin(std::process::Stdio::piped())).await;
    assert!(served.child.try_wait().expect("ours").is_none(), "while the input is open it serves");
    drop(served.child.stdin.take());
    assert_eq!(served.status().await.code(), Some(0));
    // Without the flag an empty input, as of a service manager, is no reason to end.
    let served = Served::with(|command| command.stdin(std::process::Stdio::null())).await;
    assert_eq!(served.client(&["stats"]).await.status, 0);
}

#[tokio::test]
async fn flag_over_variable_over_file() {
    let dir = Dir::new();
    let file = dir.write("dht.toml", b"node_id = 'from-file'\nhash_bits = 64\nport = 0\n");
    for (variable, flag, expected) in [
        (None, None, "from-file"),
        (Some("from-variable"), None, "from-variable"),
        (Some("from-variable"), Some("from-flag"), "from-flag"),
    ] {
        let served = Served::with(|command| {
            command.arg("--config").arg(&file).env("DHT_NODE", "other:1");
            command.envs(variable.map(|id| ("DHT_NODE_ID", id)));
            command.args(flag.map(|id| ["--node-id", id]).into_iter().flatten())
        })
        .await;
        assert!(served.line.contains(&format!("serving {expected} at")), "{}", served.line);
        assert_eq!(served.client(&["ring", "--json"]).await.json()["hash_bits"], 64);
    }
}

#[tokio::test]
async fn wrong_configuration_is_an_error_with_its_name() {
    let dir = Dir::new();
    let file = dir.write("dht.toml", b"hash_bitz = 64\n");
    let file = file.to_str().expect("text");
    for (args, name, text) in [
        (&["--hash-bits", "257"][..], "CONFIG", "hash_bits = 257"),
        (&["--hash-bits", "0"], "CONFIG", "hash_bits = 0"),
        (&["--replication-factor", "0"], "CONFIG", "replication_factor = 0"),
        (&["--hash-bits", "many"], "CONFIG", "flag --hash-bits"),
        (&["--seeds", "nowhere"], "CONFIG", "seeds"),
        (&["--config", file], "CONFIG", "hash_bits?"),
        (&["--address", "0.0.0.0"], "INSECURE", "allow_insecure"),
        (&["--cluster-key", "k,k,k"], "CONFIG", "cluster_key"),
        (&["--cluster-key-file", "/nowhere/key"], "CONFIG", "/nowhere/key"),
        (&["--tls-cert", "/nowhere/c", "--tls-key", "k", "--tls-ca", "a"], "CONFIG", "/nowhere/c"),
    ] {
        let ran = run(&[&["serve", "--json"], args].concat()).await;
        assert_eq!((ran.status, ran.text()), (3, ""), "{args:?}: {}", ran.err);
        let error = ran.error();
        assert_eq!(error["error"], name, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(text)), "{error}");
    }
    let ran = finish(dht().args(["serve"]).env("DHT_HASH_BITS", "300")).await;
    assert_eq!(ran.status, 3);
    assert!(ran.err.starts_with("dht: CONFIG: hash_bits = 300"), "{}", ran.err);
}

#[tokio::test]
async fn a_port_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let ran = run(&["serve", "--port", &port]).await;
    assert_eq!(ran.status, 3);
    assert!(ran.err.starts_with("dht: ADDRESS") && ran.err.contains(&port), "{}", ran.err);
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_while_its_seeds_are_silent() {
    // Bound, so that nobody else gets the port, and never accepted from.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let seed = silent.local_addr().expect("bound").to_string();
    let mut child = dht().args(["serve", "--port", "0", "--seeds", &seed]).spawn().expect("it starts");
    let pid = child.id().expect("running");
    // The connection shows that the start is under way, and that signals are received.
    tokio::time::timeout(PATIENCE, async {
        let listener = silent.set_nonblocking(true).and_then(|()| tokio::net::TcpListener::from_std(silent));
        listener.expect("a listener").accept().await.expect("it joins")
    })
    .await
    .expect("it joins");
    common::signal("TERM", pid).await;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("ours");
    assert!(status.code().is_some_and(|code| code == 0), "{status}");
}

/// What is sampled is on standard error, of clients' operations too; without `--trace-sample` nothing of a trace is.
#[tokio::test]
async fn sampled_operations_are_told_on_standard_error() {
    let mut first = Served::with(|command| command.args(["--enable-logging", "true"]).stderr(Stdio::piped())).await;
    let second = Served::start(first.cluster.clone(), |command| {
        command.args(["--seeds", &first.address, "--trace-sample", "1"]).stderr(Stdio::piped())
    });
    let mut second = second.await;
    let ran = first.client(&["trace", "key"]).await;
    assert!(ran.text().contains("get"), "{}", ran.err);
    let ran = second.client(&["put", "key", "1", "--level", "all"]).await;
    assert_eq!(ran.status, 0, "{}", ran.err);
    let mut told = BufReader::new(second.child.stderr.take().expect("piped")).lines();
    let mut done = None;
    while done.is_none() {
        let line = tokio::time::timeout(PATIENCE, told.next_line()).await.expect("it is told").expect("text");
        let line = line.expect("more to come");
        assert!(line.contains("dht::trace"), "nothing but traces is wanted: {line}");
        done = Some(line).filter(|line| line.contains(" done "));
        // No other was asked for what the trace above was.
        assert!(done.is_none() || done.as_ref().is_some_and(|line| line.contains("op=\"put\"")), "{done:?}");
    }
    let _ = first.child.start_kill();
    let mut log = String::new();
    let mut stderr = first.child.stderr.take().expect("piped");
    stderr.read_to_string(&mut log).await.expect("text");
    assert!(log.contains("founded a ring") && !log.contains("dht::trace") && !log.contains("DEBUG"), "{log}");
}
