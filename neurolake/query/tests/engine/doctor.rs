//! The checkup of a whole lake.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch};
use futures::StreamExt;
use neurolake_query::doctor::{Checkup, Outcome};
use neurolake_query::{Kind, Lake};
use serde_json::json;
use tempfile::TempDir;

use crate::files::{self, Counter, catalog, column, local, stores, table, write};

fn batch(name: &str, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, array)]).unwrap()
}

async fn outcomes(lake: &Lake, checkup: &Checkup) -> Vec<(String, Outcome)> {
    let mut reports: Vec<_> = lake.doctor(checkup).collect().await;
    reports.sort_by(|left, right| left.table.cmp(&right.table));
    reports
        .into_iter()
        .map(|report| (report.table, report.outcome))
        .collect()
}

#[tokio::test]
async fn each_table_gets_its_own_report() {
    let root = TempDir::new().unwrap();
    let lake = root.path().join("lake");
    let int = batch("a", Arc::new(Int32Array::from(vec![1, 2])));
    write(&lake.join("good/x.parquet"), &int);
    write(&lake.join("good/y.parquet"), &int);
    let float = batch("a", Arc::new(Float64Array::from(vec![1.0])));
    write(&lake.join("drifted/x.parquet"), &int);
    write(&lake.join("drifted/y.parquet"), &float);
    fs::create_dir_all(lake.join("corrupt")).unwrap();
    fs::write(lake.join("corrupt/x.parquet"), "PAR1 and nothing more").unwrap();
    let columns = json!({"columns": [column("a", "int32")]});
    let at = |name: &str| table(name, &format!("s3://lake/{name}"), "none", &columns);
    let tables = [
        at("corrupt"),
        at("drifted"),
        at("empty"),
        at("good"),
        table("elsewhere", "s3://nowhere/t", "none", &columns),
        table("view", "s3://lake/missing", "none", &json!({})),
    ];
    let lake = Counter::default().lake(catalog(&tables), local(root.path()));
    let outcomes = outcomes(&lake, &Checkup::default()).await;
    let names: Vec<_> = outcomes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["corrupt", "drifted", "elsewhere", "empty", "good", "view"]
    );
    for (name, outcome) in outcomes {
        match (name.as_str(), outcome) {
            ("good", Outcome::Ok(health)) => {
                assert_eq!((health.rows, health.files), (Some(4), Some(2)));
                assert!(health.bytes.is_some_and(|bytes| bytes > 500));
                assert!(health.notes.is_empty(), "{:?}", health.notes);
            }
            ("empty", Outcome::Ok(health)) => assert_eq!(health.rows, Some(0)),
            ("drifted", Outcome::Differs(differences)) => {
                let report = neurolake_query::schema::report(&differences);
                assert_eq!(report, "breaking  `a`: declared int32, stored float64");
            }
            ("corrupt", Outcome::Broken(error)) => {
                assert!(error.message.contains("corrupt/x.parquet"), "{error}");
            }
            ("elsewhere", Outcome::Broken(error)) => {
                assert!(error.message.contains("no bucket `nowhere`"), "{error}");
            }
            ("view", Outcome::Broken(error)) => {
                assert!(error.message.contains("no Parquet file"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_table_that_hangs_holds_up_no_other() {
    let root = TempDir::new().unwrap();
    let int = batch("a", Arc::new(Int32Array::from(vec![1])));
    write(&root.path().join("lake/good/x.parquet"), &int);
    let columns = json!({"columns": [column("a", "int32")]});
    let hanging = json!({"columns": [column("a", "int32")], "store": "hanging"});
    let mut tables = vec![table("good", "s3://lake/good", "none", &columns)];
    for index in 0..3 {
        tables.push(table(&format!("h{index}"), "s3://lake/t", "none", &hanging));
    }
    // A server that accepts and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let mut settings = neurolake_query::ObjectStoreSettings::default();
    settings.options.insert("endpoint".into(), endpoint);
    settings
        .options
        .insert("skip_signature".into(), "true".into());
    let good = local(root.path()).by_name.remove("default").unwrap();
    let lake = Counter::default().lake(
        catalog(&tables),
        stores([
            ("default", good),
            ("hanging", neurolake_query::Store::Objects(settings)),
        ]),
    );
    let checkup = Checkup {
        deadline: Duration::from_millis(1500),
        ..Checkup::default()
    };
    for (name, outcome) in outcomes(&lake, &checkup).await {
        match outcome {
            Outcome::Ok(_) => assert_eq!(name, "good"),
            Outcome::Broken(error) => {
                assert_eq!(
                    error.kind,
                    Kind::Timeout,
                    "{name}: {}",
                    files::whole(&error)
                );
            }
            Outcome::Differs(differences) => panic!("{name}: {differences:?}"),
        }
    }
}

#[tokio::test]
async fn a_checkup_of_some_tables_leaves_the_others() {
    let root = TempDir::new().unwrap();
    fs::create_dir_all(root.path().join("lake")).unwrap();
    let columns = json!({"columns": [column("a", "int32")]});
    let tables = [
        table("one", "s3://lake/one", "none", &columns),
        table("two", "s3://lake/two", "none", &columns),
    ];
    let lake = Counter::default().lake(catalog(&tables), local(root.path()));
    let checkup = Checkup {
        tables: Some(vec![
            ("db".into(), "two".into()),
            ("db".into(), "twoo".into()),
        ]),
        ..Checkup::default()
    };
    let outcomes = outcomes(&lake, &checkup).await;
    assert_eq!(outcomes.len(), 2);
    assert!(matches!(&outcomes[0], (name, Outcome::Ok(_)) if name == "two"));
    let (_, Outcome::Broken(error)) = &outcomes[1] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(error.kind, Kind::NotFound);
}
