//! Commits on stores that put whatever there is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use deltalake::protocol::checkpoints::create_checkpoint;
use futures::future::join_all;
use neurolake_delta::lock::Row;
use neurolake_delta::lock::dynamodb::{DynamoDb, DynamoDbSettings};
use neurolake_delta::{
    Arbiter, Change, Clock, Commits, CompactOptions, Location, LockedCommits, Log, LogOptions, Put,
    Transaction, compact,
};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use object_store::memory::InMemory;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;

use crate::hooked::{Call, Hook, Hooked, Kind, broken};
use crate::ministack::Ministack;
use crate::tables::{
    Gate, assert_sound, at, each_once, ids, in_memory, killed_after, load, objects, rows, schema,
};

/// Rows in memory. Requests can be held and fail, as those to the store.
#[derive(Clone, Default)]
struct Rows {
    rows: Arc<Mutex<BTreeMap<(String, u64), Row>>>,
    hook: Option<Hook>,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rows")
    }
}

impl Rows {
    fn hooked(&self, hook: Hook) -> Self {
        Self {
            rows: Arc::clone(&self.rows),
            hook: Some(hook),
        }
    }

    /// The same rows, kept apart from now on.
    fn fork(&self) -> Self {
        let rows = self.rows.lock().unwrap().clone();
        Self {
            rows: Arc::new(Mutex::new(rows)),
            hook: None,
        }
    }

    /// As if a day had passed.
    fn expire(&self) {
        self.rows.lock().unwrap().retain(|_, row| !row.complete);
    }

    fn incomplete(&self) -> usize {
        self.rows
            .lock()
            .unwrap()
            .values()
            .filter(|row| !row.complete)
            .count()
    }

    async fn around<T>(
        &self,
        kind: Kind,
        request: impl FnOnce(&Self) -> T,
    ) -> object_store::Result<T> {
        let call = |is_done| Call {
            kind,
            path: "rows".into(),
            is_done,
        };
        if let Some(hook) = &self.hook {
            hook(call(false)).await?;
        }
        let done = request(self);
        if let Some(hook) = &self.hook {
            hook(call(true)).await?;
        }
        Ok(done)
    }
}

#[async_trait::async_trait]
impl Arbiter for Rows {
    async fn claim(&self, table: &str, row: &Row) -> object_store::Result<bool> {
        let key = (table.to_owned(), row.version);
        let claim = |rows: &Self| {
            let mut rows = rows.rows.lock().unwrap();
            let is_free = !rows.contains_key(&key);
            if is_free {
                rows.insert(key, row.clone());
            }
            is_free
        };
        self.around(Kind::Create, claim).await
    }

    async fn row(&self, table: &str, version: u64) -> object_store::Result<Option<Row>> {
        let key = (table.to_owned(), version);
        self.around(Kind::Get, |rows| {
            rows.rows.lock().unwrap().get(&key).cloned()
        })
        .await
    }

    async fn newest(&self, table: &str) -> object_store::Result<Option<Row>> {
        let newest = |rows: &Self| {
            let rows = rows.rows.lock().unwrap();
            let mut of_table = rows.iter().filter(|((of, _), _)| of == table);
            of_table.next_back().map(|(_, row)| row.clone())
        };
        self.around(Kind::Get, newest).await
    }

    async fn complete(
        &self,
        table: &str,
        row: &Row,
        expires: SystemTime,
    ) -> object_store::Result<()> {
        let ahead = expires.duration_since(SystemTime::now()).unwrap();
        assert!(ahead > Duration::from_hours(23));
        let key = (table.to_owned(), row.version);
        let complete = |rows: &Self| {
            if let Some(there) = rows.rows.lock().unwrap().get_mut(&key)
                && there.temporary == row.temporary
            {
                there.complete = true;
            }
        };
        self.around(Kind::Put, complete).await
    }
}

fn locked(location: &Location, arbiter: impl Arbiter + 'static) -> Location {
    locked_by(location, arbiter, Arc::new(SystemTime::now))
}

fn locked_by(location: &Location, arbiter: impl Arbiter + 'static, clock: Clock) -> Location {
    let commits = LockedCommits::new(Arc::new(arbiter), clock);
    location.clone().with_commits(Arc::new(commits))
}

