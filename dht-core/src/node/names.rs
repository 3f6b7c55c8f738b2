//! What the names of seeds and of this node stand for. A name service may take its time, or never answer: one name holds up
//! neither the others nor what is done with them.

use std::net::SocketAddr;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::Node;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::Address;

impl Node {
    /// The addresses that `endpoint` stands for, within half of the time until `deadline`: the other half is for asking them.
    ///
    /// # Errors
    /// `Address` if it stands for none, or the name service does not answer.
    pub(super) async fn resolve(&self, endpoint: &str, deadline: Instant) -> Result<Vec<Address>> {
        let patience = deadline.saturating_duration_since(self.env.now()) / 2;
        match timeout_at(self.env.now() + patience, self.transport.resolve(endpoint)).await {
            Ok(found) => found,
            Err(_) => {
                let context =
                    format!("cannot resolve {endpoint}: the name service has not answered within {patience:?}");
                Err(Error::new(ErrorKind::Address, context))
            }
        }
    }

    /// Those of all that resolve, in the order given.
    ///
    /// # Errors
    /// `Address` if none does.
    pub(super) async fn resolve_all(&self, endpoints: &[String], deadline: Instant) -> Result<Vec<Address>> {
        let mut addresses = Vec::new();
        let mut unresolved = None;
        for found in join_all(endpoints.iter().map(|endpoint| self.resolve(endpoint, deadline))).await {
            match found {
                Ok(found) => addresses.extend(found),
                Err(error) => unresolved = Some(error),
            }
        }
        match unresolved {
            Some(error) if addresses.is_empty() => Err(error),
            _ => Ok(addresses),
        }
    }

    /// What others dial to reach this node, and what that resolves to here, if it is a name.
    pub(super) async fn own_addresses(&self, deadline: Instant) -> Vec<Address> {
        let mut own = vec![self.address.clone()];
        if self.address.as_str().parse::<SocketAddr>().is_err() {
            // A name that does not resolve here may do so for others.
            own.extend(self.resolve(self.address.as_str(), deadline).await.unwrap_or_default());
        }
        own
    }
}
