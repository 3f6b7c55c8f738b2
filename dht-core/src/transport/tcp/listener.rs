//! The listener task, and the sweeper that closes what is idle.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::super::misbehaviour::{Misbehaviour, source_of};
use super::shared::Shared;

/// Out of descriptors, or the like: trying again at once would only burn a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What goes on being wrong is told so often.
const WARN_INTERVAL: Duration = Duration::from_secs(1);

/// How often connections are looked for that are idle, or stuck.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Takes in connections for as long as the transport lives.
pub(super) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    let mut warned = None;
    loop {
        match listener.accept().await {
            Ok((socket, from)) => {
                let source = source_of(from.ip());
                if !shared.gate.knock(source, shared.env.now()) {
                    event!(debug, %from, "opens too many connections");
                    shared.counters.misdeeds.note(Misbehaviour::Flood, &source.to_string());
                    continue;
                }
                let (place, evicted, gone) = shared.gate.enter(source);
                if let Some(gone) = gone {
                    event!(debug, %gone, "waited too long with its hello, and too many do");
                    shared.counters.network_error();
                    shared.counters.misdeeds.note(Misbehaviour::Handshake, &gone.to_string());
                }
                let (welcome, gate) = (shared.clone().welcome(socket, from), shared.clone());
                shared.tasks.spawn_helper(async move {
                    tokio::select! {
                        biased;
                        () = welcome => {}
                        // Only ever an error: whoever held the other end has let go.
                        _ = evicted => {}
                    }
                    gate.gate.leave(place);
                });
                // A crowd at the door waits; who is inside is served between any two of it.
                tokio::task::yield_now().await;
            }
            // Somebody hung up again before it was taken in: that says nothing of the next.
            Err(error) if is_of_one(&error) => {
                event!(debug, %error, "a connection ended before it was accepted");
                shared.counters.network_error();
                tokio::task::yield_now().await;
            }
            Err(error) => {
                let now = shared.env.now();
                if warned.is_none_or(|at| now.saturating_duration_since(at) >= WARN_INTERVAL) {
                    event!(warn, %error, "cannot accept connections");
                    warned = Some(now);
                }
                shared.counters.network_error();
                // Who only knocks goes before who is in.
                if !shared.gate.relieve() {
                    shared.relieve(&error);
                }
                tokio::time::sleep(shared.env.jittered(ACCEPT_PAUSE)).await;
            }
        }
    }
}

/// Whether an error of `accept` concerns the one connection that it would have given.
fn is_of_one(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Closes idle and stuck connections for as long as the transport lives.
pub(super) async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(shared.env.jittered(SWEEP_INTERVAL)).await;
        let uptime_ms = shared.env.uptime_ms();
        // This first: an answer on its way is no idleness.
        for stuck in shared.pool.stuck(uptime_ms) {
            stuck.unstick();
        }
        for idle in shared.pool.sweep(shared.env.now(), uptime_ms) {
            idle.shut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn who_hangs_up_early_is_no_want_of_descriptors() {
        // ECONNABORTED, ECONNRESET; ENFILE, EMFILE, ENOBUFS, ENOMEM.
        for (number, of_one) in [(103, true), (104, true), (23, false), (24, false), (105, false), (12, false)] {
            assert_eq!(is_of_one(&io::Error::from_raw_os_error(number)), of_one, "{number}");
        }
    }
}
