//! The tests of the public interface, in one program: each more would be another copy of everything that it runs, to be
//! compiled and linked. But for those that look at the whole
//! process.

mod cluster;
mod common;

mod atomic;
mod config_acts;
mod datagrams;
mod disk;
mod errors;
mod failures;
mod frames;
mod large_values;
mod lifecycle;
mod lookup_trace;
mod metrics;
mod operations;
mod scan;
mod security;
mod snapshot;
mod statistics;
mod topology;
mod trace;
mod vectors;
