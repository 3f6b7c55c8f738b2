//! The files that the demo stores: a directory tree in sorted order, without what cannot be stored.
//!
//! The same tree gives the same keys in the same order everywhere; what is left out is counted, never silent.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dht_core::{Config, Error, ErrorKind, Result};

/// Parts of Python's library that are no library: what was installed, and what was compiled.
const NOT_STANDARD: &[&str] = &["site-packages", "dist-packages", "__pycache__"];

/// One file to store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct File {
    /// The path below the root, with `/` between its parts.
    pub(crate) key: Vec<u8>,
    pub(crate) path: PathBuf,
    /// Bytes, when the tree was walked.
    pub(crate) len: u64,
}

/// What was left out, in files (a link to a directory is one).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Skipped {
    pub(crate) links: u64,
    /// Over `max_value_size`.
    pub(crate) too_large: u64,
    /// Their path is over `max_key_size`.
    pub(crate) key_too_long: u64,
    /// Files and directories that may not be read, or vanished.
    pub(crate) unreadable: u64,
    /// Sockets, pipes, devices.
    pub(crate) not_regular: u64,
}

/// How much to take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) key_size: usize,
    pub(crate) value_size: usize,
}

/// The files of a tree in the order of their keys.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<File>,
    pub(crate) skipped: Skipped,
    /// The rest of the tree was not looked at: more would have been over this limit.
    pub(crate) stopped_at: Option<&'static str>,
}

/// The standard library of this machine's Python, and the names to leave out of it.
pub(crate) fn python_library() -> Result<(PathBuf, &'static [&'static str])> {
    for python in ["python3", "python"] {
        let asked = Command::new(python)
            .args(["-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"])
            .stdin(Stdio::null())
            .output();
        let Ok(answer) = asked else { continue };
        let path = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
        if answer.status.success() && path.is_dir() {
            return Ok((path, NOT_STANDARD));
        }
    }
    let text = "no Python was found whose standard library could be stored; give a tree with --files DIR";
    Err(Error::new(ErrorKind::InvalidArgument, text))
}

impl Limits {
    /// At most so much, of what a node of default configuration takes.
    pub(crate) fn new(files: u64, bytes: u64) -> Self {
        let config = Config::default();
        Self { files, bytes, key_size: config.max_key_size, value_size: config.max_value_size }
    }
}

impl Tree {
    /// Walks `root` (blocking), without the directories and files of the names in `leave_out`. Links are not followed.
    /// `InvalidArgument` if `root` itself cannot be read.
    pub(crate) fn walk(root: &Path, leave_out: &[&str], limits: Limits) -> Result<Self> {
        let unreadable = |error| {
            Error::new(ErrorKind::InvalidArgument, format!("{} cannot be read", root.display())).with_source(error)
        };
        let mut tree = Self { root: root.to_owned(), files: Vec::new(), skipped: Skipped::default(), stopped_at: None };
        // What is still to be looked at, the next one last. A stack, because a tree may be deeper than ours.
        let mut left = children(root, b"", leave_out, &mut tree.skipped).map_err(unreadable)?;
        let mut bytes = 0_u64;
        while let Some((entry, key)) = left.pop() {
            let Ok(kind) = entry.file_type() else {
                tree.skipped.unreadable += 1;
                continue;
            };
            if kind.is_dir() {
                match children(&entry.path(), &key, leave_out, &mut tree.skipped) {
                    Ok(inside) => left.extend(inside),
                    Err(_) => tree.skipped.unreadable += 1,
                }
                continue;
            }
            let Some(file) = tree.skipped.judge(&entry, kind, key, limits) else { continue };
            bytes = bytes.saturating_add(file.len);
            if bytes > limits.bytes || tree.files.len() as u64 >= limits.files {
                tree.stopped_at = Some(if bytes > limits.bytes { "--max-bytes" } else { "--max-files" });
                break;
            }
            tree.files.push(file);
        }
        Ok(tree)
    }
}

impl Skipped {
    /// The entry as a file to store, or counted as one that is not.
    fn judge(&mut self, entry: &DirEntry, kind: fs::FileType, key: Vec<u8>, limits: Limits) -> Option<File> {
        let reason = if kind.is_symlink() {
            &mut self.links
        } else if !kind.is_file() {
            &mut self.not_regular
        } else if key.len() > limits.key_size {
            &mut self.key_too_long
        } else {
            match entry.metadata() {
                Ok(metadata) if metadata.len() <= limits.value_size as u64 => {
                    return Some(File { key, path: entry.path(), len: metadata.len() });
                }
                Ok(_) => &mut self.too_large,
                Err(_) => &mut self.unreadable,
            }
        };
        *reason += 1;
        None
    }

