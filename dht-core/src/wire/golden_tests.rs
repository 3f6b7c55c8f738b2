//! Stored frames of every kind, `tests/vectors/frames/v1`: what a node of an earlier release says. Their bytes never
//! change; what is new gets a sample of its own, and `make golden` adds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::hello::{HELLO_LEN_MAX, Hello};
use super::message::{Head, Request, Response};
use super::*;
use crate::transport::{Call, Reply};

const REQUEST_ID: u64 = 42;
const LEN_MAX: usize = 1 << 20;

/// Set by `make golden`: frames that are not there yet are written, and meanings anew.
const WRITE: &str = "DHT_WRITE_GOLDEN";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/frames/v1")
}

/// A frame and what it means, as a file of the folder has it.
#[derive(PartialEq, Eq, Debug)]
struct Golden {
    frame: Vec<u8>,
    meaning: String,
}

impl Golden {
    fn text(&self) -> String {
        let mut text = String::new();
        for line in self.frame.chunks(40) {
            line.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string grows"));
            text.push('\n');
        }
        format!("{text}\n{}\n", self.meaning)
    }

    fn read(text: &str) -> Self {
        let (hex, meaning) = text.split_once("\n\n").expect("hex, an empty line, the meaning");
        let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
        Self { frame: digits.chunks(2).map(byte).collect(), meaning: meaning.trim_end().to_owned() }
    }
}

/// What this release makes of the samples, by file name.
fn made() -> BTreeMap<String, Golden> {
    let requests = samples::requests().into_iter().map(|(name, body)| {
        let call = Call { head: Head { clock: samples::clock_of(name), ..samples::request_head() }, body };
        let frame = encode_call_framed(&call, FrameKind::Request, REQUEST_ID, LEN_MAX).expect("short");
        (format!("request.{name}"), Golden { frame: frame.to_vec(), meaning: shown(&call) })
    });
    let responses = samples::responses().into_iter().map(|(name, body)| {
        let head = Head { clock: samples::clock_of(name), ..samples::response_head() };
        let reply = Reply { trace: samples::trace_of(name), ..Reply::new(head, body) };
        let frame = encode_reply_framed(&reply, FrameKind::Response, REQUEST_ID, LEN_MAX).expect("short");
        (format!("response.{name}"), Golden { frame: frame.to_vec(), meaning: shown(&reply) })
    });
    let hellos = samples::hellos().into_iter().map(|(name, hello)| {
        (name.to_owned(), Golden { frame: hello.encode().expect("short"), meaning: shown(&hello) })
    });
    requests.chain(responses).chain(hellos).collect()
}

fn shown(message: &impl Debug) -> String {
    format!("{message:#?}")
}

fn stored() -> BTreeMap<String, Golden> {
    let files = std::fs::read_dir(folder()).expect("the folder is there");
    let named = files.map(|file| {
        let path = file.expect("a readable folder").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), Golden::read(&text))
    });
    named.collect()
}

/// Decodes a stored frame, and says it again.
fn retold(name: &str, frame: &[u8]) -> Golden {
    let (front, payload) = frame.split_first_chunk::<HEADER_LEN>().expect("a header");
    let header = Header::decode(front, LEN_MAX).expect("a header of ours");
    header.check_payload(payload).expect("its checksum");
    let bytes = Bytes::copy_from_slice(payload);
    let (meaning, again) = match header.kind {
        FrameKind::Request => {
            let call = decode_call(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            let again = encode_call_framed(&call, FrameKind::Request, header.request_id, LEN_MAX).expect("short");
            (shown(&call), again.to_vec())
        }
        FrameKind::Response => {
            let reply = decode_reply(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            let again = encode_reply_framed(&reply, FrameKind::Response, header.request_id, LEN_MAX).expect("short");
            (shown(&reply), again.to_vec())
        }
        FrameKind::Hello => {
            assert!(payload.len() <= HELLO_LEN_MAX);
            let hello = Hello::decode(payload).unwrap_or_else(|error| panic!("{name}: {error}"));
            (shown(&hello), hello.encode().expect("short"))
        }
        kind => panic!("{name}: no frame of kind {kind:?} is stored"),
    };
    Golden { frame: again, meaning }
}

#[test]
fn stored_frames_mean_what_they_meant_and_are_said_the_same() {
    for (name, golden) in stored() {
        assert_eq!(retold(&name, &golden.frame), golden, "{name}");
    }
}

#[test]
fn every_sample_is_stored_and_has_not_changed() {
    let made = made();
    if std::env::var_os(WRITE).is_some_and(|wanted| wanted == "1") {
        write(&made);
    }
    let stored = stored();
    for (name, golden) in &made {
        let kept = stored.get(name).unwrap_or_else(|| panic!("{name} is not stored: run make golden"));
        assert_eq!(kept.frame, golden.frame, "{name}: a changed frame needs a new protocol version");
        assert_eq!(kept.meaning, golden.meaning, "{name}: run make golden, and look what it changes");
    }
}

/// Adds what is missing. A frame that is there is never written over, so that the test above fails for it.
fn write(made: &BTreeMap<String, Golden>) {
    std::fs::create_dir_all(folder()).expect("a folder");
    for (name, golden) in made {
        let path = folder().join(format!("{name}.txt"));
        let kept = std::fs::read_to_string(&path).map(|text| Golden::read(&text)).ok();
        if kept.as_ref().is_none_or(|kept| kept.frame == golden.frame && kept != golden) {
            std::fs::write(&path, golden.text()).expect("a writable folder");
        }
    }
}

#[test]
fn every_kind_has_a_stored_frame() {
    let stored = stored();
    let kinds = |prefix: &str| -> BTreeSet<String> {
        let named = stored.keys().filter_map(|name| name.strip_prefix(prefix));
        named.map(|name| name.split('.').next().unwrap_or(name).to_owned()).collect()
    };
    let wanted = |kinds: &[&str]| -> BTreeSet<String> { kinds.iter().map(|&kind| kind.to_owned()).collect() };
    assert_eq!(kinds("request."), wanted(Request::KINDS), "a kind without a sample in samples.rs");
    assert_eq!(kinds("response."), wanted(Response::KINDS), "a kind without a sample in samples.rs");
    for (name, body) in samples::requests() {
        assert!(name == body.kind() || name.starts_with(&format!("{}.", body.kind())), "{name} is {}", body.kind());
    }
    for (name, body) in samples::responses() {
        assert!(name == body.kind() || name.starts_with(&format!("{}.", body.kind())), "{name} is {}", body.kind());
    }
}

/// Every stored message may have gained a field that this release does not know.
#[test]
fn a_field_of_a_later_release_changes_nothing() {
    for (name, golden) in stored() {
        let (_, payload) = golden.frame.split_first_chunk::<HEADER_LEN>().expect("a header");
        for later in [&[0x78, 0x05][..], &[0x7a, 0x02, 0xff, 0xff], &[0x79, 1, 2, 3, 4, 5, 6, 7, 8]] {
            let bytes = Bytes::from([payload, later].concat());
            let meaning = match name.split('.').next() {
                Some("request") => shown(&decode_call(bytes).unwrap_or_else(|error| panic!("{name}: {error}"))),
                Some("response") => shown(&decode_reply(bytes).unwrap_or_else(|error| panic!("{name}: {error}"))),
                _ => shown(&Hello::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"))),
            };
            assert_eq!(meaning, golden.meaning, "{name}");
        }
    }
}
