//! Three OpenDHT nodes in one process of its own Python binding, which keeps as many puts under way.

use std::process::Command;
use std::time::Duration;

use crate::{CALLERS, VALUE_LEN};

const PROGRAM: &str = r#"
import sys, time, threading
import opendht as dht
callers, seconds, length = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
nodes = []
for n in range(3):
    node = dht.DhtRunner()
    node.run(port=0, ipv4="127.0.0.1")
    if nodes:
        node.bootstrap("127.0.0.1", str(nodes[0].getBound().getPort()))
    nodes.append(node)
time.sleep(5)
end, done, lock, over = time.time() + seconds, [0], threading.Lock(), threading.Semaphore(0)
def put(n):
    def finished(ok, *_):
        with lock:
            done[0] += bool(ok)
        if time.time() < end:
            put(n + callers)
        else:
            over.release()
    nodes[2].put(dht.InfoHash.get("key-%d" % n), dht.Value(b"v" * length), finished)
begin = time.time()
for n in range(callers):
    put(n)
for n in range(callers):
    over.acquire(timeout=30)
print(done[0] / (time.time() - begin))
for node in nodes:
    node.join()
"#;

/// Writes per second.
pub(crate) async fn puts(length: Duration, wanted: bool) -> Result<f64, String> {
    if !wanted {
        return Err("only with --bench, and without `ours`".to_owned());
    }
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", PROGRAM, &CALLERS.to_string(), &length.as_secs_f64().to_string(), &VALUE_LEN.to_string()]);
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = |text: &str| text.trim().lines().last().unwrap_or_default().to_owned();
    last(&text).parse().map_err(|_| last(&String::from_utf8_lossy(&output.stderr)))
}