fn careless(store: &Arc<InMemory>) -> Arc<dyn ObjectStore> {
    Hooked::careless(Arc::clone(store) as _)
}

async fn open(location: &Location) -> Log {
    open_by(location, &LogOptions::default()).await
}

async fn open_by(location: &Location, options: &LogOptions) -> Log {
    Log::open_or_create(location, &schema(), &[], options)
        .await
        .unwrap()
}

/// A commit of these rows, in the first step of an application.
async fn change(log: &Log, application: &str, ids: std::ops::Range<i64>) -> Change {
    let files = log.write([rows(ids)]).await.unwrap();
    let step = Transaction {
        application: application.to_owned(),
        from: None,
        to: 1,
    };
    Change::append(files, step)
}

async fn commit(log: &mut Log, application: &str, ids: std::ops::Range<i64>) {
    let change = change(log, application, ids).await;
    assert!(!log.commit(change).await.unwrap().was_there);
}

/// A table with 9 rows, in three commits.
async fn made() -> (Arc<InMemory>, Rows) {
    let (store, rows) = (Arc::new(InMemory::new()), Rows::default());
    let location = at(careless(&store));
    let mut log = open(&locked(&location, rows.clone())).await;
    for part in 0..3 {
        commit(&mut log, &format!("part {part}"), part * 3..part * 3 + 3).await;
    }
    assert_eq!(rows.incomplete(), 0);
    (store, rows)
}

