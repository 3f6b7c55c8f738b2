//! The life of a handle as bindings show it: made from a configuration, started, ended; never back.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::fork::Home;
use super::runtime::{Effect, Lease, Tick};
use crate::config::Config;
use crate::dht::Dht;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::hash::KeyHasher;
use crate::ring::id::IdSpace;
use crate::ring::params::RingParams;
use crate::shapes::NodeInfo;

/// `stop` answers within this.
const STOP: Duration = Duration::from_secs(1);

/// One node, from before its start until after its end. All methods may be called from many threads at once.
///
/// Dropping it stops the node.
pub struct NodeHandle {
    config: Config,
    ids: IdSpace,
    hasher: KeyHasher,
    home: Home,
    stage: watch::Sender<Stage>,
    running: ArcSwapOption<Running>,
    /// What it was when it had left, until it is stopped.
    left: ArcSwapOption<NodeInfo>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    New,
    Starting,
    Running,
    Ended,
}

/// A started node and its share in the runtime. A call holds it to its end, so that nothing ends beneath it.
pub struct Running {
    // Before the lease, so that the node goes before its runtime.
    dht: Dht,
    lease: Lease,
    stage: watch::Receiver<Stage>,
}

impl Running {
    /// The node.
    #[must_use]
    pub fn dht(&self) -> &Dht {
        &self.dht
    }

    /// Its runtime.
    #[must_use]
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// `future`, or, once the handle has ended, that it has: a call under way ends with its node, not with its own
    /// deadline. To be awaited on the runtime of [`Running::lease`].
    ///
    /// # Errors
    /// Those of `future`; `Stopped`, with an unknown outcome if the call writes.
    pub async fn until_end<T>(&self, effect: Effect, future: impl Future<Output = Result<T>>) -> Result<T> {
        let ends = async {
            // It fails when the handle is gone, which is an end too.
            let _ = self.stage.clone().wait_for(|stage| *stage == Stage::Ended).await;
        };
        tokio::select! {
            biased;
            result = future => result.map_err(|error| self.of_the_end(error)),
            () = ends => Err(if effect == Effect::Writes { ended().unknown_outcome() } else { ended() }),
        }
    }

    /// Beneath a call the node may have ended before the handle has: what the call then met is not what matters.
    fn of_the_end(&self, error: Error) -> Error {
        let loses_its_node = matches!(
            error.kind(),
            ErrorKind::NotJoined | ErrorKind::Unreachable | ErrorKind::Quorum | ErrorKind::Overloaded
        );
        if !loses_its_node || self.dht.predecessor().is_ok() {
            return error;
        }
        let stopped = ended().with_source(error.clone());
        if error.maybe_applied() { stopped.unknown_outcome() } else { stopped }
    }

    /// [`Running::until_end`] for a thread that may block.
    ///
    /// # Errors
    /// As there, and as [`Lease::block_on`].
    pub fn block_on<T>(&self, effect: Effect, future: impl Future<Output = Result<T>>, tick: Tick<'_>) -> Result<T> {
        self.lease.block_on(effect, self.until_end(effect, future), tick)
    }
}

impl NodeHandle {
    /// A node that is not started.
    ///
    /// # Errors
    /// As [`Config::validate`].
    pub fn new(config: Config) -> Result<Self> {
        config.validate()?;
        let params = RingParams::of(&config);
        let out_of_range = || Error::new(ErrorKind::Config, format!("hash_bits = {}: out of range", config.hash_bits));
        let (ids, _) = params.spaces().ok_or_else(out_of_range)?;
        let stage = watch::Sender::new(Stage::New);
        let hasher = params.hasher(ids);
        Ok(Self {
            config,
            ids,
            hasher,
            home: Home::here(),
            stage,
            running: ArcSwapOption::empty(),
            left: ArcSwapOption::empty(),
        })
    }

