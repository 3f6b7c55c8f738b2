//! What every target begins with: the stored frames (`tests/vectors/frames`), and the files of `corpus/<target>`, which
//! are texts of every form and whatever was found before.

use std::path::{Path, PathBuf};

use dht_core::wire::HEADER_LEN;

use crate::{Target, datagrams, node, secured};

/// Inputs are at most this long.
pub const LEN_MAX: usize = 16 << 10;

/// The seeds of a target, in the same order every time.
///
/// # Panics
/// If the repository's files are not there.
#[must_use]
pub fn of(target: &Target) -> Vec<Vec<u8>> {
    let frames = stored_frames();
    let payloads = |prefix: &'static str| {
        frames.iter().filter(move |(name, _)| name.starts_with(prefix)).map(|(_, frame)| frame[HEADER_LEN..].to_vec())
    };
    let whole = || frames.iter().map(|(_, frame)| frame);
    let made: Vec<Vec<u8>> = match target.name {
        // All of them in one stream, and each; one byte at a time, and all at once.
        "frame" => {
            let stream: Vec<u8> = whole().flatten().copied().collect();
            let one_each = whole().map(|frame| [&[7], &frame[..]].concat());
            [[&[255], &stream[..]].concat(), [&[1], &stream[..]].concat()].into_iter().chain(one_each).collect()
        }
        "hello" => payloads("hello").collect(),
        "call" => payloads("request.").collect(),
        "reply" => payloads("response.").collect(),
        "node" => node::seeds(&frames),
        "secured" => secured::seeds(&frames),
        "datagram" => datagrams::seeds_of_one(&frames),
        "datagrams" => datagrams::seeds(&frames),
        _ => Vec::new(),
    };
    made.into_iter().chain(files(&corpus(target))).collect()
}

/// Where the files of a target are.
#[must_use]
pub fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a readable folder").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a readable file")).collect()
}

/// Name and bytes.
fn stored_frames() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/frames/v1");
    let files = std::fs::read_dir(folder).expect("the stored frames are there");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a readable folder").path()).collect();
    paths.sort();
    let frame = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a readable file");
        let digits: String = text.lines().take_while(|line| !line.is_empty()).collect();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, (0..digits.len()).step_by(2).map(byte).collect())
    };
    paths.iter().map(frame).collect()
}
