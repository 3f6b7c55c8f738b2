//! The shared secret, stretched, and proofs that one knows it.
//!
//! ```text
//!   key    = PBKDF2-HMAC-SHA-256(cluster_key, salt = "dht cluster key 1" cluster_name, 100,000 rounds)
//!   proof  = HMAC-SHA-256(key, "dht proof 1" role channel (length hello)...)
//! ```
//!
//! `channel` is exported from the TLS session (RFC 8446 §7.5) and differs between any two sessions. Whoever stands
//! between two nodes has one session with each, so a proof that it gets in one is worth nothing in the other; and it is
//! worth nothing later. The dialler proves first: who only dials learns nothing that a guess could be held against.

use std::num::NonZeroU32;

use aws_lc_rs::{hmac, pbkdf2};

use crate::config::Secret;

/// What guessing one secret costs, and every start of ours: some hundredths of a second.
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).expect("not 0");

/// Bytes of one proof.
const PROOF_LEN: usize = 32;

/// Bytes of all that one side sends: it has two keys at most.
pub(in crate::transport) const PROOFS_LEN_MAX: usize = 2 * PROOF_LEN;

/// A secret shorter than this is guessed sooner or later.
const ADVISED_LEN: usize = 16;

/// Who proves; so that nobody's own proof can be given back to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(in crate::transport) enum Role {
    Dialler = 1,
    Listener = 2,
}

/// The keys of one node: the present one, and in a rotation a second.
pub(super) struct ClusterKeys(Vec<hmac::Key>);

impl ClusterKeys {
    pub(super) fn new(secret: &Secret, cluster_name: &str) -> Self {
        let keys = secret.parts().map(|part| {
            if part.len() < ADVISED_LEN {
                event!(warn, "a cluster_key of less than {ADVISED_LEN} bytes can be guessed: `dht keygen` makes one");
            }
            let salt = ["dht cluster key 1", cluster_name].concat();
            let mut stretched = [0; 32];
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt.as_bytes(), part.as_bytes(), &mut stretched);
            hmac::Key::new(hmac::HMAC_SHA256, &stretched)
        });
        Self(keys.collect())
    }

    /// A proof with each key, in a row.
    pub(super) fn prove_all(&self, role: Role, channel: &[u8; 32], hellos: &[&[u8]]) -> Vec<u8> {
        self.0.iter().flat_map(|key| proof(key, role, channel, hellos).as_ref().to_vec()).collect()
    }

    /// A proof with the key at that place.
    pub(super) fn prove(&self, role: Role, channel: &[u8; 32], hellos: &[&[u8]], place: usize) -> Vec<u8> {
        self.0.get(place).map(|key| proof(key, role, channel, hellos).as_ref().to_vec()).unwrap_or_default()
    }

    /// The place of the first key of ours that one of `proofs` was made with. Compared in constant time.
    pub(super) fn find(&self, role: Role, channel: &[u8; 32], hellos: &[&[u8]], proofs: &[u8]) -> Option<usize> {
        let text = text(role, channel, hellos);
        self.0
            .iter()
            .position(|key| proofs.chunks(PROOF_LEN).take(2).any(|proof| hmac::verify(key, &text, proof).is_ok()))
    }
}

fn proof(key: &hmac::Key, role: Role, channel: &[u8; 32], hellos: &[&[u8]]) -> hmac::Tag {
    hmac::sign(key, &text(role, channel, hellos))
}

fn text(role: Role, channel: &[u8; 32], hellos: &[&[u8]]) -> Vec<u8> {
    let mut text = b"dht proof 1".to_vec();
    text.push(role as u8);
    text.extend_from_slice(channel);
    for hello in hellos {
        text.extend_from_slice(&(hello.len() as u64).to_be_bytes());
        text.extend_from_slice(hello);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: [u8; 32] = [7; 32];
    const HELLOS: &[&[u8]] = &[b"dialler", b"listener"];

    fn keys(secret: &str) -> ClusterKeys {
        ClusterKeys::new(&Secret::new(secret), "default")
    }

    #[test]
    fn a_proof_holds_for_its_key_its_channel_its_role_and_its_words() {
        let ours = keys("one");
        let proof = ours.prove_all(Role::Dialler, &CHANNEL, HELLOS);
        assert_eq!(proof.len(), PROOF_LEN);
        assert_eq!(ours.find(Role::Dialler, &CHANNEL, HELLOS, &proof), Some(0));
        assert_eq!(ours.find(Role::Listener, &CHANNEL, HELLOS, &proof), None);
        assert_eq!(ours.find(Role::Dialler, &[8; 32], HELLOS, &proof), None);
        assert_eq!(ours.find(Role::Dialler, &CHANNEL, &[b"dialle", b"rlistener"], &proof), None);
        assert_eq!(keys("One").find(Role::Dialler, &CHANNEL, HELLOS, &proof), None);
        let elsewhere = ClusterKeys::new(&Secret::new("one"), "staging");
        assert_eq!(elsewhere.find(Role::Dialler, &CHANNEL, HELLOS, &proof), None);
        for wrong in [&proof[..31], &[0; 32], &[], &[0; 64]] {
            assert_eq!(ours.find(Role::Dialler, &CHANNEL, HELLOS, wrong), None);
        }
    }

    #[test]
    fn of_two_keys_one_in_common_is_enough() {
        let both = [keys("old"), keys("old, new"), keys("new,old"), keys("new")];
        for (i, a) in both.iter().enumerate() {
            for (j, b) in both.iter().enumerate() {
                let proofs = a.prove_all(Role::Dialler, &CHANNEL, HELLOS);
                let found = b.find(Role::Dialler, &CHANNEL, HELLOS, &proofs);
                assert_eq!(found.is_none(), matches!((i, j), (0, 3) | (3, 0)), "{i} to {j}");
                // The answer is made with a key that the dialler has.
                let Some(place) = found else { continue };
                let answer = b.prove(Role::Listener, &CHANNEL, HELLOS, place);
                assert!(a.find(Role::Listener, &CHANNEL, HELLOS, &answer).is_some(), "{i} to {j}");
            }
        }
    }
}
