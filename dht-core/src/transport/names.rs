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
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) addresses: Vec<SocketAddr>,
    /// The name service said so just now. Else who is not there may have moved.
    pub(super) fresh: bool,
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
            return Ok(Found { addresses: vec![address], fresh: true });
        }
        self.looked_up(to, lookup_host(to.as_str()), until).await
    }

    async fn looked_up<A: Iterator<Item = SocketAddr>>(
        &self,
        to: &Address,
        lookup: impl Future<Output = io::Result<A>>,
        until: Instant,
    ) -> io::Result<Found> {
        let error = match timeout_at(until, lookup).await {
            Ok(Ok(found)) => {
                let addresses: Vec<SocketAddr> = found.collect();
                self.remember(to, &addresses);
                return Ok(Found { addresses, fresh: true });
            }
            Ok(Err(error)) => error,
            Err(_) => io::Error::other("the name service has not answered yet"),
        };
        self.last().get(to).map(|last| Found { addresses: last.clone(), fresh: false }).ok_or(error)
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
            let told = |fresh| Found { addresses: found.clone(), fresh };
            assert_eq!(names.looked_up(&peer, says(found.clone()), until()).await.expect("it says so"), told(true));
            assert_eq!(names.looked_up(&peer, fails(), until()).await.expect("it was said"), told(false));
            assert_eq!(names.looked_up(&peer, hangs(), until()).await.expect("it was said"), told(false));
        }
        assert!(names.looked_up(&other, fails(), until()).await.is_err(), "another name");
    }

    #[tokio::test]
    async fn an_address_needs_no_name_service_and_many_names_no_more_room() {
        let names = Names::default();
        let numeric = names.addresses(&Address::new("[::1]:7"), Env::system().now()).await.expect("it is one");
        assert_eq!(numeric, Found { addresses: vec!["[::1]:7".parse().expect("an address")], fresh: true });
        assert!(names.last().is_empty());
        for n in 0..NAMES_MAX + 10 {
            names.remember(&Address::new(&format!("{n}.test:7")), &[at(1); 100]);
        }
        assert_eq!(names.last().len(), NAMES_MAX);
        assert!(names.last().values().all(|known| known.len() == ADDRESSES_MAX));
    }
}
