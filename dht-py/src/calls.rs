//! Running one operation: on the thread that called, or for asyncio. Either way it is begun at once, with the interpreter
//! held; what is answered from memory never lets go of it.

use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use dht_core::Result;
use dht_core::binding::{Effect, Lease};
use pyo3::prelude::*;

use crate::asynchronous::Call;
use crate::errors::raised;

/// Waits for `future` on this thread, with the interpreter released; a signal whose handler raises ends the wait, and
/// the future is dropped.
#[inline]
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    lease: &Lease,
    effect: Effect,
    future: impl Future<Output = Result<T>> + Send,
) -> PyResult<T> {
    let mut future = pin!(future);
    match poll_now(lease, future.as_mut()) {
        Poll::Ready(result) => result.map_err(|error| raised(py, &error)),
        Poll::Pending => wait_longer(py, lease, effect, future),
    }
}

fn wait_longer<T: Send>(
    py: Python<'_>,
    lease: &Lease,
    effect: Effect,
    future: Pin<&mut (impl Future<Output = Result<T>> + Send)>,
) -> PyResult<T> {
    let (result, interrupt) = py.detach(|| released(lease, effect, future));
    match interrupt {
        Some(interrupt) => Err(interrupt),
        None => result.map_err(|error| raised(py, &error)),
    }
}

/// As [`Lease::block_on`], asking Python for signals; their exception, if there was one.
pub(crate) fn released<T>(
    lease: &Lease,
    effect: Effect,
    future: impl Future<Output = Result<T>>,
) -> (Result<T>, Option<PyErr>) {
    let mut interrupt = None;
    let mut tick = || match Python::try_attach(|py| py.check_signals()) {
        Some(Err(error)) => {
            interrupt = Some(error);
            ControlFlow::Break(())
        }
        Some(Ok(())) | None => ControlFlow::Continue(()),
    };
    let result = lease.block_on(effect, future, Some(&mut tick));
    (result, interrupt)
}

/// Begins `future` for asyncio: its converted result if it is there at once, else the [`Call`] to await.
pub(crate) fn begin<T: Send + 'static>(
    py: Python<'_>,
    lease: Lease,
    future: impl Future<Output = Result<T>> + Send + 'static,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let mut future = Box::pin(future);
    match poll_now(&lease, future.as_mut()) {
        Poll::Ready(result) => convert(py, result.map_err(|error| raised(py, &error))?),
        Poll::Pending => Ok(Py::new(py, Call::new(lease, future, convert))?.into_any()),
    }
}

#[inline]
fn poll_now<F: Future>(lease: &Lease, future: Pin<&mut F>) -> Poll<F::Output> {
    let _inside = lease.handle().enter();
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs an operation on the running node in the way of this handle: `|dht, input| future`, then `convert`.
/// `borrowed` is what a blocking call uses, `owned` what outlives the call into Python.
macro_rules! operate {
    ($node:ident, $py:ident, $effect:ident, $borrowed:expr, $owned:expr,
     |$dht:ident, $input:ident| $call:expr, $convert:expr) => {{
        let running = $node.running($py)?;
        if $node.asynchronous() {
            let held = running.clone();
            let $input = $owned;
            let future = async move {
                let $dht: &dht_core::Dht = held.dht();
                $call.await
            };
            $crate::calls::begin($py, running.lease().clone(), future, $convert)
        } else {
            let $dht: &dht_core::Dht = running.dht();
            let $input = $borrowed;
            let result = $crate::calls::wait($py, running.lease(), dht_core::binding::Effect::$effect, $call)?;
            ($convert)($py, result)
        }
    }};
}
pub(crate) use operate;
