//! Stores: several at once, wrong ones, and a real server that speaks S3.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use neurolake_delta::{Change, Log, LogOptions, Transaction};
use neurolake_query::doctor::{Checkup, Proof, StoreOutcome};
use neurolake_query::{Kind, Lake, LockSettings, ObjectStoreSettings, Store, Stores};
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::json;
use tempfile::TempDir;

use crate::files::{self, Counter, catalog, column, error, stores, table, text, whole, write};
use crate::ministack::Ministack;

const CANARY: &str = "canary-5f1d0c-secret";

fn one(value: i32) -> RecordBatch {
    let values: ArrayRef = Arc::new(Int32Array::from(vec![value]));
    RecordBatch::try_from_iter([("a", values)]).unwrap()
}

fn columns() -> serde_json::Value {
    json!({"columns": [column("a", "int32")]})
}

fn lake(tables: &[serde_json::Value], stores: Stores) -> Lake {
    Counter::default().lake(catalog(tables), stores)
}

fn in_store(name: &str, store: &str, uri: &str) -> serde_json::Value {
    table(
        name,
        uri,
        "none",
        &json!({"columns": [column("a", "int32")], "store": store}),
    )
}

fn folder(root: &Path) -> Store {
    Store::Objects(ObjectStoreSettings {
        local: Some(root.to_owned()),
        ..ObjectStoreSettings::default()
    })
}

fn s3(endpoint: &str, key: &str, secret: &str) -> ObjectStoreSettings {
    let options = [("endpoint", endpoint), ("region", "us-east-1")];
    let secrets = [("access_key_id", key), ("secret_access_key", secret)];
    ObjectStoreSettings {
        options: options
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
        secrets: secrets
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
        ..ObjectStoreSettings::default()
    }
}

#[tokio::test]
async fn several_stores_hold_buckets_of_the_same_name() {
    let (left, right) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    write(&left.path().join("lake/t/x.parquet"), &one(1));
    write(&right.path().join("lake/t/x.parquet"), &one(2));
    write(&right.path().join("plain/x.parquet"), &one(3));
    let plain = right.path().join("plain");
    let tables = [
        in_store("l", "le_ft", "s3://lake/t"),
        in_store("r", "le-ft", "s3://lake/t/"),
        table("p", plain.to_str().unwrap(), "none", &columns()),
        table(
            "f",
            &format!("file://{}", plain.display()),
            "none",
            &columns(),
        ),
    ];
    let stores = stores([
        ("le_ft", folder(left.path())),
        ("le-ft", folder(right.path())),
    ]);
    let lake = lake(&tables, stores);
    let sql = "select l.a, r.a, p.a, f.a from db.l, db.r, db.p, db.f";
    assert_eq!(text(&lake, sql).await, "1,2,3,3");
}

#[tokio::test]
async fn folders_with_odd_names_are_found() {
    let root = TempDir::new().unwrap();
    for name in ["a b", "größe", "100%", "x#y"] {
        write(
            &root.path().join("lake").join(name).join("x.parquet"),
            &one(1),
        );
    }
    let tables = [
        in_store("t1", "s", "s3://lake/a b"),
        in_store("t2", "s", "s3://lake/größe"),
        in_store("t3", "s", "s3://lake/100%25"),
        in_store("t4", "s", "s3://lake/x%23y"),
    ];
    let lake = lake(&tables, stores([("s", folder(root.path()))]));
    for table in ["t1", "t2", "t3", "t4"] {
        assert_eq!(
            text(&lake, &format!("select a from db.{table}")).await,
            "1",
            "{table}"
        );
    }
}

