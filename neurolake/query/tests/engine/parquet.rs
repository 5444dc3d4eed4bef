//! Folders of Parquet files: answers, and how little is listed and read for them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float64Array, Int32Array, Int64Array, LargeStringArray, ListArray,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Float32Type, Schema};
use neurolake_query::{Kind, Lake};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::files::{
    self, Counter, catalog, column, local, table, text, whole, write, write_groups,
};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn numbers(numbers: Vec<i32>) -> ArrayRef {
    Arc::new(Int32Array::from(numbers))
}

fn texts(texts: Vec<&str>) -> ArrayRef {
    Arc::new(StringArray::from(texts))
}

/// A lake of one table `db.t` at `s3://lake/t`.
fn lake_of(root: &TempDir, partitioning: &str, rest: &Value) -> (Lake, Counter) {
    fs::create_dir_all(root.path().join("lake")).unwrap();
    let counter = Counter::default();
    let table = table("t", "s3://lake/t", partitioning, rest);
    let lake = counter.lake(catalog(&[table]), local(root.path()));
    (lake, counter)
}

fn folder(root: &TempDir) -> std::path::PathBuf {
    root.path().join("lake/t")
}

fn below<'a>(root: &TempDir, paths: &'a [String]) -> Vec<&'a str> {
    let root = folder(root).display().to_string();
    let root = root.trim_start_matches('/');
    let cut = |path: &'a String| path.strip_prefix(root).unwrap_or(path).trim_matches('/');
    paths.iter().map(cut).collect()
}

/// 4 implants with 3 days each.
fn hive() -> (TempDir, Lake, Counter) {
    let root = TempDir::new().unwrap();
    for implant in 1..=4 {
        for day in 1..=3 {
            let path = format!("implant_id={implant}/day=2026-03-0{day}/part-0.parquet");
            let rows = vec![implant * 10 + day, implant * 100 + day];
            write(
                &folder(&root).join(path),
                &batch(vec![("v", numbers(rows))]),
            );
        }
    }
    let (lake, counter) = lake_of(
        &root,
        "hive",
        &json!({
            "columns": [column("implant_id", "int32"), column("v", "int32"), column("day", "date")],
            "partition_by": [{"name": "implant_id", "type": "int32"}, {"name": "day", "type": "date"}],
        }),
    );
    (root, lake, counter)
}

#[tokio::test]
async fn filters_on_leading_partitions_list_only_their_folders() {
    let (root, lake, counter) = hive();
    let sql = "select v from db.t where implant_id = 2 and day = date '2026-03-03'";
    assert_eq!(text(&lake, sql).await, "203 23");
    let asked = counter.take();
    assert_eq!(
        below(&root, &asked.lists),
        ["_delta_log", "implant_id=2/day=2026-03-03"]
    );
    assert_eq!(
        asked.reads.len(),
        below(&root, &asked.reads)
            .iter()
            .filter(|path| path.starts_with("implant_id=2/day=2026-03-03/"))
            .count()
    );

    let sql = "select count(*) from db.t where implant_id in (1, 4)";
    assert_eq!(text(&lake, sql).await, "12");
    assert_eq!(
        below(&root, &counter.take().lists),
        ["implant_id=1", "implant_id=4"]
    );
}

#[tokio::test]
async fn other_partition_filters_prune_after_listing() {
    let (root, lake, counter) = hive();
    let sql = "select v from db.t where day > date '2026-03-02' and implant_id < 2";
    assert_eq!(text(&lake, sql).await, "103 13");
    let asked = counter.take();
    assert_eq!(below(&root, &asked.lists), ["_delta_log", ""]);
    for path in below(&root, &asked.reads) {
        assert_eq!(path, "implant_id=1/day=2026-03-03/part-0.parquet");
    }
}

#[tokio::test]
async fn columns_come_in_the_order_of_declaration_with_declared_types() {
    let (_root, lake, _) = hive();
    let frame = lake.table("db", "t").await.unwrap();
    let fields = frame.schema().fields().iter();
    let fields: Vec<_> = fields
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect();
    assert_eq!(fields, ["implant_id Int32", "v Int32", "day Date32"]);
    let sql = "select * from db.t where v = 42";
    assert_eq!(text(&lake, sql).await, "4,42,2026-03-02");
    let sql = "select day, max(v) from db.t group by day";
    assert_eq!(
        text(&lake, sql).await,
        "2026-03-01,401 2026-03-02,402 2026-03-03,403"
    );
}

