use super::{HashFunction, IdSpace, KeyHasher, digest, position, splitmix64};

fn space(bits: u16) -> IdSpace {
    IdSpace::new(bits).expect("1..=256")
}

fn key_id(function: HashFunction, consistent_hashing: bool, bits: u16, key: &str) -> String {
    let space = space(bits);
    space.hex(KeyHasher::new(function, consistent_hashing, space).id(key.as_bytes()))
}

fn check(function: HashFunction, vectors: &[(&str, &str)]) {
    for (text, wanted) in vectors {
        let hex: String = digest(function, text.as_bytes()).as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, *wanted, "{function:?} of {text:?}");
    }
}

// Known answers: published ones, none made with this code.

#[test]
fn fnv_known_answers() {
    // From Noll's test_fnv.c, which the IETF draft prints.
    check(
        HashFunction::Fnv1,
        &[
            ("", "cbf29ce484222325"),
            ("a", "af63bd4c8601b7be"),
            ("b", "af63bd4c8601b7bd"),
            ("foo", "d8cbc7186ba13533"),
            ("foobar", "340d8765a4dda9c2"),
        ],
    );
    check(
        HashFunction::Fnv1a,
        &[
            ("", "cbf29ce484222325"),
            ("a", "af63dc4c8601ec8c"),
            ("b", "af63df4c8601f1a5"),
            ("foo", "dcb27518fed9d577"),
            ("foobar", "85944171f73967e8"),
        ],
    );
}

#[test]
fn crc32_known_answers() {
    // "123456789" is the check value of CRC-32/ISO-HDLC; the rest as zlib has it.
    check(
        HashFunction::Crc32,
        &[("", "00000000"), ("a", "e8b7be43"), ("abc", "352441c2"), ("foobar", "9ef61f95"), ("123456789", "cbf43926")],
    );
}

#[test]
fn md5_known_answers() {
    // RFC 1321, A.5.
    check(
        HashFunction::Md5,
        &[
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ],
    );
}

