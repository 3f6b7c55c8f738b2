//! libFuzzer's entry: one program for all targets, since each costs a minute to build. Which one: `DHT_FUZZ_TARGET`.
#![no_main]

use std::sync::OnceLock;

use dht_fuzz::Target;

static TARGET: OnceLock<Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("DHT_FUZZ_TARGET").unwrap_or_default();
        dht_fuzz::target(&name).unwrap_or_else(|| panic!("DHT_FUZZ_TARGET = {name:?} is no target"))
    });
    target.run(data);
});
