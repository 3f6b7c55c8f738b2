//! The demo's proof is worth what it detects: a store that lies must never pass.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use super::*;

/// A store in memory that answers wrongly for chosen keys.
#[derive(Default)]
struct Fake {
    kept: Mutex<BTreeMap<Vec<u8>, Bytes>>,
    lies: BTreeMap<&'static str, Lie>,
}

#[derive(Clone, Copy)]
enum Lie {
    FlipOneBit,
    CutTheEnd,
    ValueOfAnother,
    Lose,
    Fail,
}

impl Store for Fake {
    async fn put(&self, key: &[u8], value: Bytes) -> Result<()> {
        if key == b"refused" {
            return Err(Error::new(ErrorKind::Quorum, "1 of 2 acks").unknown_outcome());
        }
        self.kept.lock().expect("no panic").insert(key.to_vec(), value);
        Ok(())
    }

    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let kept = self.kept.lock().expect("no panic");
        let value = kept.get(key).cloned().expect("only stored keys are read");
        let lie = std::str::from_utf8(key).ok().and_then(|key| self.lies.get(key));
        Ok(Some(match lie {
            None => value,
            Some(Lie::FlipOneBit) => {
                let mut bytes = value.to_vec();
                *bytes.last_mut().expect("not empty") ^= 1;
                bytes.into()
            }
            Some(Lie::CutTheEnd) => value.slice(..value.len() - 1),
            Some(Lie::ValueOfAnother) => kept.values().find(|other| **other != value).cloned().expect("two values"),
            Some(Lie::Lose) => return Ok(None),
            Some(Lie::Fail) => return Err(Error::new(ErrorKind::Timeout, "get")),
        }))
    }
}

struct Dir(PathBuf);

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Files `0` to `count - 1` of different contents, and a place for them.
fn files(count: usize) -> (Dir, Vec<File>) {
    let dir = std::env::temp_dir().join(format!("dht-phases-{:x}", Env::system().random_u64()));
    std::fs::create_dir(&dir).expect("a temporary directory");
    let files = (0..count).map(|i| {
        let path = dir.join(i.to_string());
        std::fs::write(&path, format!("contents of {i}")).expect("a file");
        File { key: i.to_string().into_bytes(), path, len: 13 }
    });
    let files = files.collect();
    (Dir(dir), files)
}

async fn store_all(fake: &Fake, files: &[File]) -> (Vec<Stored>, Phase, Skipped) {
    let mut skipped = Skipped::default();
    let (env, progress) = (Env::system(), Progress::new());
    let (stored, phase) = store(fake, files, 100, &mut skipped, &env, &progress).await.expect("stored");
    (stored, phase, skipped)
}

async fn verify_all(fake: &Fake, stored: &[Stored]) -> Phase {
    verify("verify", fake, stored, &Env::system(), &Progress::new()).await
}

#[tokio::test]
async fn a_true_store_passes() {
    let (_dir, files) = files(50);
    let fake = Fake::default();
    let (stored, phase, skipped) = store_all(&fake, &files).await;
    assert_eq!((stored.len(), phase.keys, phase.latencies.len(), skipped), (50, 50, 50, Skipped::default()));
    assert!(stored.is_sorted_by(|a, b| a.key < b.key));
    let phase = verify_all(&fake, &stored).await;
    assert!(phase.is_right(), "{phase:?}");
    assert_eq!((phase.keys, phase.bytes), (50, stored.iter().map(|item| item.len).sum()));
}

#[tokio::test]
async fn each_lie_is_found() {
    for (lie, expected) in [
        (Lie::FlipOneBit, (0, 1, 0)),
        (Lie::CutTheEnd, (0, 1, 0)),
        (Lie::ValueOfAnother, (0, 1, 0)),
        (Lie::Lose, (1, 0, 0)),
        (Lie::Fail, (0, 0, 1)),
    ] {
        let (_dir, files) = files(20);
        let fake = Fake { lies: BTreeMap::from([("7", lie)]), ..Fake::default() };
        let (stored, ..) = store_all(&fake, &files).await;
        let phase = verify_all(&fake, &stored).await;
        assert_eq!((phase.missing, phase.wrong, phase.failed), expected);
        assert!(!phase.is_right() && phase.keys == 20);
        assert!(phase.described[0].starts_with("verify: 7: "), "{:?}", phase.described);
    }
}

#[tokio::test]
async fn many_faults_are_counted_and_few_described() {
    let (_dir, files) = files(9);
    let lies = ["0", "1", "2", "3", "4", "5", "6"].map(|key| (key, Lie::Lose));
    let fake = Fake { lies: BTreeMap::from(lies), ..Fake::default() };
    let (stored, ..) = store_all(&fake, &files).await;
    let phase = verify_all(&fake, &stored).await;
    assert_eq!((phase.faults(), phase.described.len()), (7, DESCRIBED_MAX));
}

#[tokio::test]
async fn files_that_changed_since_the_walk() {
    let (_dir, files) = files(4);
    std::fs::remove_file(&files[1].path).expect("removed");
    std::fs::write(&files[2].path, [b'x'; 101]).expect("grown");
    let fake = Fake::default();
    let (stored, _, skipped) = store_all(&fake, &files).await;
    assert_eq!((stored.len(), skipped.unreadable, skipped.too_large), (2, 1, 1));
    // What is compared is what was sent, whatever the file is now.
    std::fs::write(&files[0].path, "later").expect("changed");
    assert!(verify_all(&fake, &stored).await.is_right());
}

#[tokio::test]
async fn a_write_that_is_not_acknowledged_ends_it() {
    let (_dir, mut files) = files(2);
    files[1].key = b"refused".to_vec();
    let mut skipped = Skipped::default();
    let result = store(&Fake::default(), &files, 100, &mut skipped, &Env::system(), &Progress::new()).await;
    let error = result.map(|_| ()).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Quorum);
    assert!(error.context().contains("refused"), "{error}");
}

#[tokio::test]
async fn phases_add_up() {
    let (_dir, files) = files(8);
    let fake = Fake { lies: BTreeMap::from([("7", Lie::Lose), ("3", Lie::FlipOneBit)]), ..Fake::default() };
    let (stored, ..) = store_all(&fake, &files).await;
    let both = verify_all(&fake, &stored).await.and(verify_all(&fake, &stored).await);
    assert_eq!((both.passes, both.keys, both.missing, both.wrong, both.failed), (2, 16, 2, 2, 0));
    assert_eq!((both.latencies.len(), both.described.len()), (16, 4));
    assert!(both.latencies.is_sorted() && both.slowest() >= both.percentile(99));
}

#[test]
fn percentiles_are_nearest_ranks() {
    let latencies: Vec<_> = (1..=100).map(Duration::from_millis).collect();
    let phase = Phase { latencies, ..Phase::default() };
    assert_eq!(phase.percentile(50), Duration::from_millis(50));
    assert_eq!(phase.percentile(99), Duration::from_millis(99));
    let one = Phase { latencies: vec![Duration::from_millis(7)], ..Phase::default() };
    assert_eq!((one.percentile(50), one.percentile(99)), (one.latencies[0], one.latencies[0]));
    assert_eq!(Phase::default().percentile(99), Duration::ZERO);
}