#[test]
fn sha_known_answers() {
    // NIST's examples for FIPS 180-4.
    let two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    check(
        HashFunction::Sha1,
        &[
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (two_blocks, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
        ],
    );
    check(
        HashFunction::Sha256,
        &[
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (two_blocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
        ],
    );
}

#[test]
fn xxh3_128_known_answers() {
    // As `xxhsum -H2` and PHP's `hash("xxh128", …)` print them.
    check(
        HashFunction::Consistent,
        &[
            ("", "99aa06d3014798d86001c324468d497f"),
            ("a", "a96faf705af16834e6c632b61e964e1f"),
            ("abc", "06b05ab6733a618578af5f94892f3950"),
            ("123456789", "33119477ede5dcd5e9716427681d5860"),
            ("The quick brown fox jumps over the lazy dog", "ddd650205ca3e7fa24a1cc2e3a8a7651"),
        ],
    );
}

#[test]
fn splitmix64_known_answers() {
    // Vigna's splitmix64.c, seeded with 0 and with 1234567; state k of the latter is 1234567 + k * gamma.
    assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
    let outputs = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ];
    let mut state = 1_234_567_u64;
    for output in outputs {
        assert_eq!(splitmix64(state), output);
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
}

#[test]
fn weak_digests_are_mixed_only_with_consistent_hashing() {
    // The raw ones are the known answers; the mixed ones were computed from those in Python.
    for (function, key, raw, mixed) in [
        (HashFunction::Fnv1, "foobar", "340d8765a4dda9c200000000", "4506e49be51745dc00000000"),
        (HashFunction::Fnv1a, "foobar", "85944171f73967e800000000", "5df295413403de4f00000000"),
        (HashFunction::Crc32, "123456789", "cbf439260000000000000000", "45ee618f646846d000000000"),
    ] {
        assert_eq!(key_id(function, false, 96, key), raw);
        assert_eq!(key_id(function, true, 96, key), mixed);
    }
    for function in [HashFunction::Md5, HashFunction::Sha1, HashFunction::Sha256, HashFunction::Consistent] {
        assert_eq!(key_id(function, true, 256, "abc"), key_id(function, false, 256, "abc"), "{function:?}");
    }
}

#[test]
fn a_key_id_is_the_top_of_the_digest() {
    assert_eq!(key_id(HashFunction::Sha256, true, 160, "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a3");
    assert_eq!(key_id(HashFunction::Sha256, true, 7, "abc"), "5d");
    assert_eq!(key_id(HashFunction::Md5, true, 132, ""), "d41d8cd98f00b204e9800998ecf8427e0");
    for &function in HashFunction::ALL {
        for bits in [1, 8, 64, 128, 160, 256] {
            let id = KeyHasher::new(function, false, space(bits)).id(b"key");
            assert_eq!(id, space(bits).from_digest(digest(function, b"key").as_bytes()), "{function:?}, m = {bits}");
        }
    }
}

/// Chi-square of the top six bits of the ids of "key_0" to "key_63999": 63 in the mean, with deviation 11, if they
/// were random.
fn unevenness(function: HashFunction, consistent_hashing: bool) -> f64 {
    const BUCKETS: usize = 64;
    const PER_BUCKET: usize = 1000;
    let hasher = KeyHasher::new(function, consistent_hashing, space(160));
    let mut counts = [0_usize; BUCKETS];
    for i in 0..BUCKETS * PER_BUCKET {
        let id = hasher.id(format!("key_{i}").as_bytes());
        counts[usize::from(id.to_be_bytes()[12] >> 2)] += 1;
    }
    let square = |count: &usize| (*count as f64 - PER_BUCKET as f64).powi(2) / PER_BUCKET as f64;
    counts.iter().map(square).sum()
}

#[test]
fn sequential_keys_spread() {
    for &function in HashFunction::ALL {
        // Six deviations: the keys are fixed, so this is the same number in every run.
        let unevenness = unevenness(function, true);
        assert!(unevenness < 130.0, "{function:?}: {unevenness}");
    }
    // The measure does tell them apart, and the finaliser is what spreads them.
    let raw = unevenness(HashFunction::Fnv1, false);
    assert!(raw > 1000.0, "raw fnv1: {raw}");
}

#[test]
fn known_positions() {
    // Computed in Python from the layout in the documentation of `position`, with hashlib and struct.
    for (bits, cluster, node_id, index, choice, wanted) in [
        (256, "default", "node-1", 0, 0, "8d9d922f7890f608a1ff4b23c6d09a06116c647db65637a539ceb1aa2fcd312e"),
        (160, "default", "node-1", 0, 0, "8d9d922f7890f608a1ff4b23c6d09a06116c647d"),
        (160, "default", "node-1", 1, 0, "b644b8a02e596bf02ecde37131d86f80e995069f"),
        (160, "default", "node-1", 199, 0, "cb9f3f9790cdd2de61b27f153077e49a310edf30"),
        (160, "default", "node-1", 0, 1, "12e90c10dacf049c1111072d646721bc87e0d952"),
        (160, "", "", 0, 0, "dd46c3eebb1884ff3b5258c0a2fc9398e560a29e"),
        (129, "grün", "knoten-ß", u32::MAX, 255, "07e2db082e380c3bff76fe143f1c2913a"),
        (64, "ab", "c", 7, 0, "3da28087ac2b196e"),
        (64, "a", "bc", 7, 0, "25aa23d22ae73ca7"),
        (7, "default", "node-1", 0, 0, "46"),
        (1, "default", "node-1", 0, 0, "1"),
    ] {
        let id = position(space(bits), cluster, node_id, index, choice);
        assert_eq!(space(bits).hex(id), wanted, "({cluster}, {node_id}, {index}, {choice}), m = {bits}");
    }
}
