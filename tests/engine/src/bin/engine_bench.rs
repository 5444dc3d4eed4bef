//! One engine, some queries, many rounds: prints the CPU and the wall time of each as JSON.
//! `tests/tpch/bench.py` makes the data, runs this for each engine and compares.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use neurolake_model::Catalog;
use neurolake_model::catalog::Source;
use neurolake_query::{Lake, ObjectStoreSettings, Request, Store, Stores};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

enum Engine {
    Neurolake(Lake),
    /// Plain DataFusion over delta-rs' own table provider, its snapshot loaded once.
    DeltaRs(SessionContext),
    /// Plain DataFusion over the same Parquet files.
    DataFusion(SessionContext),
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, catalog, buckets, rounds, queries @ ..] = arguments.as_slice() else {
        return Err("usage: engine_bench ENGINE CATALOG BUCKETS ROUNDS QUERY_FILE...".into());
    };
    let threads = std::thread::available_parallelism()?.get();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    runtime.block_on(run(
        engine,
        catalog,
        Path::new(buckets),
        rounds.parse()?,
        queries,
    ))
}

async fn run(
    engine: &str,
    catalog: &str,
    buckets: &Path,
    rounds: usize,
    queries: &[String],
) -> Result<()> {
    let catalog = Catalog::from_json(&std::fs::read_to_string(catalog)?)?;
    let engine = match engine {
        "neurolake" => Engine::Neurolake(neurolake(catalog, buckets)?),
        "delta-rs" => Engine::DeltaRs(delta_rs(&catalog, buckets).await?),
        "datafusion" => Engine::DataFusion(parquet(&catalog, buckets).await?),
        other => return Err(format!("no engine `{other}`").into()),
    };
    let mut results = BTreeMap::new();
    for file in queries {
        let sql = std::fs::read_to_string(file)?;
        let name = Path::new(file).file_stem().ok_or("a file has a name")?;
        // The first round opens tables and fills caches.
        let mut rows = engine.rows(&sql).await?;
        let mut measured = Vec::new();
        for _ in 0..rounds {
            let (cpu, wall) = (cpu_seconds()?, Instant::now());
            rows = engine.rows(&sql).await?;
            measured.push((cpu_seconds()? - cpu, wall.elapsed().as_secs_f64()));
        }
        results.insert(
            name.to_string_lossy().into_owned(),
            serde_json::json!({
                "rows": rows,
                "cpu": measured.iter().map(|(cpu, _)| cpu).collect::<Vec<_>>(),
                "wall": measured.iter().map(|(_, wall)| wall).collect::<Vec<_>>(),
            }),
        );
    }
    println!("{}", serde_json::to_string(&results)?);
    Ok(())
}

impl Engine {
    async fn rows(&self, sql: &str) -> Result<usize> {
        let batches = match self {
            Self::Neurolake(lake) => {
                let answer = lake.query(Request::new(sql)).await?;
                answer.stream.try_collect::<Vec<_>>().await?
            }
            Self::DeltaRs(context) | Self::DataFusion(context) => {
                context.sql(sql).await?.collect().await?
            }
        };
        Ok(batches
            .iter()
            .map(datafusion::arrow::array::RecordBatch::num_rows)
            .sum())
    }
}

fn neurolake(catalog: Catalog, buckets: &Path) -> Result<Lake> {
    let settings = ObjectStoreSettings {
        local: Some(buckets.to_owned()),
        ..ObjectStoreSettings::default()
    };
    let mut stores = Stores::default();
    stores
        .by_name
        .insert("default".into(), Store::Objects(settings));
    Ok(Lake::builder(catalog).stores(stores).build()?)
}

fn plain() -> SessionContext {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads))
}

fn folder(buckets: &Path, uri: &str) -> PathBuf {
    buckets.join(uri.trim_start_matches("s3://"))
}

fn schema(
    context: &SessionContext,
    database: &str,
) -> Result<Arc<dyn datafusion::catalog::SchemaProvider>> {
    let catalog = context
        .catalog("datafusion")
        .ok_or("the default catalog is there")?;
    if catalog.schema(database).is_none() {
        let schema = Arc::new(datafusion::catalog::MemorySchemaProvider::new());
        catalog.register_schema(database, schema)?;
    }
    Ok(catalog.schema(database).ok_or("it was just registered")?)
}

async fn delta_rs(catalog: &Catalog, buckets: &Path) -> Result<SessionContext> {
    let context = plain();
    for (database, table) in catalog.tables() {
        if let Source::Delta { uri } = &table.source {
            let url = deltalake::ensure_table_uri(folder(buckets, uri).to_string_lossy())?;
            let opened = deltalake::open_table(url).await?;
            let provider = opened.table_provider().await?;
            schema(&context, &database.name)?.register_table(table.name.clone(), provider)?;
        }
    }
    Ok(context)
}

/// Queries name the database `delta` for every engine.
async fn parquet(catalog: &Catalog, buckets: &Path) -> Result<SessionContext> {
    let context = plain();
    for (_, table) in catalog.tables() {
        let Source::Parquet { uri, .. } = &table.source else {
            continue;
        };
        let folder = format!("{}/", folder(buckets, uri).display());
        let frame = context
            .read_parquet(folder, datafusion::prelude::ParquetReadOptions::default())
            .await?;

        schema(&context, "delta")?.register_table(table.name.clone(), frame.into_view())?;
    }
    Ok(context)
}

/// Time on a CPU of all threads of this process, from Linux' own account in nanoseconds.
fn cpu_seconds() -> Result<f64> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        // A thread may end between the listing and the reading.
        let Ok(account) = std::fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let on_cpu = account
            .split(' ')
            .next()
            .ok_or("schedstat has three fields")?;
        nanoseconds += on_cpu.parse::<u64>()?;
    }
    Ok(std::time::Duration::from_nanos(nanoseconds).as_secs_f64())
}