    /// What it was made from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The id of a key, lower-case hexadecimal of ceil(hash_bits / 4) digits. Works at any time.
    ///
    /// # Errors
    /// `TooLarge`, `Forked`.
    pub fn hash_key(&self, key: &[u8]) -> Result<String> {
        self.home.check()?;
        // The bound is the ring's, once this node is in one.
        if let Some(running) = self.running.load_full() {
            running.dht.check_key(key)?;
        } else if key.len() > self.config.max_key_size {
            let context = format!("the key has {} bytes: max_key_size is {}", key.len(), self.config.max_key_size);
            return Err(Error::new(ErrorKind::TooLarge, context));
        }
        Ok(self.ids.hex(self.hasher.id(key)))
    }

    /// The node, for one call.
    ///
    /// # Errors
    /// `Forked`, `NotStarted`, `Stopped`.
    pub fn running(&self) -> Result<Arc<Running>> {
        self.home.check()?;
        match self.running.load_full() {
            Some(running) => Ok(running),
            None => Err(self.absent()),
        }
    }

    /// This node; after `leave`, until it is stopped, as it was when it had left.
    ///
    /// # Errors
    /// `Forked`, `NotStarted`, `Stopped`.
    pub fn node_info(&self) -> Result<NodeInfo> {
        match (self.running(), self.left.load_full()) {
            (Err(_), Some(left)) if self.home.is_here() => Ok(NodeInfo::clone(&left)),
            (running, _) => running?.dht.node_info(),
        }
    }

    /// The runtime on which this node runs or will run.
    ///
    /// # Errors
    /// `Forked`, `Stopped` after the node's end, and as [`Lease::acquire`].
    pub fn lease(&self) -> Result<Lease> {
        self.home.check()?;
        match self.running.load_full() {
            Some(running) => Ok(running.lease.clone()),
            None if *self.stage.borrow() == Stage::Ended => Err(ended()),
            None => Lease::acquire(self.config.worker_count()),
        }
    }

    /// Starts the node, on a task of `lease`; a no-op if it runs. Another start under way is waited for. Dropped
    /// before its end it leaves the handle as it was.
    ///
    /// # Errors
    /// As [`Dht::start`], and the node may then be started again; `Stopped` after or during its end.
    pub async fn start(&self, lease: &Lease) -> Result<()> {
        loop {
            match self.step(Stage::New, Stage::Starting) {
                Stage::New => break,
                // It may have stopped by itself.
                Stage::Running => return self.running.load_full().map_or(Ok(()), |r| r.dht.node_info().map(drop)),
                Stage::Ended => return Err(ended()),
                Stage::Starting => {
                    // It cannot fail: the sender is this handle's.
                    let _ = self.stage.subscribe().wait_for(|stage| *stage != Stage::Starting).await;
                }
            }
        }
        let undo = Undo(self);
        // Keys are derived and files opened before the first wait: not on the thread of an event loop.
        tokio::task::yield_now().await;
        let mut stage = self.stage.subscribe();
        let dht = tokio::select! {
            biased;
            // It cannot fail: the sender is this handle's.
            _ = stage.wait_for(|stage| *stage == Stage::Ended) => return Err(ended()),
            started = Dht::start(self.config.clone()) => started?,
        };
        let running = Arc::new(Running { dht, lease: lease.clone(), stage: self.stage.subscribe() });
        self.running.store(Some(running.clone()));
        let before = self.step(Stage::Starting, Stage::Running);
        drop(undo);
        if before == Stage::Starting {
            return Ok(());
        }
        self.running.store(None);
        running.dht.stop().await;
        Err(ended())
    }

    /// [`NodeHandle::start`] for a thread that may block.
    ///
    /// # Errors
    /// As there, and as [`Lease::block_on`].
    pub fn start_blocking(&self, tick: Tick<'_>) -> Result<()> {
        let lease = self.lease()?;
        lease.block_on(Effect::Reads, self.start(&lease), tick)
    }

    /// Ends the node at once, within a second: to the ring, a crash. Later calls succeed.
    ///
    /// # Errors
    /// `Forked`, `NotStarted`.
    pub async fn stop(&self) -> Result<()> {
        self.home.check()?;
        if self.end() == Stage::New {
            return Err(not_started());
        }
        self.left.store(None);
        if let Some(running) = self.running.swap(None) {
            // Late tasks end with the runtime or by themselves.
            let _ = tokio::time::timeout(STOP, running.dht.stop()).await;
        }
        Ok(())
    }

