//! The tests of the simulator, in one program: each more would be another copy of everything that it runs, to be
//! compiled and linked.

mod common;
mod held;

mod batches;
mod bounded;
mod calm50;
mod chord;
mod config;
mod contract;
mod determinism;
mod disks;
mod faults;
mod histories;
mod joins;
mod leaving;
mod liars;
mod links;
mod lookup_trace;
mod many_slots;
mod many_small;
mod mass_loss;
mod network;
mod overload;
mod repair_rate;
mod resurrection;
mod scan;
mod stalls;
mod statistics;
mod streams;
mod tiny_rings;
mod trace;
mod two_of_three;
mod unions;
mod waiting;
mod world;