    /// All together.
    pub(crate) fn total(&self) -> u64 {
        self.links + self.too_large + self.key_too_long + self.unreadable + self.not_regular
    }
}

/// The entries of a directory with their keys, the first one last.
fn children(
    dir: &Path,
    prefix: &[u8],
    leave_out: &[&str],
    skipped: &mut Skipped,
) -> std::io::Result<Vec<(DirEntry, Vec<u8>)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let Ok(entry) = entry else {
            skipped.unreadable += 1;
            continue;
        };
        let name = entry.file_name();
        if leave_out.iter().any(|out| name == *out) {
            continue;
        }
        let name = name.as_encoded_bytes();
        let key = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
        // Ordered as the keys inside: `a.c` goes before `a/b`, since '.' is below '/'.
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let order = if is_dir { [key.as_slice(), b"/"].concat() } else { key.clone() };
        entries.push((order, entry, key));
    }
    entries.sort_unstable_by(|a, b| b.0.cmp(&a.0));
    Ok(entries.into_iter().map(|(_, entry, key)| (entry, key)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn with(files: &[(&str, usize)]) -> Self {
            let unique = dht_core::Env::system().random_u64();
            let root = std::env::temp_dir().join(format!("dht-tree-{unique:x}"));
            fs::create_dir(&root).expect("a temporary directory");
            for (name, len) in files {
                let path = root.join(name);
                fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
                fs::write(path, vec![b'x'; *len]).expect("a file");
            }
            Self(root)
        }

        fn walk(&self, leave_out: &[&str], limits: Limits) -> Tree {
            Tree::walk(&self.0, leave_out, limits).expect("a readable tree")
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const LIMITS: Limits = Limits { files: 100, bytes: 1_000, key_size: 20, value_size: 100 };

    fn keys(tree: &Tree) -> Vec<String> {
        tree.files.iter().map(|file| String::from_utf8_lossy(&file.key).into_owned()).collect()
    }

    #[test]
    fn sorted_by_key_with_caches_left_out() {
        let dir = Dir::with(&[("b/z", 1), ("b.c", 2), ("a", 3), ("b/__pycache__/y", 4), ("b/a/k", 0)]);
        let tree = dir.walk(NOT_STANDARD, LIMITS);
        assert_eq!(keys(&tree), ["a", "b.c", "b/a/k", "b/z"]);
        assert!(tree.files.is_sorted_by(|a, b| a.key < b.key));
        assert_eq!((tree.files[0].len, tree.skipped, tree.stopped_at), (3, Skipped::default(), None));
    }

    #[test]
    fn what_cannot_be_stored_is_counted() {
        let dir = Dir::with(&[("big", 101), ("fits", 100), ("a-name-over-twenty-bytes", 1)]);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("fits", dir.0.join("link")).expect("a link");
            std::os::unix::fs::symlink("/", dir.0.join("link-to-dir")).expect("a link");
        }
        let tree = dir.walk(&[], LIMITS);
        assert_eq!(keys(&tree), ["fits"]);
        let links = if cfg!(unix) { 2 } else { 0 };
        let expected = Skipped { links, too_large: 1, key_too_long: 1, unreadable: 0, not_regular: 0 };
        assert_eq!(tree.skipped, expected);
        assert_eq!(tree.skipped.total(), links + 2);
    }

    #[test]
    fn stops_at_the_limits() {
        let dir = Dir::with(&[("a", 40), ("b", 40), ("c", 40)]);
        let tree = dir.walk(&[], Limits { files: 2, ..LIMITS });
        assert_eq!((keys(&tree).len(), tree.stopped_at), (2, Some("--max-files")));
        let tree = dir.walk(&[], Limits { bytes: 119, ..LIMITS });
        assert_eq!((keys(&tree).len(), tree.stopped_at), (2, Some("--max-bytes")));
        let tree = dir.walk(&[], Limits { files: 3, bytes: 120, ..LIMITS });
        assert_eq!((keys(&tree).len(), tree.stopped_at), (3, None));
    }

    #[test]
    fn a_root_that_is_no_directory() {
        let dir = Dir::with(&[("a", 1)]);
        for root in [dir.0.join("a"), dir.0.join("missing")] {
            let error = Tree::walk(&root, &[], LIMITS).expect_err("no directory");
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
    }
}