    /// All that [`NodeHandle::stop`] does to a node that has left.
    pub fn forget_how_it_left(&self) {
        self.left.store(None);
    }

    /// [`NodeHandle::stop`] for a thread that may block.
    ///
    /// # Errors
    /// As there, and as [`Lease::block_on`].
    pub fn stop_blocking(&self) -> Result<()> {
        self.home.check()?;
        loop {
            if let Some(running) = self.running.load_full() {
                return running.lease.block_on(Effect::Reads, self.stop(), None);
            }
            if self.end() == Stage::New {
                return Err(not_started());
            }
            self.left.store(None);
            // A start under way ends at once by itself, unless it came to its end between the two looks.
            if self.running.load().is_none() {
                return Ok(());
            }
        }
    }

    /// Hands over, says goodbye and ends. Later calls succeed.
    ///
    /// # Errors
    /// `Timeout` if not everything was handed over within `timeout`: the node has ended nevertheless. `Stopped` if it was
    /// stopped meanwhile, before everything was handed over. `Forked`, `NotStarted`.
    pub async fn leave(&self, timeout: Duration) -> Result<()> {
        let running = match self.running() {
            Err(error) if error.kind() == ErrorKind::Stopped => return Ok(()),
            running => running?,
        };
        let left = running.dht.leave(timeout).await;
        // Fails if it was stopped meanwhile.
        self.left.store(running.dht.node_info().ok().map(Arc::new));
        self.end();
        self.running.store(None);
        left
    }

    /// [`NodeHandle::leave`] for a thread that may block. Given up, it leaves the node as it is: call it again, or stop.
    ///
    /// # Errors
    /// As there, and as [`Lease::block_on`].
    pub fn leave_blocking(&self, timeout: Duration, tick: Tick<'_>) -> Result<()> {
        match self.running() {
            Err(error) if error.kind() == ErrorKind::Stopped => Ok(()),
            running => running?.lease.block_on(Effect::Writes, self.leave(timeout), tick),
        }
    }

    /// Whether the node was ended by `stop` or `leave`.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        *self.stage.borrow() == Stage::Ended
    }

    /// Goes from `from` to `to` if it is there; answers where it was.
    fn step(&self, from: Stage, to: Stage) -> Stage {
        let mut before = from;
        self.stage.send_if_modified(|stage| {
            before = *stage;
            let goes = *stage == from;
            if goes {
                *stage = to;
            }
            goes
        });
        before
    }

    /// Whatever was started goes to its end; answers where it was.
    fn end(&self) -> Stage {
        match self.step(Stage::Running, Stage::Ended) {
            Stage::Starting => self.step(Stage::Starting, Stage::Ended),
            before => before,
        }
    }

    fn absent(&self) -> Error {
        match *self.stage.borrow() {
            Stage::New | Stage::Starting => not_started(),
            // Running: it ended between the two looks.
            Stage::Running | Stage::Ended => ended(),
        }
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        let running = self.running.swap(None);
        if !self.home.is_here() {
            // In a forked child every step of its end could wait for a thread of the parent.
            std::mem::forget(running);
            return;
        }
        let Some(running) = running else { return };
        // Inside a runtime nothing may wait; the node's own end then does the rest.
        let _ = running.lease.block_on(
            Effect::Reads,
            async {
                let _ = tokio::time::timeout(STOP, running.dht.stop()).await;
                Ok(())
            },
            None,
        );
    }
}

impl std::fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeHandle({:?})", *self.stage.borrow())
    }
}

/// A start that failed or was given up can be tried again.
struct Undo<'a>(&'a NodeHandle);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.0.step(Stage::Starting, Stage::New);
    }
}

fn not_started() -> Error {
    Error::new(ErrorKind::NotStarted, "the node was not started")
}

fn ended() -> Error {
    Error::new(ErrorKind::Stopped, "the node was stopped or has left")
}