#[tokio::test]
async fn a_wrong_store_says_what_to_write() {
    let root = TempDir::new().unwrap();
    let tables = [
        in_store("unknown", "imagin", "s3://lake/t"),
        in_store("no_bucket", "imaging", "s3://lake/t"),
        in_store("scheme", "s3", "ftp://lake/t"),
        in_store("typo", "typo", "s3://lake/t"),
        in_store("copies", "copies", "s3://lake/t"),
    ];
    let mut typo = s3("http://127.0.0.1:1", "k", "s");
    typo.options.insert("endpiont".into(), "x".into());
    let copies = Store::Copies {
        folder: root.path().to_owned(),
    };
    let lake = lake(
        &tables,
        stores([
            ("imaging", folder(root.path())),
            ("s3", Store::Objects(s3("http://127.0.0.1:1", "k", "s"))),
            ("typo", Store::Objects(typo)),
            ("copies", copies),
        ]),
    );
    let cases = [
        (
            "unknown",
            "the store `imagin` is not configured",
            "`imaging`",
        ),
        (
            "no_bucket",
            "there is no bucket `lake` in the store `imaging`",
            "[stores.imaging]",
        ),
        ("scheme", "`ftp://` can't be read", "s3://"),
        (
            "typo",
            "`endpiont` of the store `typo` is not a setting of an S3 store",
            "[stores.typo]",
        ),
        (
            "copies",
            "the store `copies` is a folder of copies, it holds no files",
            "[stores.copies]",
        ),
    ];
    for (table, message, hint) in cases {
        let error = error(&lake, &format!("select * from db.{table}")).await;
        assert_eq!(error.kind, Kind::Broken, "{error}");
        assert!(error.message.contains(message), "{error}");
        assert!(
            error
                .hint
                .as_deref()
                .is_some_and(|text| text.contains(hint)),
            "{:?}",
            error.hint
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let lake = lake(
        &[in_store("t", "s", "s3://lake/t")],
        stores([(
            "s",
            Store::Objects(s3("http://127.0.0.1:1", "some-key", CANARY)),
        )]),
    );
    let error = error(&lake, "select * from db.t").await;
    assert_eq!(
        error.message,
        "the store `s` can't be reached at http://127.0.0.1:1"
    );
    assert!(!whole(&error).contains(CANARY));
}

#[test]
fn settings_show_no_secret() {
    let settings = s3("http://127.0.0.1:1", CANARY, CANARY).with_environment([
        ("AWS_SECRET_ACCESS_KEY".into(), CANARY.into()),
        ("HOME".into(), "/home/me".into()),
    ]);
    assert_eq!(settings.ambient.len(), 1);
    assert!(!settings.is_direct());
    let lake = lake(&[], stores([("s", Store::Objects(settings))]));
    let shown = format!("{:?} {lake:?}", lake.stores());
    assert!(!shown.contains(CANARY), "{shown}");
}

#[tokio::test]
async fn copies_stand_for_databases_and_sheets() {
    let root = TempDir::new().unwrap();
    write(&root.path().join("db.animals.parquet"), &one(1));
    write(&root.path().join("db.wrong.parquet"), &one(1));
    let relation = |name: &str, data_type: &str| {
        json!({
            "name": name,
            "source": {"kind": "postgres", "relation": format!("public.{name}")},
            "store": "hospital",
            "columns": [column("a", data_type)],
            "rust_path": "x",
            "location": {"file": "src/lib.rs", "line": 1},
        })
    };
    let sheet = json!({
        "name": "stock",
        "source": {"kind": "sheet", "spreadsheet": "abc", "header_row": 1},
        "store": "hospital",
        "columns": [column("a", "int64")],
        "rust_path": "x",
        "location": {"file": "src/lib.rs", "line": 1},
    });
    let copies = Store::Copies {
        folder: root.path().to_owned(),
    };
    let tables = [
        relation("animals", "int32"),
        relation("wrong", "date"),
        sheet,
    ];
    let lake = lake(&tables, stores([("hospital", copies)]));
    assert_eq!(text(&lake, "select a from db.animals").await, "1");
    let wrong = error(&lake, "select a from db.wrong").await;
    assert!(
        wrong.message.contains("`a`: declared date, stored int32"),
        "{wrong}"
    );
    let missing = error(&lake, "select a from db.stock").await;
    assert!(
        missing.message.contains("there is no copy of db.stock at"),
        "{missing}"
    );
    assert!(missing.message.contains("db.stock.parquet"), "{missing}");
    write(&root.path().join("db.stock.parquet"), &one(7));
    assert_eq!(text(&lake.session(), "select a from db.stock").await, "7");
    let version = error(&lake, "select a from db.\"stock@1\"").await;
    assert_eq!(version.kind, Kind::BadRequest);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_read_from_a_real_server() {
    let server = Ministack::start().await;
    let bucket = server.bucket("lake").await;
    let file = TempDir::new().unwrap();
    let path = file.path().join("x.parquet");
    for n in [1, 2] {
        write(&path, &one(n * 10));
        let key = format!("t/n={n}/x.parquet");
        bucket
            .put(&key.as_str().into(), std::fs::read(&path).unwrap().into())
            .await
            .unwrap();
    }
    let partitioned = json!({
        "columns": [column("a", "int32")],
        "partition_by": [{"name": "n", "type": "int32"}],
        "store": "good",
    });
    let tables = [
        table("t", "s3://lake/t", "hive", &partitioned),
        in_store("ambient", "ambient", "s3://lake/t/n=1"),
        in_store("no_bucket", "good", "s3://nowhere/t"),
        in_store("no_rights", "wrong", "s3://lake/t"),
    ];
    let ambient = ObjectStoreSettings::default().with_environment([
        ("AWS_ENDPOINT_URL".into(), server.endpoint.clone()),
        ("AWS_ALLOW_HTTP".into(), "true".into()),
        ("AWS_ACCESS_KEY_ID".into(), "test".into()),
        ("AWS_SECRET_ACCESS_KEY".into(), "test".into()),
        ("AWS_UNHEARD_OF".into(), "x".into()),
    ]);
    let counter = Counter::default();
    let lake = counter.lake(
        catalog(&tables),
        stores([
            ("good", Store::Objects(s3(&server.endpoint, "test", "test"))),
            (
                "wrong",
                Store::Objects(s3(&server.endpoint, "AKIAIOSFODNN7EXAMPLE", CANARY)),
            ),
            ("ambient", Store::Objects(ambient)),
        ]),
    );
    assert_eq!(text(&lake, "select n, a from db.t").await, "1,10 2,20");
    counter.take();
    let fresh = lake.session();
    assert_eq!(text(&fresh, "select a from db.t where n = 2").await, "20");
    assert_eq!(counter.take().lists, ["t/n=2"]);
    assert_eq!(text(&lake, "select a from db.ambient").await, "10");

    let missing = error(&lake, "select * from db.no_bucket").await;
    assert_eq!(
        missing.message,
        "there is no bucket `s3://nowhere` in the store `good`"
    );
    let refused = error(&lake, "select * from db.no_rights").await;
    let expected = "the store `wrong` refuses access to `s3://lake`";
    assert_eq!(refused.message, expected, "{}", whole(&refused));
    assert!(
        refused
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("[stores.wrong]"))
    );
    // The server repeats the key that it doesn't know.
    for secret in [CANARY, "AKIAIOSFODNN7EXAMPLE"] {
        assert!(!whole(&refused).contains(secret), "{}", whole(&refused));
    }

    let reports = lake.check_stores(&Checkup::default()).await;
    let reports: Vec<_> = reports
        .iter()
        .map(|report| {
            let bucket = report.bucket.as_deref().unwrap_or("-");
            let good = matches!(report.outcome, StoreOutcome::Reachable);
            format!("{} {bucket} {good}", report.store)
        })
        .collect();
    assert_eq!(
        reports,
        [
            "ambient s3://lake true",
            "good s3://lake true",
            "good s3://nowhere false",
            "wrong s3://lake false"
        ]
    );

    let proof = lake.prove_commits("good", "lake").await;
    let proof = proof.unwrap_or_else(|error| panic!("{}", whole(&error)));
    assert_eq!(
        proof,
        Proof {
            commits: 1_000,
            writers: 4
        }
    );
    assert_eq!(left_behind(&bucket).await, 0);
    let nowhere = lake.prove_commits("good", "nowhere").await.unwrap_err();
    assert!(nowhere.message.contains("no bucket"), "{nowhere}");
}

async fn left_behind(bucket: &impl ObjectStore) -> usize {
    use futures::TryStreamExt;
    let left = bucket.list(Some(&"_neurolake_doctor".into()));
    left.try_collect::<Vec<_>>().await.unwrap().len()
}

#[tokio::test]
async fn a_store_that_overwrites_is_found_out() {
    let root = TempDir::new().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(files::Careless::default());
    let lake = Lake::builder(catalog(&[]))
        .stores(stores([(
            "s",
            Store::Objects(s3("http://127.0.0.1:1", "k", "s")),
        )]))
        .wrap_stores(Arc::new(move |_| Arc::clone(&store)))
        .build()
        .unwrap();
    let error = lake.prove_commits("s", "lake").await.unwrap_err();
    assert!(
        error.message.contains("lies about put-if-absent"),
        "{error}"
    );

    // Files of this machine keep it.
    let lake =
        crate::files::Counter::default().lake(catalog(&[]), stores([("s", folder(root.path()))]));
    std::fs::create_dir(root.path().join("lake")).unwrap();
    lake.prove_commits("s", "lake").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_overwrites_is_written_under_a_lock() {
    let server = Ministack::start().await;
    let mut locked = s3(&server.endpoint, "test", "test");
    locked.lock = Some(LockSettings {
        table: "delta_log".into(),
        region: None,
        endpoint: Some(server.endpoint.clone()),
    });
    let store: Arc<dyn ObjectStore> = Arc::new(files::Careless::default());
    let tables = [json!({
        "name": "events",
        "store": "s",
        "source": {"kind": "delta", "uri": "s3://lake/events"},
        "columns": [column("id", "int64")],
        "rust_path": "test::events",
        "location": {"file": "src/lib.rs", "line": 1},
    })];
    let lake = Lake::builder(catalog(&tables))
        .stores(stores([("s", Store::Objects(locked))]))
        .wrap_stores(Arc::new(move |_| Arc::clone(&store)))
        .build()
        .unwrap();
    let location = lake.location("db", "events").unwrap();
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, false)]);
    let options = LogOptions::default();
    let missing = Log::open_or_create(&location, &schema, &[], &options).await;
    let missing = format!("{:?}", missing.err().unwrap());
    assert!(missing.contains("no table `delta_log`"), "{missing}");
    let proof = lake.prove_commits("s", "lake").await;
    let proof = proof.unwrap_or_else(|error| panic!("{}", whole(&error)));
    assert_eq!((proof.commits, proof.writers), (20, 4));
    let writers = (0..4_i64).map(|writer| {
        let (location, schema) = (location.clone(), schema.clone());
        tokio::spawn(async move {
            let options = LogOptions::default();
            let log = Log::open_or_create(&location, &schema, &[], &options).await;
            let mut log = log.unwrap();
            for part in 0..3 {
                let ids: ArrayRef = Arc::new(Int64Array::from(vec![writer * 10 + part]));
                let rows = RecordBatch::try_new(Arc::new(schema.clone()), vec![ids]).unwrap();
                let step = Transaction {
                    application: format!("{writer} {part}"),
                    from: None,
                    to: 1,
                };
                let files = log.write([rows]).await.unwrap();
                log.commit(Change::append(files, step)).await.unwrap();
            }
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer.unwrap();
    }
    let counted = text(&lake, "select count(*), count(distinct id) from db.events").await;
    assert_eq!(counted, "12,12");
}
