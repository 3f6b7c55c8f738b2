//! The signals that ask the program to end.

use std::io;

use dht_core::{Error, ErrorKind};

use crate::failure::Failure;

/// SIGINT and SIGTERM, from the moment this exists: they end the process no more by themselves.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// To be called inside a runtime.
    pub(crate) fn new() -> Result<Self, Failure> {
        Self::install().map_err(|error| {
            let text = "signals cannot be received";
            Failure::Error(Error::new(ErrorKind::Internal, text).with_source(error))
        })
    }

    #[cfg(unix)]
    fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
    fn install() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next one and returns its number. Cancel-safe: a signal that came meanwhile is not lost.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => 15,
            _ = self.interrupt.recv() => 2,
        }
    }

    /// Waits for the next one and returns its number.
    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> u8 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => 2,
            // Ctrl-C then ends the process in the system's own way.
            Err(_) => std::future::pending().await,
        }
    }
}
