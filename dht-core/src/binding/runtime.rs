//! The runtime that all nodes of the process share: made by the first [`Lease`], ended with the last. Blocking calls
//! run on it from threads that are not its own.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::{Builder, Handle, Runtime};

use super::fork::Home;
use crate::error::{Error, ErrorKind, Result};

/// How often a blocking call that waits asks its caller whether to go on.
pub const TICK: Duration = Duration::from_millis(50);

/// How long the end of the runtime waits for its threads. Only a name that is being resolved takes longer than moments.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// What a blocking call asks its caller every [`TICK`] while it waits; `Break` gives the call up. It runs outside of
/// the runtime, so it may make blocking calls itself. `None`: nobody to ask.
pub type Tick<'a> = Option<&'a mut dyn FnMut() -> ControlFlow<()>>;

/// What a call does to the ring: whether its outcome is unknown once it was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It writes.
    Writes,
}

/// The runtime of one process; a forked child makes its own.
struct Process {
    home: Home,
    shared: Mutex<Weak<Shared>>,
}

static PROCESS: ArcSwapOption<Process> = ArcSwapOption::const_empty();

fn process() -> Arc<Process> {
    loop {
        let seen = PROCESS.load_full();
        if let Some(process) = &seen
            && process.home.is_here()
        {
            return process.clone();
        }
        let fresh = Arc::new(Process { home: Home::here(), shared: Mutex::new(Weak::new()) });
        let before = PROCESS.compare_and_swap(&seen, Some(fresh));
        // Of a forked child's parent: its lock may be held by a thread that does not exist here.
        std::mem::forget(arc_swap::Guard::into_inner(before));
        std::mem::forget(seen);
    }
}

/// A share in the process-wide runtime, which ends with the last one. Clones are cheap.
///
/// Dropping the last one waits up to a second for the threads, unless on one of them.
#[derive(Clone)]
pub struct Lease(Arc<Shared>);

struct Shared {
    home: Home,
    handle: Handle,
    /// Empty only while it is dropped.
    runtime: Option<Runtime>,
}

impl Lease {
    /// The runtime of this process. If there is none yet it gets so many threads.
    ///
    /// # Errors
    /// `Internal` if the system gives no threads or descriptors.
    pub fn acquire(threads: usize) -> Result<Self> {
        let process = process();
        let mut shared = process.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = shared.upgrade() {
            return Ok(Self(shared));
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("dht")
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Internal, "the runtime cannot start").with_source(e))?;
        let fresh = Arc::new(Shared { home: process.home, handle: runtime.handle().clone(), runtime: Some(runtime) });
        *shared = Arc::downgrade(&fresh);
        Ok(Self(fresh))
    }

    /// For binding code that spawns by itself. A task that holds a lease keeps the runtime alive.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.0.handle
    }

    /// Runs `future` from a thread that is not the runtime's. What is ready at once costs no scheduling; what waits
    /// asks `tick` meanwhile.
    ///
    /// # Errors
    /// Those of `future`; `Reentrant` on a thread inside a runtime; `Cancelled` if `tick` gave up, with an unknown
    /// outcome if the call writes: the future is dropped then. `Forked`.
    pub fn block_on<T>(&self, effect: Effect, future: impl Future<Output = Result<T>>, tick: Tick<'_>) -> Result<T> {
        self.0.home.check()?;
        if Handle::try_current().is_ok() {
            let context = "a blocking call inside a runtime or a callback of this library would block it for good";
            return Err(Error::new(ErrorKind::Reentrant, context));
        }
        let mut slot = pin!(Some(future));
        {
            let _inside = self.0.handle.enter();
            if let Some(future) = slot.as_mut().as_pin_mut()
                && let Poll::Ready(result) = future.poll(&mut Context::from_waker(Waker::noop()))
            {
                return result;
            }
        }
        let mut alone = || ControlFlow::Continue(());
        let (tick, period): (&mut dyn FnMut() -> ControlFlow<()>, _) = match tick {
            Some(tick) => (tick, TICK),
            None => (&mut alone, crate::env::PATIENCE_MAX),
        };
        while let Some(future) = slot.as_mut().as_pin_mut() {
            let bounded = async { tokio::time::timeout(period, future).await };
            if let Ok(result) = self.0.handle.block_on(bounded) {
                return result;
            }
            if tick().is_break() {
                // What it holds may want its runtime at its end.
                let _inside = self.0.handle.enter();
                slot.set(None);
            }
        }
        let given_up = Error::new(ErrorKind::Cancelled, "the caller gave the call up");
        Err(if effect == Effect::Writes { given_up.unknown_outcome() } else { given_up })
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if !self.home.is_here() {
            // Its threads stayed in the parent: waiting for them would never end.
            std::mem::forget(runtime);
        } else if Handle::try_current().is_ok() {
            runtime.shutdown_background();
        } else {
            runtime.shutdown_timeout(SHUTDOWN);
        }
    }
}
