//! `include/dht.h` is what the source says. `DHT_WRITE_HEADER=1` writes it anew.

use std::path::Path;

/// In the order of the header.
const FILES: [&str; 15] = [
    "src/version.rs",
    "src/status.rs",
    "src/registry.rs",
    "src/error.rs",
    "src/life.rs",
    "src/data.rs",
    "src/keys.rs",
    "src/atomic.rs",
    "src/taking.rs",
    "src/batch.rs",
    "src/scan.rs",
    "src/places.rs",
    "src/topology.rs",
    "src/backup.rs",
    "src/boundary.rs",
];

#[test]
fn the_header_is_that_of_the_source() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).expect("cbindgen.toml");
    let sources = FILES.iter().fold(cbindgen::Builder::new(), |builder, file| builder.with_src(here.join(file)));
    let bindings = sources.with_config(config).generate().expect("cbindgen reads the source");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let made = String::from_utf8(text).expect("a header in UTF-8");
    let path = here.join("../include/dht.h");
    if std::env::var_os("DHT_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made).expect("include/dht.h can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(made == kept, "include/dht.h is not that of the source: run `make header`");
}
