//! What a coordinator has begun. Not in the list of checks: the simulated transport knows no classes of requests.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::Barrier;

use super::{Bounds, Pair, USUAL, answer, ask, described, service, with_pair, within_reason};
use crate::transport::{Answer, Call};
use crate::wire::message::Request;

/// Two nodes whose callers' writes for each other take all the room that they may, each waiting for a write to a replica on
/// the other: those get through.
pub(crate) async fn what_was_begun_gets_through_between_full_nodes(make: &impl AsyncFn(Bounds) -> Pair) {
    let bounds = Bounds { buffer_size: 4, ..USUAL };
    with_pair(make, bounds, async |pair| {
        let all = Arc::new(Barrier::new(2 * bounds.buffer_size));
        let until = pair.soon();
        for (here, there) in [(&pair.caller, &pair.callee), (&pair.callee, &pair.caller)] {
            let (all, here_again, to) = (all.clone(), Arc::downgrade(here), there.local_address());
            here.accept(service(move |call| {
                if matches!(call.body, Request::Store { .. }) {
                    return Answer::Later(Box::pin(async { answer("stored") }));
                }
                let (all, here, to) = (all.clone(), here_again.upgrade().expect("it serves"), to.clone());
                Answer::Later(Box::pin(async move {
                    all.wait().await;
                    let store = Call { body: Request::Store { items: Vec::new(), repair: false }, ..ask("") };
                    here.call(&to, store, until).await.unwrap_or_else(|error| answer(&error.to_string()))
                }))
            }));
        }
        let writes = [(&pair.caller, &pair.callee), (&pair.callee, &pair.caller)].into_iter().flat_map(|(from, to)| {
            let to = to.local_address();
            (0..bounds.buffer_size).map(move |_| from.call(&to, ask("write"), until))
        });
        for outcome in within_reason(join_all(writes)).await {
            assert_eq!(described(outcome.expect("answered")), "stored");
        }
    })
    .await;
}