#[tokio::test]
async fn zero_padded_folders_are_found_by_their_number() {
    let root = TempDir::new().unwrap();
    write(
        &folder(&root).join("month=07/a.parquet"),
        &batch(vec![("v", numbers(vec![1]))]),
    );
    write(
        &folder(&root).join("month=11/a.parquet"),
        &batch(vec![("v", numbers(vec![2]))]),
    );
    let (lake, _) = lake_of(
        &root,
        "hive",
        &json!({
            "columns": [column("v", "int32")],
            "partition_by": [{"name": "month", "type": "int8"}],
        }),
    );
    assert_eq!(
        text(&lake, "select month, v from db.t where month = 7").await,
        "7,1"
    );
    assert_eq!(text(&lake, "select month, v from db.t").await, "11,2 7,1");
}

#[tokio::test]
async fn null_and_encoded_values_are_read_from_hive_paths() {
    let root = TempDir::new().unwrap();
    for (name, value) in [
        ("a%2Fb%20c", 1),
        ("__HIVE_DEFAULT_PARTITION__", 2),
        ("plain", 3),
    ] {
        let path = folder(&root).join(format!("name={name}/x.parquet"));
        write(&path, &batch(vec![("v", numbers(vec![value]))]));
    }
    let (lake, _) = lake_of(
        &root,
        "hive",
        &json!({
            "columns": [column("v", "int32"), column("name", "string")],
            "partition_by": [{"name": "name", "type": "string"}],
        }),
    );
    assert_eq!(
        text(&lake, "select v from db.t where name = 'a/b c'").await,
        "1"
    );
    assert_eq!(
        text(&lake, "select v from db.t where name is null").await,
        "2"
    );
    assert_eq!(
        text(&lake, "select v from db.t where name is not null").await,
        "1 3"
    );
    assert_eq!(
        text(&lake, "select v from db.t where name <> 'plain'").await,
        "1"
    );
    assert_eq!(
        text(&lake, "select count(name), count(*) from db.t").await,
        "2,3"
    );
    assert_eq!(text(&lake, "select min(name) from db.t").await, "a/b c");
}

#[tokio::test]
async fn directory_partitions_have_no_names() {
    let root = TempDir::new().unwrap();
    for (project, value) in [("scar-2026", 1), ("cortex", 2)] {
        let path = folder(&root).join(format!("{project}/7/x.parquet"));
        write(&path, &batch(vec![("v", numbers(vec![value]))]));
    }
    let (lake, counter) = lake_of(
        &root,
        "directory",
        &json!({
            "columns": [column("project", "string"), column("v", "int32")],
            "partition_by": [{"name": "project", "type": "string"}, {"name": "n", "type": "int64"}],
        }),
    );
    let sql = "select project, n, v from db.t where project = 'scar-2026'";
    assert_eq!(text(&lake, sql).await, "scar-2026,7,1");
    assert_eq!(
        below(&root, &counter.take().lists),
        ["_delta_log", "scar-2026"]
    );
}

#[tokio::test]
async fn a_path_that_the_declaration_does_not_explain_is_an_error() {
    let root = TempDir::new().unwrap();
    let one = batch(vec![("v", numbers(vec![1]))]);
    write(&folder(&root).join("n=1/a.parquet"), &one);
    let (lake, _) = lake_of(
        &root,
        "hive",
        &json!({
            "columns": [column("v", "int32")],
            "partition_by": [{"name": "n", "type": "int32"}],
        }),
    );
    write(&folder(&root).join("n=x/b.parquet"), &one);
    let error = files::error(&lake, "select * from db.t").await;
    assert_eq!(error.kind, Kind::Broken);
    assert!(error.message.contains("n=x/b.parquet"), "{error}");
    assert!(error.message.contains("no int32"), "{error}");

    let root = TempDir::new().unwrap();
    write(&folder(&root).join("stray.parquet"), &one);
    let (lake, _) = lake_of(
        &root,
        "hive",
        &json!({
            "columns": [column("v", "int32")],
            "partition_by": [{"name": "n", "type": "int32"}],
        }),
    );
    let error = files::error(&lake, "select * from db.t").await;
    assert!(
        error.message.contains("stray.parquet") && error.message.contains("`n=...`"),
        "{error}"
    );
}

