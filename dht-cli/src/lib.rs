//! The dht program.
