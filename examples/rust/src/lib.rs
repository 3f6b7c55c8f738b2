//! What the examples share: where to listen, from the command line.

use dht_core::Config;

/// A configuration for the address and port that are the program's arguments: 127.0.0.1 and a free port without any.
///
/// # Panics
/// If the second argument is no port.
pub fn config_of_arguments() -> Config {
    let mut arguments = std::env::args().skip(1);
    let mut config = Config::default();
    if let Some(address) = arguments.next() {
        config.address = address;
    }
    if let Some(port) = arguments.next() {
        config.port = port.parse().expect("the second argument is a port");
    }
    config
}