#[tokio::test]
async fn markers_and_hidden_files_are_not_data() {
    let root = TempDir::new().unwrap();
    write(
        &folder(&root).join("a.parquet"),
        &batch(vec![("v", numbers(vec![1]))]),
    );
    for name in [
        "_SUCCESS",
        ".a.parquet.crc",
        "_temporary/0/b.parquet",
        ".hidden/c.parquet",
        "notes.txt",
        "_metadata",
    ] {
        let path = folder(&root).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "not Parquet").unwrap();
    }
    let (lake, _) = lake_of(&root, "none", &json!({"columns": [column("v", "int32")]}));
    assert_eq!(text(&lake, "select * from db.t").await, "1");
}

#[tokio::test]
async fn files_of_all_ages_are_read_as_declared() {
    let root = TempDir::new().unwrap();
    let old = batch(vec![
        ("id", numbers(vec![1])),
        ("mass", Arc::new(Float64Array::from(vec![0.5]))),
    ]);
    let new = batch(vec![
        ("note", Arc::new(LargeStringArray::from(vec!["later"]))),
        ("weight", Arc::new(Float64Array::from(vec![1.5]))),
        ("id", Arc::new(Int64Array::from(vec![1 << 40]))),
        ("unasked", numbers(vec![9])),
    ]);
    write(&folder(&root).join("old.parquet"), &old);
    write(&folder(&root).join("new.parquet"), &new);
    let (lake, _) = lake_of(
        &root,
        "none",
        &json!({"columns": [
            column("id", "int64"),
            {"name": "weight", "type": "float64", "nullable": true, "renamed_from": "mass"},
            {"name": "note", "type": "string", "nullable": false, "since": 2},
        ]}),
    );
    assert_eq!(
        text(&lake, "select * from db.t").await,
        "1,0.5, 1099511627776,1.5,later"
    );
    assert_eq!(
        text(&lake, "select id from db.t where weight < 1").await,
        "1"
    );
    assert_eq!(
        text(&lake, "select id from db.t where note is null").await,
        "1"
    );
    assert_eq!(
        text(&lake, "select min(id), max(weight), count(note) from db.t").await,
        "1,1.5,1"
    );
}

#[tokio::test]
async fn a_type_that_would_lose_data_names_file_and_column() {
    let root = TempDir::new().unwrap();
    write(
        &folder(&root).join("good.parquet"),
        &batch(vec![("a", numbers(vec![1]))]),
    );
    let bad = batch(vec![("a", Arc::new(Float64Array::from(vec![1.5])))]);
    write(&folder(&root).join("bad.parquet"), &bad);
    let (lake, _) = lake_of(&root, "none", &json!({"columns": [column("a", "int32")]}));
    for sql in [
        "select * from db.t",
        "select count(*) from db.t",
        "select a from db.t where a = 1",
    ] {
        let error = files::error(&lake, sql).await;
        assert_eq!(error.kind, Kind::Broken);
        assert!(error.message.contains("bad.parquet"), "{error}");
        assert!(
            error
                .message
                .contains("`a`: declared int32, stored float64"),
            "{error}"
        );
    }

    let root = TempDir::new().unwrap();
    let nanos = TimestampNanosecondArray::from(vec![1]).with_timezone("UTC");
    write(
        &folder(&root).join("x.parquet"),
        &batch(vec![("a", Arc::new(nanos))]),
    );
    let (lake, _) = lake_of(
        &root,
        "none",
        &json!({"columns": [column("a", "timestamp")]}),
    );
    let error = files::error(&lake, "select * from db.t").await;
    assert!(
        error.message.contains("timestamp in nanoseconds"),
        "{error}"
    );
}

