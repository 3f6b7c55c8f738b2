//! The listener task, and the sweeper that closes what is idle.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::super::TransportError;
use super::shared::Shared;

/// Connections whose hello is awaited; more are turned away, so that silent ones cost a bounded amount.
const HANDSHAKES_MAX: usize = 256;

/// Out of descriptors, or the like: trying again at once would only burn a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often idle connections are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Takes in connections for as long as the transport lives.
pub(super) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        match listener.accept().await {
            Ok((socket, from)) => {
                let Ok(permit) = handshakes.clone().try_acquire_owned() else {
                    tracing::debug!(%from, "too many handshakes at once");
                    shared.counters.network_error();
                    continue;
                };
                let welcome = shared.clone().welcome(socket, from);
                shared.tasks.spawn_helper(async move {
                    welcome.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                shared.counters.network_error();
                tokio::time::sleep(shared.env.jittered(ACCEPT_PAUSE)).await;
            }
        }
    }
}

/// Closes idle connections for as long as the transport lives.
pub(super) async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(shared.env.jittered(SWEEP_INTERVAL)).await;
        for idle in shared.pool.sweep(shared.env.now(), shared.env.uptime().as_millis() as u64) {
            idle.end(TransportError::Broken(idle.peer.clone()));
        }
    }
}
