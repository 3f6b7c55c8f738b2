//! The simulated transport keeps the same contract as the real ones.

use std::cell::Cell;

use dht_core::transport::contract::{self, Bounds, Pair};
use dht_sim::{NetworkConfig, Setup, run};

#[test]
fn the_transport_contract_holds() {
    let run = run(Setup::new("contract", 1, NetworkConfig::default()), |world| async move {
        let addresses = Cell::new(0);
        let fresh = || world.address(addresses.replace(addresses.get() + 1));
        contract::all(&async |bounds: Bounds| {
            world.network().configure(|config| {
                config.pair_requests_max = bounds.buffer_size;
                config.message_len_max = bounds.frame_max;
            });
            let (caller, callee) = (world.network().endpoint(fresh()), world.network().endpoint(fresh()));
            Pair { caller, callee, nobody: fresh(), env: world.env().clone() }
        })
        .await;
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}
