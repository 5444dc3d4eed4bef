//! Random filters over a partitioned folder give the rows that they give over a table in memory.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use neurolake_query::datafusion::datasource::MemTable;
use neurolake_query::datafusion::prelude::SessionContext;
use serde_json::json;
use tempfile::TempDir;

use crate::files::{self, Counter, catalog, column, local, table, write_groups};

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

const NAMES: [Option<&str>; 6] = [
    Some("a"),
    Some("b c"),
    Some("d/e"),
    Some("100%"),
    Some("ü"),
    None,
];

fn encoded(name: Option<&str>) -> String {
    let Some(name) = name else {
        return "__HIVE_DEFAULT_PARTITION__".into();
    };
    let bytes = name.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    bytes.collect()
}

/// Files of `(n, name)` with sorted `ts`; the same rows as one batch.
fn rows(folder: &std::path::Path) -> RecordBatch {
    let (mut ns, mut all_names, mut ts, mut values) = (vec![], vec![], vec![], vec![]);
    for n in [None, Some(-1), Some(7), Some(12)] {
        for (index, name) in NAMES.iter().enumerate() {
            let start = i64::from(n.unwrap_or(0)) * 1000 + i64::try_from(index).unwrap() * 100;
            let file_ts: Vec<i64> = (start..start + 40).collect();
            let file_values: Vec<Option<i32>> = file_ts
                .iter()
                .map(|ts| (ts % 3 != 0).then_some(i32::try_from(ts % 50).unwrap()))
                .collect();
            let number = n.map_or("__HIVE_DEFAULT_PARTITION__".into(), |n: i32| match n {
                7 => "07".to_owned(),
                n => n.to_string(),
            });
            let path = folder.join(format!("n={number}/name={}/x.parquet", encoded(*name)));
            let columns: Vec<(&str, ArrayRef)> = vec![
                ("ts", Arc::new(Int64Array::from(file_ts.clone()))),
                ("v", Arc::new(Int32Array::from(file_values.clone()))),
            ];
            write_groups(&path, &RecordBatch::try_from_iter(columns).unwrap(), 10);
            ns.extend(vec![n; 40]);
            all_names.extend(vec![*name; 40]);
            ts.extend(file_ts);
            values.extend(file_values);
        }
    }
    RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(Int32Array::from(ns)) as ArrayRef, true),
        ("name", Arc::new(StringArray::from(all_names)), true),
        ("ts", Arc::new(Int64Array::from(ts)), true),
        ("v", Arc::new(Int32Array::from(values)), true),
    ])
    .unwrap()
}

fn filter(numbers: &mut Numbers, depth: u64) -> String {
    if depth > 0 && numbers.below(3) > 0 {
        let (left, right) = (filter(numbers, depth - 1), filter(numbers, depth - 1));
        return match numbers.below(5) {
            0 => format!("not ({left})"),
            1 | 2 => format!("({left} or {right})"),
            _ => format!("({left} and {right})"),
        };
    }
    let (column, values): (_, &[&str]) = match numbers.below(4) {
        0 => ("n", &["7", "-1", "12", "8", "7.0"]),
        1 => ("name", &["'a'", "'b c'", "'d/e'", "'100%'", "'ü'", "'x'"]),
        2 => ("ts", &["7100", "-950", "12539", "7", "120"]),
        _ => ("v", &["0", "25", "-7", "49"]),
    };
    match numbers.below(6) {
        0 => format!("{column} is null"),
        1 => format!("{column} is not null"),
        2 => format!(
            "{column} in ({}, {})",
            numbers.one(values),
            numbers.one(values)
        ),
        3 => format!(
            "{column} not in ({}, {})",
            numbers.one(values),
            numbers.one(values)
        ),
        _ => {
            let operator = numbers.one(&["=", "=", "=", "<>", "<", ">="]);
            format!("{column} {operator} {}", numbers.one(values))
        }
    }
}

fn shown(batches: &[RecordBatch]) -> String {
    pretty_format_batches(batches).unwrap().to_string()
}

#[tokio::test]
async fn pruning_never_changes_an_answer() {
    let root = TempDir::new().unwrap();
    let rows = rows(&root.path().join("lake/t"));
    let memory = SessionContext::new();
    let all = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
    memory.register_table("t", Arc::new(all)).unwrap();
    let declared = json!({
        "columns": [column("n", "int32"), column("name", "string"), column("ts", "int64"), column("v", "int32")],
        "partition_by": [{"name": "n", "type": "int32"}, {"name": "name", "type": "string"}],
    });
    let tables = [table("t", "s3://lake/t", "hive", &declared)];
    let lake = Counter::default().lake(catalog(&tables), local(root.path()));
    let mut numbers = Numbers(7);
    let mut with_rows = 0;
    for _ in 0..80 {
        let filter = filter(&mut numbers, 3);
        for (what, order) in [
            ("*", "order by n, name, ts"),
            (
                "count(*) as a, count(n) as b, count(name) as c, min(ts) as d, max(v) as e, min(n) as f, max(name) as g, sum(v) as h",
                "",
            ),
        ] {
            let sql = format!("select {what} from t where {filter} {order}");
            let expected = memory.sql(&sql).await.unwrap().collect().await.unwrap();
            let sql = format!("select {what} from db.t where {filter} {order}");
            let answer = files::rows(&lake, &sql).await;
            let answer = answer.unwrap_or_else(|error| panic!("{sql}: {}", files::whole(&error)));
            with_rows += usize::from(answer.iter().any(|batch| batch.column(0).len() > 1));
            let (answer, expected) = (cells(&answer), cells(&expected));
            assert_eq!(answer, expected, "{sql}");
        }
    }
    assert!(with_rows > 20, "{with_rows}");
}

/// Without the frame of an empty answer, which depends on whether there is an empty batch.
fn cells(batches: &[RecordBatch]) -> String {
    match batches.iter().map(RecordBatch::num_rows).sum() {
        0 => String::new(),
        _ => shown(batches),
    }
}
