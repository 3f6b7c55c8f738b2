//! What the names of seeds and of this node stand for. A name service may take its time, or never answer: one name holds up
//! neither the others nor what is done with them.

use std::net::SocketAddr;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::Node;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::Address;

/// What some names stand for.
#[derive(Default)]
pub(super) struct Named {
    /// In the order of the names.
    pub(super) addresses: Vec<Address>,
    /// `Unreachable`, if the name service has not told of all of them yet.
    pub(super) late: Option<Error>,
}

impl Named {
    /// Why nobody of them lets this node in: that they are this node alone is not known before all are.
    pub(super) fn why_not(&mut self, error: Error) -> Error {
        let alone = error.kind() == ErrorKind::InvalidArgument;
        self.late.take_if(|_| alone).unwrap_or(error)
    }
}

impl Node {
    /// What `endpoint` stands for.
    ///
    /// # Errors
    /// `Address` if that is nothing; `Unreachable` if the name service has not answered by `deadline`.
    pub(super) async fn resolve(&self, endpoint: &str, deadline: Instant) -> Result<Vec<Address>> {
        let found = timeout_at(deadline, self.transport.resolve(endpoint)).await;
        found.unwrap_or_else(|_| Err(unanswered(endpoint)))
    }

    /// What all of them stand for, by `deadline`. Where some are known others are not waited for beyond half of the time.
    ///
    /// # Errors
    /// If none is known: `Unreachable` if the name service has not answered for one, else `Address`.
    pub(super) async fn resolve_all(&self, endpoints: &[String], deadline: Instant) -> Result<Named> {
        let half = self.env.halfway(deadline);
        let mut found: Vec<Option<Result<Vec<Address>>>> = endpoints.iter().map(|_| None).collect();
        let ask = async |(at, endpoint)| (at, self.transport.resolve(endpoint).await);
        let mut asked: FuturesUnordered<_> = endpoints.iter().map(String::as_str).enumerate().map(ask).collect();
        loop {
            let known = found.iter().flatten().any(Result::is_ok);
            match timeout_at(if known { half } else { deadline }, asked.next()).await {
                Ok(Some((at, answer))) => found[at] = Some(answer),
                Ok(None) | Err(_) => break,
            }
        }
        let late = found.iter().position(Option::is_none).map(|at| unanswered(&endpoints[at]));
        let mut named = Named { addresses: Vec::new(), late };
        let mut unknown = None;
        for answer in found.into_iter().flatten() {
            match answer {
                Ok(addresses) => named.addresses.extend(addresses),
                Err(error) => unknown = Some(error),
            }
        }
        match named.late.clone().or(unknown) {
            Some(error) if named.addresses.is_empty() => Err(error),
            _ => Ok(named),
        }
    }

    /// What others dial to reach this node, and what that resolves to here, if it is a name that is known in half of the time.
    pub(super) async fn own_addresses(&self, deadline: Instant) -> Vec<Address> {
        let mut own = vec![self.address.clone()];
        if self.address.as_str().parse::<SocketAddr>().is_err() {
            // A name that does not resolve here may do so for others.
            let found = self.resolve(self.address.as_str(), self.env.halfway(deadline)).await;
            own.extend(found.unwrap_or_default());
        }
        own
    }
}

fn unanswered(endpoint: &str) -> Error {
    Error::new(ErrorKind::Unreachable, format!("the name service has not said in time what {endpoint} stands for"))
}
