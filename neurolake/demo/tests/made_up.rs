//! The demo lake's data, read through the engine: every example finds rows, every key a partner.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fmt::Write as _;
use std::path::Path;

use neurolake::datafusion::arrow::array::{Array, AsArray};
use neurolake::datafusion::arrow::datatypes::Int64Type;
use neurolake::made_up::{Options, stores, write};
use neurolake::model::{Catalog, Source, Table, Type, Value};
use neurolake::{Lake, lake_builder};
use neurolake_demo as _;
use tempfile::TempDir;

const OPTIONS: Options = Options {
    size: 1.0,
    seed: 1,
    force: false,
};

fn catalog() -> Catalog {
    Catalog::from_json(include_str!("../../../site/catalog.json")).unwrap()
}

async fn lake(folder: &Path) -> Lake {
    let catalog = catalog();
    write(&catalog, folder, &OPTIONS, &|_| {}).await.unwrap();
    let stores = stores(&catalog, folder);
    lake_builder(catalog).stores(stores).build().unwrap().into()
}

/// The one number that a query gives, and the query in a failure.
async fn number(lake: &Lake, sql: &str) -> i64 {
    let batches = async { lake.sql(sql).await?.collect().await.map_err(Into::into) };
    let batches = batches
        .await
        .unwrap_or_else(|error: neurolake::Error| panic!("{sql}: {error:?}"));
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

/// A value as SQL; `None` for null.
fn literal(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(text) | Value::Decimal(text) => text.clone(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Date(text) => format!("date '{text}'"),
        Value::Timestamp(text) => format!("timestamp '{text}'"),
        Value::Binary(hex) => format!("x'{hex}'"),
        Value::List(items) => {
            let items: Vec<_> = items.iter().filter_map(literal).collect();
            format!("[{}]", items.join(", "))
        }
    })
}

fn example(table: &Table) -> String {
    let mut filter = String::from("true");
    let argument = |name: &str| match &table.source {
        Source::Function { arguments } => arguments.iter().find(|known| known.name == name),
        _ => None,
    };
    for (name, value) in &table.example {
        let several = argument(name).is_some_and(|a| matches!(a.data_type, Type::List { .. }));
        match (value, literal(value)) {
            (Value::List(items), _) if several => {
                let items: Vec<_> = items.iter().filter_map(literal).collect();
                let _ = write!(filter, r#" and "{name}" in ({})"#, items.join(", "));
            }
            (_, Some(value)) => {
                let _ = write!(filter, r#" and "{name}" = {value}"#);
            }
            (_, None) => {
                let _ = write!(filter, r#" and "{name}" is null"#);
            }
        }
    }
    filter
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_finds_rows() {
    let folder = TempDir::new().unwrap();
    let lake = lake(folder.path()).await;
    let mut empty = Vec::new();
    for (database, table) in catalog().tables() {
        let name = format!(r#"{}."{}""#, database.name, table.name);
        let filter = example(table);
        let sql = format!("select count(*) from {name} where {filter}");
        if number(&lake, &sql).await == 0 {
            empty.push(sql);
        }
        let partitioned = !matches!(table.source, Source::Function { .. });
        if partitioned && !table.unique_by.is_empty() {
            let keys = table.unique_by.join(", ");
            let sql = format!(
                "select count(*) from (select 1 from {name} group by {keys} having count(*) > 1)"
            );
            assert_eq!(number(&lake, &sql).await, 0, "{name} has {keys} twice");
        }
    }
    assert!(empty.is_empty(), "{empty:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_a_partner() {
    let folder = TempDir::new().unwrap();
    let lake = lake(folder.path()).await;
    let keys = [
        (
            "neural.normalized_band_power",
            "session_id, implant_id, session_date",
            "neural.sessions",
        ),
        (
            "neural.spikes",
            "session_id, implant_id, session_date",
            "neural.sessions",
        ),
        (
            "neural.units",
            "session_id, implant_id, session_date",
            "neural.sessions",
        ),
        (
            "behavior.cursor_events",
            "session_id, implant_id, session_date",
            "neural.sessions",
        ),
        (
            "behavior.trials",
            "session_id, implant_id, session_date",
            "neural.sessions",
        ),
        (
            "behavior.cursor_events",
            "trial_id, session_id",
            "behavior.trials",
        ),
        (
            "behavior.trials",
            "decoder_id, implant_id",
            "training.decoders",
        ),
        (
            "neural.sessions",
            "decoder_id, implant_id",
            "training.decoders",
        ),
        (
            "neural.impedance_scans",
            "implant_id, channel",
            "neural.electrodes",
        ),
        (
            "imaging.insertion_images",
            "surgery_id, thread",
            "surgery.thread_insertions",
        ),
        (
            "surgery.thread_insertions",
            "surgery_id",
            "surgery.surgeries",
        ),
        ("imaging.annotations", "slide_id", "imaging.slides"),
    ];
    for (table, columns, target) in keys {
        let columns: Vec<&str> = columns.split(", ").collect();
        let joined = |glue: &str, write: &dyn Fn(&str) -> String| {
            columns
                .iter()
                .map(|name| write(name))
                .collect::<Vec<_>>()
                .join(glue)
        };
        let given = joined(" and ", &|name| format!("x.{name} is not null"));
        let equal = joined(" and ", &|name| format!("x.{name} = y.{name}"));
        let sql = format!(
            "select count(*) from {table} x left anti join {target} y on {equal} where {given}"
        );
        assert_eq!(number(&lake, &sql).await, 0, "{sql}");
    }
    let outside = "select count(*) from neural.normalized_band_power n
        join neural.sessions s on s.session_id = n.session_id
        where n.ts < s.started_at or n.ts > s.ended_at";
    assert_eq!(number(&lake, outside).await, 0);
    let short = "select count(*) from neural.normalized_band_power
        where array_length(band_power) <> 1024";
    assert_eq!(number(&lake, short).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_are_there_have_the_size_that_the_table_says() {
    let folder = TempDir::new().unwrap();
    let lake = lake(folder.path()).await;
    let mut found = 0;
    for (table, column) in [
        ("imaging.insertion_images", "image"),
        ("imaging.slides", "image"),
        ("manufacturing.leak_tests", "certificate"),
        ("neural.ecog", "recording"),
        ("training.decoders", "weights"),
    ] {
        let sql = format!("select {column} from {table} where {column} is not null");
        let batches = lake.sql(&sql).await.unwrap().collect().await.unwrap();
        for batch in batches {
            let blobs = batch.column(0).as_struct();
            let uris = neurolake::datafusion::arrow::compute::cast(
                blobs.column(0),
                &neurolake::datafusion::arrow::datatypes::DataType::Utf8,
            );
            let (uris, sizes) = (uris.unwrap(), blobs.column(2).as_primitive::<Int64Type>());
            for row in 0..blobs.len() {
                let uri = uris.as_string::<i32>().value(row);
                let path = uri.strip_prefix("s3://").unwrap();
                let path = folder.path().join("buckets").join(path);
                if let Ok(file) = path.metadata() {
                    assert_eq!(
                        i64::try_from(file.len()).unwrap(),
                        sizes.value(row),
                        "{uri}"
                    );
                    found += 1;
                }
            }
        }
    }
    assert!(found > 80, "{found} files");
}
