//! A checkup: can every table be opened, does it hold what is declared, can every store be
//! reached, and does it keep the promise that Delta's commits rest on?

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use neurolake_delta::atomicity::{self, Disproof, Trial};
use neurolake_model as model;
use object_store::ObjectStore;
use tokio::time::Instant;

pub use neurolake_delta::atomicity::Proof;

/// There it is DynamoDB that keeps the promise.
const UNDER_A_LOCK: Trial = Trial {
    commits: 20,
    at_once: 1,
};

use crate::error::{Error, Kind, Result};
use crate::lake::Lake;
use crate::schema::{self, Difference};
use crate::sources::Inspection;
use crate::sources::objects;
use crate::stores::{DEFAULT, Store};

/// What to check, and how patiently.
#[derive(Debug, Clone)]
pub struct Checkup {
    /// Databases and tables. `None`: all.
    pub tables: Option<Vec<(String, String)>>,
    /// How long one table may take. Too short calls slow tables broken, too long lets one that
    /// hangs hold up the end of the checkup.
    pub deadline: Duration,
    /// Tables or buckets that are checked at the same time.
    pub concurrency: usize,
}

impl Default for Checkup {
    fn default() -> Self {
        Self {
            tables: None,
            deadline: Duration::from_secs(20),
            concurrency: 8,
        }
    }
}

/// What was found out about one table.
#[derive(Debug)]
pub struct TableReport {
    /// Name of the database.
    pub database: String,
    /// Name of the table.
    pub table: String,
    /// Stable name of the kind, such as `delta`.
    pub kind: String,
    /// How it is.
    pub outcome: Outcome,
    /// How long the check took.
    pub took: Duration,
}

/// How a table is.
#[derive(Debug)]
pub enum Outcome {
    /// It can be opened and queries give what the declaration says.
    Ok(Health),
    /// It can be opened, but queries by its declaration would fail or lie.
    Differs(Vec<Difference>),
    /// It can't be opened.
    Broken(Error),
}

/// What is known of a table that can be opened; `None` where its kind doesn't tell for little.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Newest version of a Delta table.
    pub version: Option<u64>,
    /// Rows.
    pub rows: Option<u64>,
    /// Bytes of all files.
    pub bytes: Option<u64>,
    /// Number of files.
    pub files: Option<u64>,
    /// Differences that do no harm.
    pub notes: Vec<Difference>,
}

/// What was found out about one bucket of a store, or about a store without buckets.
#[derive(Debug)]
pub struct StoreReport {
    /// Name of the store.
    pub store: String,
    /// `objects`, `postgres`, `sheets` or `copies`.
    pub kind: &'static str,
    /// Address of the bucket, such as `s3://lake`.
    pub bucket: Option<String>,
    /// How it is.
    pub outcome: StoreOutcome,
    /// How long the check took.
    pub took: Duration,
}

/// How a store is.
#[derive(Debug)]
pub enum StoreOutcome {
    /// It can be reached and read.
    Reachable,
    /// No declared table says what to ask it for, or its tables show how it is.
    NotAsked,
    /// It can't be read.
    Broken(Error),
}

impl Lake {
    /// Checks tables, as their reports come. A broken table holds up no other.
    pub fn doctor(&self, checkup: &Checkup) -> impl Stream<Item = TableReport> + Send + use<> {
        let lake = self.session();
        let tables = lake.to_check(checkup);
        let deadline = checkup.deadline;
        stream::iter(tables)
            .map(move |(database, table)| {
                let lake = lake.clone();
                async move { lake.check_table(database, table, deadline).await }
            })
            .buffer_unordered(checkup.concurrency.max(1))
    }

    fn to_check(&self, checkup: &Checkup) -> Vec<(String, String)> {
        match &checkup.tables {
            Some(tables) => tables.clone(),
            None => {
                let all = self.catalog().tables();
                all.map(|(database, table)| (database.name.clone(), table.name.clone()))
                    .collect()
            }
        }
    }

    async fn check_table(
        &self,
        database: String,
        table: String,
        deadline: Duration,
    ) -> TableReport {
        let started = Instant::now();
        let declared = self.catalog().table(&database, &table);
        let kind = declared.map_or("unknown", |table| table.source.kind());
        let checked = within(deadline, self.inspect(&database, &table)).await;
        let outcome = match checked {
            Ok(inspection) => judge(inspection),
            Err(error) => Outcome::Broken(error),
        };
        TableReport {
            kind: kind.to_owned(),
            database,
            table,
            outcome,
            took: started.elapsed(),
        }
    }

    async fn inspect(&self, database: &str, table: &str) -> Result<Inspection> {
        let source = self.scope.shared.tables.find(database, table)?;
        source.inspect(&self.scope).await
    }

    /// Checks whether each configured store can be reached and read, for each bucket that a
    /// declared table lies in.
    pub async fn check_stores(&self, checkup: &Checkup) -> Vec<StoreReport> {
        let buckets = self.buckets();
        let configured = self.stores().by_name.keys();
        let without = configured
            .filter(|name| !buckets.iter().any(|(store, _)| store == *name))
            .map(|name| (name.clone(), None));
        let buckets = buckets
            .iter()
            .cloned()
            .map(|(store, uri)| (store, Some(uri)));
        let deadline = checkup.deadline;
        let mut reports: Vec<StoreReport> =
            stream::iter(buckets.chain(without).collect::<Vec<_>>())
                .map(|(store, uri)| self.check_store(store, uri, deadline))
                .buffer_unordered(checkup.concurrency.max(1))
                .collect()
                .await;
        reports
            .sort_by(|left, right| (&left.store, &left.bucket).cmp(&(&right.store, &right.bucket)));
        reports
    }

