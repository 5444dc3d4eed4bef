//! The queue in a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use neurolake_delta::Clock;
use neurolake_ingest::queue::{
    EmbeddedQueue, EmbeddedSettings, Key, Queue, QueueError, QueueResult, Record, Stream,
    conformance,
};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{append, keyed, read_all, record, stream, until};

pub(super) async fn open(folder: &Path) -> QueueResult<EmbeddedQueue> {
    let clock: Clock = Arc::new(SystemTime::now);
    EmbeddedQueue::open(folder, EmbeddedSettings::default(), clock).await
}

async fn open_with(folder: &Path, settings: EmbeddedSettings) -> EmbeddedQueue {
    let clock: Clock = Arc::new(SystemTime::now);
    let opened = EmbeddedQueue::open(folder, settings, clock).await;
    opened.expect("opens")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_every_promise() {
    let folder = folder();
    let number = AtomicU64::new(0);
    conformance::run(async || {
        let number = number.fetch_add(1, Ordering::Relaxed);
        // Folders that aren't there are made.
        let folder = folder.path().join(format!("deep/down/{number}"));
        open(&folder).await.expect("opens")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn survives_its_process() {
    let folder = folder();
    conformance::survives(async |before: Option<EmbeddedQueue>| {
        if let Some(before) = before {
            before.close().await;
        }
        open(folder.path()).await.expect("opens")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_queue() {
    let folder = folder();
    let queue = open(folder.path()).await.expect("opens");
    append(&queue, record("1")).await;
    let refused = open(folder.path()).await.expect_err("it is locked");
    let QueueError::Locked { folder: named } = &refused else {
        panic!("{refused}");
    };
    assert_eq!(Path::new(named), folder.path());
    append(&queue, record("2")).await;
    // Dropped, it gives the folder free by itself.
    drop(queue);
    let queue = until(async || open(folder.path()).await).await;
    assert_eq!(read_all(&queue).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_queue_says_so() {
    let folder = folder();
    let queue = Arc::new(open(folder.path()).await.expect("opens"));
    append(&*queue, record("1")).await;
    let bounds = queue.bounds(&stream()).await.expect("has bounds");
    assert_eq!(bounds.last, 1);
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.wait(&stream(), 1).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    queue.close().await;
    queue.close().await;
    let unavailable = |answer: Result<(), QueueError>| {
        assert!(
            matches!(answer, Err(QueueError::Unavailable { .. })),
            "{answer:?}"
        );
    };
    unavailable(waiting.await.expect("ends"));
    unavailable(queue.wait(&stream(), 1).await);
    unavailable(queue.append(&stream(), record("2")).await.map(|_| ()));
    unavailable(queue.read(&stream(), 0, 100).await.map(|_| ()));
    // Never that the stream is empty.
    unavailable(queue.bounds(&stream()).await.map(|_| ()));
    unavailable(queue.trim(&stream(), 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_refuses_and_trimming_makes_room() {
    let folder = folder();
    let settings = EmbeddedSettings {
        max_bytes: 100_000,
        ..EmbeddedSettings::default()
    };
    let queue = open_with(folder.path(), settings).await;
    let mut kept = 0;
    let refused = loop {
        match queue.append(&stream(), record(vec![1; 1000])).await {
            Ok(appended) => kept = appended.offset,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, QueueError::Full { .. }), "{refused}");
    assert!((80..100).contains(&kept), "{kept}");
    // The quota is for all streams; what was refused left nothing, not even its key.
    let other = Stream::new("db", "other");
    let refused = queue.append(&other, record(vec![1; 3000])).await;
    assert!(matches!(refused, Err(QueueError::Full { .. })));
    let large = Record {
        payload: Bytes::from(vec![1; 3000]),
        key: Some(Key::new("key", b"sent")),
    };
    let refused = queue.append(&stream(), large.clone()).await;
    assert!(matches!(refused, Err(QueueError::Full { .. })));
    assert_eq!(read_all(&queue).await.len() as u64, kept);

    queue.trim(&stream(), 20).await.expect("trims");
    let appended = append(&queue, large).await;
    assert_eq!((appended.offset, appended.duplicate), (kept + 1, false));
    queue.close().await;
    // It counts the same when it is opened anew.
    let stored = queue.stored_bytes().await.expect("counts");
    let queue = open(folder.path()).await.expect("opens");
    assert_eq!(queue.stored_bytes().await.expect("counts"), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_forgotten_by_age_and_number() {
    let folder = folder();
    let now = Arc::new(Mutex::new(
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
    ));
    let clock: Clock = {
        let now = Arc::clone(&now);
        Arc::new(move || *now.lock().expect("a clock"))
    };
    let pass = |hours: u64| {
        *now.lock().expect("a clock") += Duration::from_secs(hours * 60 * 60);
    };
    let settings = EmbeddedSettings {
        max_keys: 10,
        ..EmbeddedSettings::default()
    };
    let queue = EmbeddedQueue::open(folder.path(), settings, clock).await;
    let queue = queue.expect("opens");
    append(&queue, keyed("first")).await;
    pass(23);
    append(&queue, keyed("second")).await;
    assert!(
        append(&queue, keyed("first")).await.duplicate,
        "after 23 hours"
    );
    pass(2);
    // Old keys go when others come.
    append(&queue, keyed("third")).await;
    let again = append(&queue, keyed("first")).await;
    assert_eq!(
        (again.offset, again.duplicate),
        (4, false),
        "after 25 hours"
    );
    assert!(append(&queue, keyed("second")).await.duplicate);

    for number in 0..50 {
        append(&queue, keyed(&format!("many {number}"))).await;
    }
    assert!(append(&queue, keyed("many 49")).await.duplicate);
    assert!(append(&queue, keyed("many 41")).await.duplicate);
    assert!(
        !append(&queue, keyed("many 30")).await.duplicate,
        "only ten are kept"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_nobody_waits_for_harms_nobody() {
    let folder = folder();
    let queue = open(folder.path()).await.expect("opens");
    for _ in 0..50 {
        let stream = stream();
        let append = queue.append(&stream, record("given up"));
        let _ = tokio::time::timeout(Duration::ZERO, append).await;
    }
    let appended = append(&queue, record("waited for")).await;
    let all = read_all(&queue).await;
    assert_eq!(all.len() as u64, appended.offset);
    assert_eq!(all[&appended.offset], "waited for");
}

/// Bytes that a folder takes on its disk.
fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_bytes(&path),
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        };
    }
    bytes
}

/// A backlog that was trimmed gives its room back to the disk.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_gets_its_room_back() {
    let folder = folder();
    let queue = Arc::new(open(folder.path()).await.expect("opens"));
    let mut producers = JoinSet::new();
    for _ in 0..8 {
        let queue = Arc::clone(&queue);
        producers.spawn(async move {
            let mut last = 0;
            for _ in 0..30 {
                last = append(&*queue, record(vec![9; 1 << 20])).await.offset;
            }
            last
        });
    }
    let last = producers.join_all().await.into_iter().max();
    assert_eq!(last, Some(240));
    let filled = disk_bytes(folder.path());
    assert!(filled > 230 << 20, "{filled}");
    queue.trim(&stream(), 240).await.expect("trims");
    for _ in 0..300 {
        if disk_bytes(folder.path()) < 150 << 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let emptied = disk_bytes(folder.path());
    assert!(emptied < 150 << 20, "{filled} became {emptied}");
    assert_eq!(append(&*queue, record("on")).await.offset, 241);
    queue.close().await;
    let queue = open(folder.path()).await.expect("opens");
    assert_eq!(read_all(&queue).await.len(), 1);
}

/// The journal that holds these bytes, and where.
fn find(folder: &Path, wanted: &[u8]) -> (PathBuf, usize) {
    let database = folder.join("database");
    for entry in fs::read_dir(database).expect("a folder").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "jnl") {
            let content = fs::read(&path).expect("a journal");
            let mut windows = content.windows(wanted.len());
            if let Some(at) = windows.position(|window| window == wanted) {
                return (path, at);
            }
        }
    }
    panic!("no journal holds it");
}

fn change(path: &Path, at: usize, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("a journal");
    file.write_all_at(bytes, at as u64).expect("writes");
}

async fn filled(folder: &Path, records: u64) {
    let queue = open(folder).await.expect("opens");
    for number in 1..=records {
        append(
            &queue,
            keyed(&format!("the record number {number} of them")),
        )
        .await;
    }
    queue.close().await;
}

/// The records before the damage can be read, what is lost is said, and nothing is put in its
/// place until someone accepts the loss.
async fn expect_loss(folder: &Path, sound: u64, last: u64) {
    let queue = open(folder).await.expect("opens");
    let bounds = queue.bounds(&stream()).await.expect("has bounds");
    assert_eq!(
        (bounds.trimmed, bounds.last),
        (0, last),
        "what was acknowledged"
    );
    if sound > 0 {
        let entries = queue.read(&stream(), 0, 1 << 20).await.expect("reads");
        assert_eq!(entries.len() as u64, sound);
    }
    let damaged = |error: &QueueError| {
        let QueueError::Damaged { reason } = error else {
            panic!("{error}");
        };
        assert!(
            reason.contains(&format!("{} to {last}", sound + 1)),
            "{reason}"
        );
        assert!(reason.contains("db.events"), "{reason}");
    };
    damaged(&queue.read(&stream(), sound, 100).await.expect_err("lost"));
    damaged(
        &queue
            .append(&stream(), record("more"))
            .await
            .expect_err("lost"),
    );
    // Other streams aren't hindered.
    let other = Stream::new("db", "other");
    queue
        .append(&other, record("other"))
        .await
        .expect("appends");
    // The writer trims what it has taken. That accepts nothing.
    queue.trim(&stream(), sound).await.expect("trims");
    damaged(
        &queue
            .append(&stream(), record("more"))
            .await
            .expect_err("lost"),
    );
    queue.close().await;

    let queue = open(folder).await.expect("opens");
    damaged(
        &queue
            .append(&stream(), record("more"))
            .await
            .expect_err("lost"),
    );
    queue.trim(&stream(), last).await.expect("trims");
    assert_eq!(append(&queue, record("on")).await.offset, last + 1);
    queue.close().await;
    let queue = open(folder).await.expect("opens");
    assert_eq!(read_all(&queue).await[&(last + 1)], "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_in_a_record_is_noticed() {
    let folder = folder();
    filled(folder.path(), 20).await;
    let (journal, at) = find(folder.path(), b"the record number 13 of them");
    change(&journal, at + 5, b"X");
    expect_loss(folder.path(), 12, 20).await;
    let copy = journal.with_extension("damaged");
    assert!(copy.exists(), "the journal as it was is kept");
}

/// Here the database cuts the rest off without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_between_records_is_noticed() {
    let folder = folder();
    filled(folder.path(), 20).await;
    let (journal, at) = find(folder.path(), b"the record number 13 of them");
    // Before the payload: its count of bytes, the key, the lengths, and the item's tag.
    change(&journal, at - 8 - 13 - 21, b"\xff");
    expect_loss(folder.path(), 12, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_journal_is_noticed() {
    let folder = folder();
    filled(folder.path(), 5).await;
    let (journal, _) = find(folder.path(), b"the record number 1 of them");
    fs::remove_file(journal).expect("removes");
    let opened = open(folder.path()).await;
    // The form of the database was in it, too.
    assert!(
        matches!(opened, Err(QueueError::Damaged { .. })),
        "{opened:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_noticed() {
    let folder = folder();
    filled(folder.path(), 5).await;
    fs::remove_dir_all(folder.path().join("database")).expect("removes");
    expect_loss(folder.path(), 0, 5).await;
}

/// A loss of power can leave the beginning and the end of the last batch, and zeros between.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_never_acknowledged_may_be_torn() {
    let folder = folder();
    filled(folder.path(), 20).await;
    let note = folder.path().join("acknowledged/db.events");
    let before = fs::read(&note).expect("a note");
    let queue = open(folder.path()).await.expect("opens");
    append(&queue, keyed("the record that is torn")).await;
    queue.close().await;
    fs::write(&note, before).expect("writes");
    let (journal, at) = find(folder.path(), b"the record that is torn");
    change(&journal, at, &[0; 10]);

    let queue = open(folder.path()).await.expect("opens");
    assert_eq!(read_all(&queue).await.len(), 20);
    // Its key isn't remembered either.
    let appended = append(&queue, keyed("the record that is torn")).await;
    assert_eq!((appended.offset, appended.duplicate), (21, false));
    assert!(!journal.with_extension("damaged").exists());
}

/// Whatever byte is changed wherever: what is read is right, and what is missing is told.
#[tokio::test(flavor = "multi_thread")]
async fn no_damage_goes_unnoticed() {
    const RECORDS: u64 = 12;
    let folder = folder();
    filled(folder.path(), RECORDS).await;
    let (journal, first) = find(folder.path(), b"the record number 1 of them");
    let (_, last) = find(folder.path(), b"the record number 12 of them");
    let whole = folder.path().join("whole");
    fs::copy(&journal, &whole).expect("copies");
    let content = fs::read(&whole).expect("a journal");
    for at in (first - 40..last + 40).step_by(37) {
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(folder.path(), copy.path());
        let journal = copy
            .path()
            .join("database")
            .join(journal.file_name().expect("a name"));
        change(&journal, at, &[content[at] ^ 0x55]);
        let queue = match open(copy.path()).await {
            Ok(queue) => queue,
            Err(QueueError::Damaged { .. }) => continue,
            Err(other) => panic!("{other}"),
        };
        let entries = queue.read(&stream(), 0, 1 << 20).await;
        let entries = entries.unwrap_or_default();
        for (entry, number) in entries.iter().zip(1..) {
            let payload = format!("the record number {number} of them");
            assert_eq!(
                (entry.offset, &entry.payload[..]),
                (number, payload.as_bytes())
            );
        }
        let appended = queue.append(&stream(), record("more")).await;
        if entries.len() as u64 == RECORDS {
            assert_eq!(appended.expect("appends").offset, RECORDS + 1);
        } else {
            assert!(
                matches!(appended, Err(QueueError::Damaged { .. })),
                "{at}: {appended:?}"
            );
        }
        queue.close().await;
    }
}

/// Tables are written behind the appends, and damaged as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_in_a_table_is_noticed() {
    const RECORDS: u8 = 40;
    let folder = folder();
    let queue = open(folder.path()).await.expect("opens");
    for number in 1..=RECORDS {
        append(&queue, record(vec![number; 1 << 20])).await;
    }
    let tables = folder.path().join("database/keyspaces/1/tables");
    let table = until(async || {
        let tables = fs::read_dir(&tables).expect("a folder").flatten();
        let table = tables.max_by_key(|table| table.metadata().map_or(0, |table| table.len()));
        table.ok_or(QueueError::Unavailable {
            reason: "no table yet".into(),
        })
    })
    .await;
    queue.close().await;
    let middle = table.metadata().expect("a table").len() / 2;
    change(&table.path(), usize::try_from(middle).expect("fits"), b"X");

    let queue = open(folder.path()).await.expect("opens");
    let mut after = 0;
    let damaged = loop {
        match queue.read(&stream(), after, 3 << 20).await {
            Ok(entries) => {
                assert!(!entries.is_empty(), "the damage is told");
                for entry in entries {
                    after += 1;
                    assert_eq!(entry.offset, after);
                    assert!(entry.payload.iter().all(|byte| u64::from(*byte) == after));
                }
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(damaged, QueueError::Damaged { .. }), "{damaged}");
    assert!(after > 0, "what stands before it can be read");
    // What stands behind its block, too.
    let entries = queue
        .read(&stream(), after + 3, 1 << 20)
        .await
        .expect("reads");
    assert_eq!(entries[0].offset, after + 4);
}

fn copy_folder(from: &Path, to: &Path) {
    // Sparse, as journals are mostly holes.
    let copied = Command::new("cp")
        .args(["-a", "--sparse=always"])
        .arg(from.join("."))
        .arg(to)
        .status();
    assert!(copied.expect("cp").success());
}

/// A disk of its own for a test.
struct Disk(TempDir);

impl Disk {
    fn mount(bytes: u64) -> Self {
        let folder = folder();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={bytes}"),
                "neurolake-test",
            ])
            .arg(folder.path())
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "the tests of a full disk need the right to mount one: run them as root, or as \
             `unshare --user --map-root-user --mount cargo test ...`"
        );
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn free(&self) -> u64 {
        let output = Command::new("stat")
            .args(["-f", "-c", "%a %S"])
            .arg(self.path())
            .output();
        let output = String::from_utf8(output.expect("stat").stdout).expect("text");
        let mut numbers = output.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(blocks)), Some(Ok(bytes))) = (numbers.next(), numbers.next()) else {
            panic!("{output}");
        };
        blocks * bytes
    }

    /// Takes what is free, but for so much.
    fn fill(&self, but: u64) {
        let bytes = self.free().saturating_sub(but);
        fs::write(
            self.path().join("filler"),
            vec![1; usize::try_from(bytes).expect("fits")],
        )
        .expect("fills");
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("filler")).expect("removes");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_left_on_the_disk() {
    let disk = Disk::mount(200 << 20);
    let settings = EmbeddedSettings {
        min_free_bytes: 64 << 20,
        ..EmbeddedSettings::default()
    };
    let queue = open_with(&disk.path().join("queue"), settings).await;
    append(&queue, record("1")).await;
    disk.fill(63 << 20);
    let refused = queue.append(&stream(), record("2")).await;
    assert!(
        matches!(refused, Err(QueueError::Full { .. })),
        "{refused:?}"
    );
    // What makes room goes on.
    queue.trim(&stream(), 1).await.expect("trims");
    disk.empty();
    assert_eq!(append(&queue, record("2")).await.offset, 2, "at once");
}

/// A disk that is full to the last byte: nothing is half kept, nothing acknowledged is lost, and
/// it goes on when there is room again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_breaks_nothing() {
    let disk = Disk::mount(200 << 20);
    let folder = disk.path().join("queue");
    let settings = EmbeddedSettings {
        min_free_bytes: 0,
        ..EmbeddedSettings::default()
    };
    let queue = Arc::new(open_with(&folder, settings.clone()).await);
    let mut kept = Vec::new();
    for round in 0..3 {
        for number in 0..20 {
            let payload = format!("{round} {number} {}", "x".repeat(10_000));
            kept.push((append(&*queue, keyed(&payload)).await.offset, payload));
        }
        disk.fill(300 << 10);
        let mut producers = JoinSet::new();
        for producer in 0..8 {
            let queue = Arc::clone(&queue);
            producers.spawn(async move {
                let mut kept = Vec::new();
                let mut refused = None;
                for number in 0..100 {
                    let payload = format!("{round} {producer} {number} {}", "x".repeat(10_000));
                    match queue.append(&stream(), keyed(&payload)).await {
                        Ok(appended) => kept.push((appended.offset, payload)),
                        Err(error) => {
                            refused = Some((error, payload));
                            break;
                        }
                    }
                }
                (kept, refused)
            });
        }
        let mut again = Vec::new();
        for (more, refused) in producers.join_all().await {
            kept.extend(more);
            let (error, payload) = refused.expect("the disk is full");
            let QueueError::Full { .. } = error else {
                panic!("{error}");
            };
            again.push(payload);
        }
        // What was acknowledged can be read while it is full.
        assert_eq!(read_all(&*queue).await.len(), kept.len());
        disk.empty();
        for payload in again {
            let appended = until(async || queue.append(&stream(), keyed(&payload)).await).await;
            assert!(!appended.duplicate, "nothing of it was kept");
            kept.push((appended.offset, payload));
        }
    }
    queue.close().await;
    let queue = open_with(&folder, settings).await;
    let all = read_all(&queue).await;
    assert_eq!(all.len(), kept.len());
    for (offset, payload) in kept {
        assert_eq!(all[&offset], payload);
    }
}

/// The same while memory is written to tables, which happens behind the appends.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_under_load_breaks_nothing() {
    let disk = Disk::mount(150 << 20);
    let folder = disk.path().join("queue");
    let settings = EmbeddedSettings {
        min_free_bytes: 0,
        ..EmbeddedSettings::default()
    };
    let queue = Arc::new(open_with(&folder, settings.clone()).await);
    let mut kept = 0;
    let refused = loop {
        let payload = vec![kept as u8; 500_000];
        match queue.append(&stream(), record(payload)).await {
            Ok(appended) => kept = appended.offset,
            Err(error) => break error,
        }
        assert!(kept < 300, "the disk is full");
    };
    assert!(matches!(refused, QueueError::Full { .. }), "{refused}");
    queue.close().await;
    let bytes = disk.path().join("more");
    let remount = Command::new("mount")
        .args(["-o", "remount,size=600m"])
        .arg(disk.path())
        .status();
    assert!(remount.is_ok_and(|status| status.success()), "{bytes:?}");
    let queue = open_with(&folder, settings).await;
    let all = read_all(&queue).await;
    assert_eq!(all.len() as u64, kept);
    for (offset, payload) in all {
        assert!(payload.len() == 500_000 && payload.iter().all(|byte| *byte == (offset - 1) as u8));
    }
    assert_eq!(append(&queue, record("on")).await.offset, kept + 1);
}