#[tokio::test]
async fn nested_and_foreign_encodings_are_read_as_declared() {
    let root = TempDir::new().unwrap();
    let naive: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]));
    let vertex = StructArray::from(vec![
        (
            Arc::new(Field::new("x", DataType::Float32, true)),
            Arc::new(arrow::array::Float32Array::from(vec![1.0, 2.0])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("unasked", DataType::Int32, true)),
            numbers(vec![8, 9]),
        ),
    ]);
    let outline = ListArray::new(
        Arc::new(Field::new("item", vertex.data_type().clone(), true)),
        arrow::buffer::OffsetBuffer::from_lengths([2]),
        Arc::new(vertex),
        None,
    );
    let powers = ListArray::from_iter_primitive::<Float32Type, _, _>([Some([Some(0.5), None])]);
    let level = arrow::array::StringDictionaryBuilder::<arrow::datatypes::Int32Type>::new();
    let level = {
        let mut level = level;
        level.append_value("warn");
        level.finish()
    };
    write(
        &folder(&root).join("x.parquet"),
        &batch(vec![
            ("ts", naive),
            ("outline", Arc::new(outline)),
            ("powers", Arc::new(powers)),
            ("level", Arc::new(level)),
        ]),
    );
    let vertex = json!({"struct": {"fields": [column("x", "float64"), column("y", "float64")]}});
    let (lake, _) = lake_of(
        &root,
        "none",
        &json!({"columns": [
            column("ts", "timestamp"),
            column("outline", json!({"list": {"item": vertex, "nullable": false}})),
            column("powers", json!({"list": {"item": "float32", "nullable": false}})),
            column("level", "string"),
        ]}),
    );
    assert_eq!(
        text(&lake, "select * from db.t").await,
        "1970-01-01T00:00:00Z,[{x: 1.0, y: }, {x: 2.0, y: }],[0.5, ],warn"
    );
    assert_eq!(
        text(
            &lake,
            "select level from db.t where ts >= timestamp '1970-01-01 00:00:00Z' and level = 'warn'"
        )
        .await,
        "warn"
    );
}

#[tokio::test]
async fn an_empty_folder_is_an_empty_table_only_if_its_columns_are_declared() {
    let root = TempDir::new().unwrap();
    let (lake, _) = lake_of(&root, "none", &json!({"columns": [column("a", "int32")]}));
    assert_eq!(text(&lake, "select count(*) from db.t").await, "0");
    assert_eq!(text(&lake, "select a from db.t").await, "");
    let (lake, _) = lake_of(&root, "none", &json!({}));
    let error = files::error(&lake, "select * from db.t").await;
    assert_eq!(error.kind, Kind::Broken);
    assert!(error.message.contains("no Parquet file"), "{error}");
    assert!(error.hint.is_some());
}

#[tokio::test]
async fn without_declared_columns_all_files_together_say_them() {
    let root = TempDir::new().unwrap();
    write(
        &folder(&root).join("n=1/a.parquet"),
        &batch(vec![("a", numbers(vec![1]))]),
    );
    let more = batch(vec![("b", texts(vec!["x"])), ("a", numbers(vec![2]))]);
    write(&folder(&root).join("n=2/b.parquet"), &more);
    let (lake, _) = lake_of(&root, "hive", &json!({"partition_by": [{"name": "n"}]}));
    assert_eq!(text(&lake, "select a, b, n from db.t").await, "1,,1 2,x,2");
    assert_eq!(text(&lake, "select a from db.t where n = '2'").await, "2");

    write(
        &folder(&root).join("n=3/c.parquet"),
        &batch(vec![("a", texts(vec!["x"]))]),
    );
    let (lake, _) = lake_of(&root, "hive", &json!({"partition_by": [{"name": "n"}]}));
    let error = files::error(&lake, "select * from db.t").await;
    assert!(
        error.message.contains("`a` is int32 in") && error.message.contains("c.parquet"),
        "{error}"
    );
}

#[tokio::test]
async fn a_delta_table_is_refused_with_the_right_declaration() {
    let root = TempDir::new().unwrap();
    write(
        &folder(&root).join("a.parquet"),
        &batch(vec![("a", numbers(vec![1]))]),
    );
    fs::create_dir_all(folder(&root).join("_delta_log")).unwrap();
    fs::write(
        folder(&root).join("_delta_log/00000000000000000000.json"),
        "{}",
    )
    .unwrap();
    let (lake, _) = lake_of(&root, "none", &json!({"columns": [column("a", "int32")]}));
    let error = files::error(&lake, "select * from db.t").await;
    assert_eq!(
        error.hint.as_deref(),
        Some("declare it with `delta = \"s3://lake/t\"`")
    );
}