/// Field note 3: `AWS_S3_LOCKING_PROVIDER=dynamodb` is gone, and without it two commits of one
/// version both succeed where the store doesn't put if absent.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_lock_a_commit_is_lost() {
    let (store, _) = made().await;
    let (gate, held) = Gate::before_commits(careless(&store));
    let writers = [100, 200].map(|first| {
        let held = at(Arc::clone(&held));
        tokio::spawn(async move {
            let table = load(&held).await;
            table.write([rows(first..first + 3)]).await.map(drop)
        })
    });
    gate.arrived(2).await;
    gate.open();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(ids(&at(store)).await.len(), 12);

    let (store, arbiter) = made().await;
    let writers = (0..8).map(|writer| {
        let location = locked(&at(careless(&store)), arbiter.clone());
        tokio::spawn(async move {
            let mut log = open(&location).await;
            for part in 0..5 {
                let first = 100 + writer * 50 + part * 10;
                commit(&mut log, &format!("{writer} {part}"), first..first + 10).await;
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let mut expected = each_once(0..9);
    expected.extend(each_once(100..500));
    let location = at(store);
    assert_eq!(ids(&location).await, expected);
    assert_sound(&location).await;
    assert_eq!(arbiter.incomplete(), 0);
    let left = objects(&location).await;
    assert!(!left.iter().any(|path| path.contains(".tmp")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_works_under_a_lock() {
    let (store, arbiter) = made().await;
    let location = locked(&at(careless(&store)), arbiter.clone());
    let options = CompactOptions {
        fan_in: 2,
        settle: Duration::ZERO,
        ..CompactOptions::default()
    };
    let (one, two) = tokio::join!(compact(&location, &options), compact(&location, &options));
    assert_eq!(one.unwrap().commits + two.unwrap().commits, 1);
    assert_eq!(ids(&location).await, each_once(0..9));
    assert_sound(&location).await;
}

fn stepwise() -> Hook {
    Arc::new(|_| {
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(())
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_others_end_the_commit_or_it_never_was() {
    let (original, kept) = made().await;
    let mut outcomes = BTreeMap::new();
    let mut polls = 1;
    loop {
        let (store, arbiter) = (Arc::new(original.fork()), kept.fork());
        let location = at(careless(&store));
        let hook = stepwise();
        let slow = at(Hooked::new(careless(&store), {
            let hook = Arc::clone(&hook);
            move |call| hook(call)
        }));
        let mut dying = open(&locked(&slow, arbiter.hooked(hook))).await;
        let change = change(&dying, "dying", 100..103).await;
        let ended = killed_after(polls, dying.commit(change)).await;
        if let Some(ended) = &ended {
            assert!(!ended.as_ref().unwrap().was_there);
        }
        // Rows that may wait for somebody to end them.
        let waiting = arbiter.incomplete();
        assert!(waiting <= 1);
        let mut log = open(&locked(&location, arbiter.clone())).await;
        commit(&mut log, "living", 200..203).await;
        assert_eq!(arbiter.incomplete(), 0);
        let found = ids(&location).await;
        let is_there = found.contains_key(&100);
        let mut expected = each_once(0..9);
        expected.extend(each_once(200..203));
        if is_there {
            expected.extend(each_once(100..103));
        }
        assert_eq!(found, expected, "after {polls} polls");
        assert!(is_there || (ended.is_none() && waiting == 0));
        assert_sound(&location).await;
        *outcomes.entry((is_there, waiting)).or_insert(0) += 1;
        if ended.is_some() {
            break;
        }
        polls += 1;
    }
    println!("{polls} moments: {outcomes:?}");
    // It died before, in the middle and after.
    assert_eq!(outcomes.len(), 3, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_nobody_writes_is_repaired_as_well() {
    let (store, arbiter) = made().await;
    let location = at(careless(&store));
    // Dies when it would copy.
    let broken_copy = at(Hooked::new(careless(&store), |call| {
        Box::pin(async move {
            match call.kind {
                Kind::Copy => std::future::pending().await,
                _ => Ok(()),
            }
        })
    }));
    let mut dying = open(&locked(&broken_copy, arbiter.clone())).await;
    let change = change(&dying, "dying", 100..103).await;
    let died = tokio::time::timeout(Duration::from_millis(300), dying.commit(change)).await;
    died.unwrap_err();
    assert_eq!((ids(&location).await.len(), arbiter.incomplete()), (9, 1));
    let commits = LockedCommits::new(Arc::new(arbiter.clone()), Arc::new(SystemTime::now));
    assert_eq!(commits.repair(&location).await.unwrap(), Some(4));
    assert_eq!((ids(&location).await.len(), arbiter.incomplete()), (12, 0));
    assert_eq!(commits.repair(&location).await.unwrap(), Some(4));
    let (nothing, _) = in_memory();
    let nothing = Location {
        url: "s3://lake/nothing".parse().unwrap(),
        ..nothing
    };
    assert_eq!(commits.repair(&nothing).await.unwrap(), None);
}

async fn commits_of(store: &InMemory) -> BTreeMap<String, Bytes> {
    let mut commits = BTreeMap::new();
    for version in 0..30 {
        let path = format!("events/_delta_log/{version:020}.json");
        if let Ok(found) = store.get(&path.as_str().into()).await {
            commits.insert(path, found.bytes().await.unwrap());
        }
    }
    commits
}

/// A holder sleeps before one of its requests, while others end its commit, make more, and, if it
/// sleeps for days, rows expire and the log is cleaned up. It never changes what is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_sleeps_past_everything_changes_nothing() {
    let (original, kept) = made().await;
    for days in [0, 1, 2] {
        let mut sleeps_at = 0;
        loop {
            let (store, arbiter) = (Arc::new(original.fork()), kept.fork());
            let location = at(careless(&store));
            let (asleep, awake) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
            let (count, is_armed) = (
                Arc::new(AtomicUsize::new(0)),
                Arc::new(AtomicBool::new(false)),
            );
            let hook: Hook = {
                let (asleep, awake) = (Arc::clone(&asleep), Arc::clone(&awake));
                let (count, is_armed) = (Arc::clone(&count), Arc::clone(&is_armed));
                Arc::new(move |call| {
                    let sleeps = is_armed.load(Ordering::SeqCst)
                        && !call.is_done
                        && count.fetch_add(1, Ordering::SeqCst) == sleeps_at;
                    let (asleep, awake) = (Arc::clone(&asleep), Arc::clone(&awake));
                    Box::pin(async move {
                        if sleeps {
                            asleep.add_permits(1);
                            awake.acquire().await.unwrap().forget();
                        }
                        Ok(())
                    })
                })
            };
            let slow = at(Hooked::new(careless(&store), {
                let hook = Arc::clone(&hook);
                move |call| hook(call)
            }));
            let slept_for = Arc::new(AtomicU64::new(0));
            let clock: Clock = {
                let days = Arc::clone(&slept_for);
                Arc::new(move || {
                    SystemTime::now()
                        + Duration::from_hours(24) * days.load(Ordering::SeqCst) as u32
                })
            };
            let slow = locked_by(&slow, arbiter.hooked(hook), Arc::clone(&clock));
            let mut sleeper = open_by(&slow, &LogOptions { clock }).await;
            let change = change(&sleeper, "sleeper", 100..103).await;
            is_armed.store(true, Ordering::SeqCst);
            let mut sleeping = tokio::spawn(async move { sleeper.commit(change).await });
            let slept = tokio::select! {
                permit = asleep.acquire() => { permit.unwrap().forget(); true }
                _ = &mut sleeping => false,
            };
            if !slept {
                break;
            }
            let mut log = open(&locked(&location, arbiter.clone())).await;
            commit(&mut log, "first", 200..203).await;
            commit(&mut log, "second", 300..303).await;
            assert_eq!(arbiter.incomplete(), 0);
            if days >= 1 {
                arbiter.expire();
            }
            if days >= 2 {
                let table = load(&location).await;
                create_checkpoint(&table, None).await.unwrap();
                for version in 0..table.version().unwrap() {
                    let path = format!("events/_delta_log/{version:020}.json");
                    store.delete(&path.as_str().into()).await.unwrap();
                }
            }
            let before = commits_of(&store).await;
            let had = ids(&location).await;
            slept_for.store(days, Ordering::SeqCst);
            awake.add_permits(1);
            let woken = sleeping.await.unwrap();
            let after = commits_of(&store).await;
            for (path, content) in &before {
                assert_eq!(
                    after.get(path),
                    Some(content),
                    "{days} days at {sleeps_at}: {path}"
                );
            }
            let found = ids(&location).await;
            assert!(
                found.values().all(|times| *times == 1),
                "{days} days at {sleeps_at}: {found:?}"
            );
            match &woken {
                Ok(_) => assert!(found.contains_key(&100), "{days} days at {sleeps_at}"),
                // Only when what would tell is gone.
                Err(error) => {
                    assert!(days == 2, "{error}");
                    assert_eq!(found, had);
                }
            }
            assert!(found.len() >= 15);
            if days < 2 {
                assert_sound(&location).await;
            }
            sleeps_at += 1;
        }
        assert!(sleeps_at > 5, "{sleeps_at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_request_may_fail_or_lose_its_answer() {
    let (original, kept) = made().await;
    for after in [false, true] {
        let mut fails_at = 0;
        loop {
            let (store, arbiter) = (Arc::new(original.fork()), kept.fork());
            let count = Arc::new(AtomicUsize::new(0));
            let is_armed = Arc::new(AtomicBool::new(false));
            let hook: Hook = {
                let (count, is_armed) = (Arc::clone(&count), Arc::clone(&is_armed));
                Arc::new(move |call| {
                    let fails = is_armed.load(Ordering::SeqCst)
                        && call.is_done == after
                        && count.fetch_add(1, Ordering::SeqCst) == fails_at;
                    Box::pin(async move { if fails { Err(broken()) } else { Ok(()) } })
                })
            };
            let shaky = at(Hooked::new(careless(&store), {
                let hook = Arc::clone(&hook);
                move |call| hook(call)
            }));
            let mut log = open(&locked(&shaky, arbiter.hooked(hook))).await;
            log.transaction("shaky").await.unwrap();
            let change = change(&log, "shaky", 100..103).await;
            is_armed.store(true, Ordering::SeqCst);
            // A single failure is survived.
            log.commit(change).await.unwrap();
            let location = at(careless(&store));
            let mut expected = each_once(0..9);
            expected.extend(each_once(100..103));
            assert_eq!(ids(&location).await, expected, "{after} {fails_at}");
            let mut log = open(&locked(&location, arbiter.clone())).await;
            commit(&mut log, "next", 200..203).await;
            assert_eq!(arbiter.incomplete(), 0);
            assert_sound(&location).await;
            if count.load(Ordering::SeqCst) <= fails_at {
                break;
            }
            fails_at += 1;
        }
        assert!(fails_at > 5, "{fails_at}");
    }
}

#[tokio::test]
async fn a_table_made_anew_within_a_day_is_refused() {
    let (store, arbiter) = made().await;
    for path in commits_of(&store).await.keys() {
        store.delete(&path.as_str().into()).await.unwrap();
    }
    let commits = LockedCommits::new(Arc::new(arbiter), Arc::new(SystemTime::now));
    let location = at(careless(&store));
    let error = commits
        .put(&location, 0, Bytes::from_static(b"{}"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("deleted"), "{error}");
    let error = commits
        .put(&location, 7, Bytes::from_static(b"{}"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no version 6"), "{error}");
    assert!(commits_of(&store).await.is_empty());
}

/// Every third request is throttled, every fifth answer is lost.
#[derive(Debug)]
struct Shaky {
    inner: HttpClient,
    count: AtomicU64,
    bodies: Arc<Mutex<Vec<String>>>,
}

#[async_trait::async_trait]
impl HttpService for Shaky {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        let body = request.body().as_bytes().cloned().unwrap_or_default();
        self.bodies
            .lock()
            .unwrap()
            .push(String::from_utf8_lossy(&body).into_owned());
        if count % 3 == 2 {
            let throttled = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}"#;
            let mut answer = HttpResponse::new(HttpResponseBody::from(Bytes::from_static(
                throttled.as_bytes(),
            )));
            *answer.status_mut() = reqwest::StatusCode::BAD_REQUEST;
            return Ok(answer);
        }
        let answer = self.inner.execute(request).await?;
        if count % 5 == 4 {
            return Err(HttpError::new(HttpErrorKind::Timeout, broken()));
        }
        Ok(answer)
    }
}

/// The real protocols, with signatures.
#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_a_table_in_s3_and_dynamodb() {
    let server = Ministack::start().await;
    let bucket = server.bucket("lake").await;
    let credentials = Arc::clone(bucket.credentials());
    let location = at(Hooked::careless(Arc::new(bucket)));
    let settings = DynamoDbSettings {
        endpoint: Some(server.endpoint.parse().unwrap()),
        ..DynamoDbSettings::new("us-east-1")
    };
    let dynamodb = || DynamoDb::new(settings.clone(), Arc::clone(&credentials)).unwrap();
    let row = Row {
        version: 0,
        temporary: "x".into(),
        complete: false,
    };
    let error = dynamodb().claim("t", &row).await.unwrap_err();
    assert!(
        error.to_string().contains("no table `delta_log`"),
        "{error}"
    );
    dynamodb().create_table().await.unwrap();
    dynamodb().create_table().await.unwrap();

    let client = ReqwestConnector::default().connect(&ClientOptions::new().with_allow_http(true));
    let bodies = Arc::default();
    let shaky = HttpClient::new(Shaky {
        inner: client.unwrap(),
        count: AtomicU64::new(0),
        bodies: Arc::clone(&bodies),
    });
    let writers = (0..4).map(|writer| {
        let arbiter = dynamodb().with_client(shaky.clone());
        let location = locked(&location, arbiter);
        tokio::spawn(async move {
            let mut log = open(&location).await;
            for part in 0..10 {
                let first = writer * 100 + part * 10;
                commit(&mut log, &format!("{writer} {part}"), first..first + 10).await;
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(ids(&location).await, each_once(0..400));
    assert_sound(&location).await;
    let table = "s3://lake/events";
    let newest = dynamodb().newest(table).await.unwrap().unwrap();
    assert_eq!((newest.version, newest.complete), (40, true));
    assert_eq!(dynamodb().newest("s3://lake/other").await.unwrap(), None);
    for version in 0..=40 {
        assert!(
            dynamodb()
                .row(table, version)
                .await
                .unwrap()
                .unwrap()
                .complete
        );
    }
    let bodies = bodies.lock().unwrap().clone();
    assert!(bodies.iter().any(|body| body.contains("expireTime")));
    let commits = LockedCommits::new(Arc::new(dynamodb()), Arc::new(SystemTime::now));
    let put = commits
        .put(&location, 40, Bytes::from_static(b"{}"))
        .await
        .unwrap();
    assert_eq!(put, Put::Taken);
}
