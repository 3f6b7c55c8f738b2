//! Names of peers, and the addresses that they stood for when the name service last answered: a peer that lives where it did is reached
//! there while the name service is gone. Who answers there is known by what it says of itself, as everywhere.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};

use crate::ring::record::Address;

/// Names remembered; of more, each is asked for as if it were new.
const NAMES_MAX: usize = 16_384;
/// Addresses remembered of each.
const ADDRESSES_MAX: usize = 16;

/// What a name stands for.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) addresses: Vec<SocketAddr>,
    /// What the name service failed with, where these are what it said last: who is not there may have moved.
    pub(super) outdated: Option<io::Error>,
}

#[derive(Debug, Default)]
pub(super) struct Names {
    last: Mutex<BTreeMap<Address, Vec<SocketAddr>>>,
}

impl Names {
    /// The addresses of `to`: what the name service says until `until`, or else what it said last.
    ///
    /// # Errors
    /// What the name service failed with; `Other` if it has not answered. Neither says anything of the peer.
    pub(super) async fn addresses(&self, to: &Address, until: Instant) -> io::Result<Found> {
        if let Ok(address) = to.as_str().parse() {
            return Ok(Found { addresses: vec![address], outdated: None });
        }
        self.looked_up(to, lookup_host(to.as_str()), until).await
    }

    /// The same with another name service.
    pub(super) async fn looked_up<A: Iterator<Item = SocketAddr>>(
        &self,
        to: &Address,
        lookup: impl Future<Output = io::Result<A>>,
        until: Instant,
    ) -> io::Result<Found> {
        let error = match timeout_at(until, lookup).await {
            Ok(Ok(found)) => {
                let addresses: Vec<SocketAddr> = found.collect();
                if !addresses.is_empty() {
                    self.remember(to, &addresses);
                }
                return Ok(Found { addresses, outdated: None });
            }
            Ok(Err(error)) => error,
            Err(_) => io::Error::other("the name service has not answered yet"),
        };
        match self.last().get(to) {
            Some(last) => Ok(Found { addresses: last.clone(), outdated: Some(error) }),
            None => Err(error),
        }
    }

    fn remember(&self, to: &Address, found: &[SocketAddr]) {
        let mut last = self.last();
        let has_room = last.len() < NAMES_MAX;
        match last.get_mut(to) {
            Some(known) if known == found => {}
            Some(known) => *known = found.iter().copied().take(ADDRESSES_MAX).collect(),
            None if has_room => {
                last.insert(to.clone(), found.iter().copied().take(ADDRESSES_MAX).collect());
            }
            None => {}
        }
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<Address, Vec<SocketAddr>>> {
        // Whole after each change.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::env::Env;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 7))
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_service_that_is_gone_leaves_what_it_said_last() {
        let (names, peer, other) = (Names::default(), Address::new("peer.test:7"), Address::new("other.test:7"));
        let env = Env::system();
        let until = || env.after(SECOND);
        let says = |found: Vec<SocketAddr>| async move { Ok(found.into_iter()) };
        let fails = || async { Err::<std::vec::IntoIter<SocketAddr>, _>(io::ErrorKind::NotFound.into()) };
        let hangs = || async {
            tokio::time::sleep(2 * SECOND).await;
            Ok(Vec::new().into_iter())
        };
        assert_eq!(names.looked_up(&peer, fails(), until()).await.expect_err("new").kind(), io::ErrorKind::NotFound);
        assert_eq!(names.looked_up(&peer, hangs(), until()).await.expect_err("new").kind(), io::ErrorKind::Other);
        for found in [vec![at(1), at(2)], vec![at(3)]] {
            let told = names.looked_up(&peer, says(found.clone()), until()).await.expect("it says so");
            assert!(told.addresses == found && told.outdated.is_none());
            // An answer without an address is none to remember.
            assert!(names.looked_up(&peer, says(Vec::new()), until()).await.expect("it says so").addresses.is_empty());
            let told = names.looked_up(&peer, fails(), until()).await.expect("it was said");
            assert_eq!(
                (told.addresses, told.outdated.map(|e| e.kind())),
                (found.clone(), Some(io::ErrorKind::NotFound))
            );
            let told = names.looked_up(&peer, hangs(), until()).await.expect("it was said");
            assert_eq!((told.addresses, told.outdated.map(|e| e.kind())), (found, Some(io::ErrorKind::Other)));
        }
        assert!(names.looked_up(&other, fails(), until()).await.is_err(), "another name");
    }

    #[tokio::test]
    async fn an_address_needs_no_name_service_and_many_names_no_more_room() {
        let names = Names::default();
        let numeric = names.addresses(&Address::new("[::1]:7"), Env::system().now()).await.expect("it is one");
        assert_eq!(numeric.addresses, ["[::1]:7".parse().expect("an address")]);
        assert!(names.last().is_empty());
        for n in 0..NAMES_MAX + 10 {
            names.remember(&Address::new(&format!("{n}.test:7")), &[at(1); 100]);
        }
        assert_eq!(names.last().len(), NAMES_MAX);
        assert!(names.last().values().all(|known| known.len() == ADDRESSES_MAX));
    }
}