    /// Stores with the addresses of their buckets, from the declarations.
    fn buckets(&self) -> BTreeSet<(String, String)> {
        let mut buckets = BTreeSet::new();
        for (_, table) in self.catalog().tables() {
            let (model::Source::Delta { uri } | model::Source::Parquet { uri, .. }) = &table.source
            else {
                continue;
            };
            let store = table.store.as_deref().unwrap_or(DEFAULT);
            if let Some(bucket) = bucket_of(uri) {
                buckets.insert((store.to_owned(), bucket));
            }
        }
        buckets
    }

    async fn check_store(
        &self,
        store: String,
        bucket: Option<String>,
        deadline: Duration,
    ) -> StoreReport {
        let started = Instant::now();
        let outcome = match &bucket {
            Some(bucket) => match within(deadline, self.reach(&store, bucket)).await {
                Ok(()) => StoreOutcome::Reachable,
                Err(error) => StoreOutcome::Broken(error),
            },
            None => self.check_folder(&store),
        };
        StoreReport {
            kind: match self.stores().get(&store) {
                Some(Store::Postgres(_)) => "postgres",
                Some(Store::Sheets(_)) => "sheets",
                Some(Store::Copies { .. }) => "copies",
                Some(Store::Objects(_)) | None => "objects",
            },
            store,
            bucket,
            outcome,
            took: started.elapsed(),
        }
    }

    async fn reach(&self, store: &str, bucket: &str) -> Result<()> {
        let opened = objects::open(&self.scope.shared, Some(store), bucket)?;
        let prefix = Some(&opened.path).filter(|path| !path.as_ref().is_empty());
        let first = opened.store.list(prefix).next().await.transpose();
        first.map_err(|error| opened.explain(&error))?;
        Ok(())
    }

    fn check_folder(&self, store: &str) -> StoreOutcome {
        match self.stores().get(store) {
            Some(Store::Copies { folder }) if folder.is_dir() => StoreOutcome::Reachable,
            Some(Store::Copies { folder }) => StoreOutcome::Broken(
                broken(format!(
                    "the folder `{}` of the store `{store}` doesn't exist",
                    folder.display()
                ))
                .with_hint(format!(
                    "correct `copies` of `[stores.{store}]`, or make the folder"
                )),
            ),
            _ => StoreOutcome::NotAsked,
        }
    }

    /// Proves that two writers of a Delta table never lose each other's commits: that the store
    /// creates an object only where there is none, or that its lock works. Writes below
    /// `_neurolake_doctor` in the bucket and deletes it again; a lock's table is made if there is
    /// none.
    ///
    /// # Errors
    /// The store broke the promise, or it can't be written.
    pub async fn prove_commits(&self, store: &str, bucket: &str) -> Result<Proof> {
        let uri = if bucket.contains("://") || bucket.starts_with('/') {
            bucket.to_owned()
        } else {
            format!("s3://{bucket}")
        };
        let opened = objects::open(&self.scope.shared, Some(store), &uri)?;
        let run = chrono::Utc::now().timestamp_micros();
        let mut table = opened.location();
        let folder = format!("_neurolake_doctor/{run}-{}", std::process::id());
        let root = table.url.path().trim_end_matches('/').to_owned();
        table.url.set_path(&format!("{root}/{folder}"));
        let mut trial = Trial::default();
        if let Some(lock) = opened.lock() {
            let made = lock.create_table().await;
            made.map_err(|error| {
                broken(format!(
                    "the table of `lock` of the store `{store}` can't be made"
                ))
                .with_hint(format!(
                    "check `lock` of `[stores.{store}]` and what its credentials may do"
                ))
                .with_source(opened.explain(&error))
            })?;
            trial = UNDER_A_LOCK;
        }
        match atomicity::prove(&table, trial).await {
            Ok(proof) => Ok(proof),
            Err(Disproof::Store(error)) => Err(opened.explain(&error)),
            Err(Disproof::Lies { winners, writers }) if opened.lock().is_some() => {
                Err(broken(format!(
                    "the lock of the store `{store}` keeps nothing apart: {winners} of {writers} writers of the same version in `{bucket}` were told that they made it"
                ))
                .with_hint("don't write Delta tables to it: commits would be lost; its `endpoint` may not be DynamoDB"))
            }
            Err(Disproof::Lies { winners, writers }) => Err(broken(format!(
                "the store `{store}` lies about put-if-absent: {winners} of {writers} writers of the same object in `{bucket}` were told that they made it"
            ))
            .with_hint(format!(
                "don't write Delta tables to it: commits would be lost; use a store that honours `If-None-Match: *`, or give `[stores.{store}]` a `lock`"
            ))),
        }
    }
}

/// `s3://lake` of `s3://lake/neural/spikes`; the folder itself for a path of this machine.
fn bucket_of(uri: &str) -> Option<String> {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return Some(uri.to_owned());
    };
    if scheme == "file" {
        return Some(uri.to_owned());
    }
    let bucket = rest.split('/').next().filter(|bucket| !bucket.is_empty())?;
    Some(format!("{scheme}://{bucket}"))
}

fn judge(inspection: Inspection) -> Outcome {
    if schema::is_breaking(&inspection.differences) {
        return Outcome::Differs(inspection.differences);
    }
    Outcome::Ok(Health {
        version: inspection.version,
        rows: inspection.rows,
        bytes: inspection.bytes,
        files: inspection.files,
        notes: inspection.differences,
    })
}

async fn within<T>(deadline: Duration, check: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(deadline, check).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(
            Kind::Timeout,
            format!("no answer within {} s", deadline.as_secs_f64()),
        )
        .with_hint("check that its server answers, or give the checkup more time")),
    }
}

fn broken(message: String) -> Error {
    Error::new(Kind::Broken, message)
}