#[tokio::test]
async fn versions_are_refused() {
    let (_root, lake, _) = hive();
    let error = files::error(&lake, "select * from db.\"t@1\"").await;
    assert_eq!(error.kind, Kind::BadRequest);
    assert!(error.message.contains("no earlier versions"), "{error}");
}

#[tokio::test]
async fn damaged_files_are_named() {
    for content in [
        &b""[..],
        b"PAR1",
        b"not Parquet at all, but long enough to hold a footer",
    ] {
        let root = TempDir::new().unwrap();
        write(
            &folder(&root).join("good.parquet"),
            &batch(vec![("a", numbers(vec![1]))]),
        );
        fs::write(folder(&root).join("half.parquet"), content).unwrap();
        let (lake, _) = lake_of(&root, "none", &json!({"columns": [column("a", "int32")]}));
        let error = files::error(&lake, "select * from db.t").await;
        assert_eq!(error.kind, Kind::Broken, "{}", whole(&error));
        assert!(error.message.contains("half.parquet"), "{error}");
        assert!(
            error
                .hint
                .as_deref()
                .is_some_and(|hint| hint.contains("half")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn new_files_show_after_the_listing_is_forgotten() {
    let root = TempDir::new().unwrap();
    let one = batch(vec![("a", numbers(vec![1]))]);
    write(&folder(&root).join("1.parquet"), &one);
    let (lake, counter) = lake_of(&root, "none", &json!({"columns": [column("a", "int32")]}));
    assert_eq!(text(&lake, "select count(*) from db.t").await, "1");
    counter.take();
    assert_eq!(text(&lake, "select sum(a) from db.t").await, "1");
    assert!(counter.take().lists.is_empty());
    write(&folder(&root).join("2.parquet"), &one);
    until(&lake, "select count(*) from db.t", "2").await;
    // An overwritten file is read anew.
    write(
        &folder(&root).join("2.parquet"),
        &batch(vec![("a", numbers(vec![5, 6, 7]))]),
    );
    until(&lake, "select count(*), sum(a) from db.t", "4,19").await;
}

async fn until(lake: &Lake, sql: &str, expected: &str) {
    let wait = async {
        while text(lake, sql).await != expected {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let deadline = std::time::Duration::from_mins(1);
    tokio::time::timeout(deadline, wait).await.expect(expected);
}

/// 20 files of 10 row groups, sorted by `ts`; `payload` is most of the bytes.
fn sorted() -> (TempDir, Lake, Counter, u64) {
    let root = TempDir::new().unwrap();
    let mut bytes = 0;
    for file in 0..20_i64 {
        let ts: Vec<i64> = (0..10_000).map(|row| file * 10_000 + row).collect();
        let payload: Vec<String> = ts
            .iter()
            .map(|ts| {
                format!(
                    "{:032x}",
                    (*ts as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
                )
            })
            .collect();
        let batch = batch(vec![
            ("ts", Arc::new(Int64Array::from(ts))),
            ("payload", Arc::new(StringArray::from(payload))),
        ]);
        let path = folder(&root).join(format!("{file:02}.parquet"));
        write_groups(&path, &batch, 1000);
        bytes += size(&path);
    }
    let (lake, counter) = lake_of(
        &root,
        "none",
        &json!({
            "columns": [column("ts", "int64"), column("payload", "string")],
            "sort_by": ["ts"],
        }),
    );
    (root, lake, counter, bytes)
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[tokio::test]
async fn little_is_read_for_little() {
    let (_root, lake, counter, all) = sorted();
    assert!(all > 6_000_000, "{all}");

    // Footers alone; each is asked for once, with a guess of its size.
    assert_eq!(text(&lake, "select count(*) from db.t").await, "200000");
    let footers = counter.take();
    assert_eq!(footers.reads.len(), 20, "{:?}", footers.reads);
    assert!(footers.bytes <= 20 * (64 << 10), "{}", footers.bytes);

    // Now nothing but what the answer needs: the footers are known.
    assert_eq!(
        text(&lake, "select count(*), min(ts), max(ts) from db.t").await,
        "200000,0,199999"
    );
    assert_eq!(counter.take().bytes, 0);

    let sql = "select payload from db.t where ts = 123456";
    assert_eq!(text(&lake, sql).await.len(), 32);
    let point = counter.take();
    assert!(
        point.reads.iter().all(|path| path.ends_with("12.parquet")),
        "{:?}",
        point.reads
    );
    assert!(point.bytes < all / 50, "{} of {all}", point.bytes);

    assert_eq!(text(&lake, "select sum(ts) from db.t").await, "19999900000");
    let projection = counter.take();
    assert!(projection.bytes < all / 2, "{} of {all}", projection.bytes);
}

#[tokio::test]
async fn a_limit_stops_early() {
    let (_root, lake, counter, all) = sorted();
    let batches = files::rows(&lake, "select * from db.t limit 10")
        .await
        .unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 10);
    let asked = counter.take();
    assert!(
        asked.reads.iter().all(|path| path.ends_with("00.parquet")),
        "{:?}",
        asked.reads
    );
    assert!(asked.bytes < all / 20, "{} of {all}", asked.bytes);
    assert_eq!(
        text(
            &lake,
            "select count(*) from (select * from db.t limit 15000)"
        )
        .await,
        "15000"
    );
    assert_eq!(
        text(
            &lake,
            "select count(*) from (select * from db.t where ts > 5 limit 15000)"
        )
        .await,
        "15000"
    );
}

#[tokio::test]
async fn files_of_two_buckets_are_not_taken_for_one_another() {
    let root = TempDir::new().unwrap();
    let write_to = |bucket: &str, value: i32| {
        let path = root.path().join(bucket).join("t/x.parquet");
        write(&path, &batch(vec![("a", numbers(vec![value]))]));
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    };
    write_to("one", 1);
    write_to("two", 2);
    let columns = json!({"columns": [column("a", "int32")]});
    let tables = [
        table("one", "s3://one/t", "none", &columns),
        table("two", "s3://two/t", "none", &columns),
    ];
    let lake = Counter::default().lake(catalog(&tables), local(root.path()));
    let sql = "select one.a, two.a from db.one, db.two where two.a = 2 and one.a = 1";
    assert_eq!(text(&lake, sql).await, "1,2");
}

#[tokio::test]
async fn columns_of_the_path_win_over_columns_of_the_file() {
    let root = TempDir::new().unwrap();
    let file = batch(vec![("n", texts(vec!["wrong"])), ("v", numbers(vec![1]))]);
    write(&folder(&root).join("n=7/x.parquet"), &file);
    let (lake, _) = lake_of(
        &root,
        "hive",
        &json!({
            "columns": [column("n", "int32"), column("v", "int32")],
            "partition_by": [{"name": "n", "type": "int32"}],
        }),
    );
    assert_eq!(text(&lake, "select * from db.t where n = 7").await, "7,1");
}

#[tokio::test]
async fn required_columns_may_hold_nulls_in_files() {
    let root = TempDir::new().unwrap();
    let fields = vec![Field::new("a", DataType::Int32, true)];
    let nulls = RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        vec![Arc::new(Int32Array::from(vec![Some(1), None]))],
    );
    write(&folder(&root).join("x.parquet"), &nulls.unwrap());
    let (lake, _) = lake_of(
        &root,
        "none",
        &json!({
            "columns": [{"name": "a", "type": "int32", "nullable": false}],
        }),
    );
    assert_eq!(
        text(&lake, "select count(*) from db.t where a is null").await,
        "1"
    );
}

/// Not timed: what a query of a folder with many files costs is the number of its requests.
#[tokio::test]
async fn a_known_folder_costs_a_point_query_one_file() {
    let root = TempDir::new().unwrap();
    for file in 0..300_i32 {
        let rows: Vec<i32> = (file * 10..file * 10 + 10).collect();
        let path = folder(&root).join(format!("{file:03}.parquet"));
        write(&path, &batch(vec![("v", numbers(rows))]));
    }
    let (lake, counter) = lake_of(&root, "none", &json!({"columns": [column("v", "int32")]}));
    assert_eq!(text(&lake, "select count(*) from db.t").await, "3000");
    assert_eq!(counter.take().reads.len(), 300);
    assert_eq!(
        text(&lake, "select v from db.t where v = 1234").await,
        "1234"
    );
    let asked = counter.take();
    assert!(
        asked.reads.iter().all(|path| path.ends_with("123.parquet")),
        "{:?}",
        asked.reads
    );
    assert!(asked.reads.len() <= 3, "{:?}", asked.reads);
}
