//! A lake of real files: a Delta table of every type in two versions, a Parquet folder with odd
//! names, a view and a function.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::TryStreamExt;
use neurolake_query::datafusion::dataframe::DataFrame;
use neurolake_query::{Arguments, FunctionTable, Lake, Request, Result};
use neurolake_serve::Settings;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{EMPTY, Server, catalog};

/// Rows of the second version of `lab.animals`; the first has those with an `id` below 9.
const ANIMALS: &str = "
    select cast(column1 as int) as id, column2 as name, cast(column3 as double) as weight,
           column4 as alive, cast(column5 as date) as born,
           arrow_cast(column6, 'Timestamp(Microsecond, Some(\"UTC\"))') as seen,
           cast(column7 as decimal(10, 2)) as price, column8 as tags,
           named_struct('room', column9, 'x', cast(column10 as double)) as place,
           column11 as code, column12 as large
    from (values
        (1, 'Ada', 20.5, true, '2024-01-31', '2026-03-01T12:30:00Z', '1.50', make_array('a', 'b'), 'north', 1.5, x'00ff', 9007199254740993),
        (2, 'bob', 19.0, false, '2024-02-29', '2026-03-01T12:30:00.000001Z', '1.49', make_array('b'), 'south', 2.5, x'01', 2),
        (3, 'Cleo', null, null, '2024-03-01', '2026-03-02T00:00:00Z', '-3.00', make_array('c', null), 'north', null, x'02', 3),
        (4, 'a,b', 22.25, true, null, null, null, null, null, 3.5, null, 4),
        (5, 'say \"hi\"', 'NaN', false, '2025-01-01', '1969-12-31T23:59:59Z', '99999999.99', make_array(), 'east', 4.5, x'', 5),
        (6, '', 0.1, true, '1969-12-31', '2026-03-01T00:00:00Z', '0.00', make_array('a'), '', 5.5, x'0a', 6),
        (7, null, 'inf', null, '2024-01-31', '2026-03-01T12:30:00Z', '1.50', make_array('b', 'c'), 'north', 6.5, x'00ff', 7),
        (8, e'x'' or ''1'' = ''1', -1.5, true, '2024-12-31', '2026-01-01T00:00:00Z', '2.00', make_array('(x)', 'a,b'), 'west', 7.5, x'ff', -8),
        (9, '100%', 20.5, false, '2024-07-01', '2026-02-01T00:00:00Z', '2.01', make_array('z'), 'west', 8.5, x'0b', 9),
        (10, 'd\u{f6}ner+kebab', 7.0, true, '2024-08-01', '2026-02-02T00:00:00Z', '2.02', make_array('z', 'z'), 'east', 9.5, x'0c', 10),
        (11, 'null', 8.0, false, '2024-09-01', '2026-02-03T00:00:00Z', '2.03', make_array('q'), 'east', 10.5, x'0d', 11)
    )";

/// What a Delta table can't hold, in a view.
const KINDS: &str = "
    select cast(1 as tinyint) as tiny, 4294967295::int unsigned as half, 18446744073709551615 as unsigned,
           9007199254740993 as large, cast(1.5 as float) as short, cast('nan' as double) as nan,
           cast('12345678901234567890.10' as decimal(22, 2)) as decimal, time '12:30:00.5' as clock,
           arrow_cast('2026-03-01T12:30:00.5', 'Timestamp(Microsecond, None)') as naive,
           to_timestamp_nanos(1772368200500000001) as nanos,
           arrow_cast('word', 'Dictionary(Int32, Utf8)') as dictionary, arrow_cast('word', 'Utf8View') as viewed,
           map(['a', 'b'], [1, null]) as mapping, make_array(make_array(1, null), null) as matrix,
           make_array(named_struct('x', 1, 'deep', named_struct('y', date '2026-03-01')), null) as path,
           named_struct('inner', named_struct('z', x'00ff')) as nest, interval '1 day' as span, null as nothing,
           1 as \"2nd (%)\", true as \"__own\"";

/// Rows with many equal values and nulls, in a folder without declared columns.
const READINGS: &str = "
    select value as id, nullif(value % 5, 0) as \"limit\", case when value % 3 = 0 then null
               else concat('s ', value % 4) end as \"odd.name\",
           arrow_cast(value % 2, 'Float32') as level, make_array(value % 4, null, value % 3) as list,
           named_struct('a', value % 6, 'b', make_array(concat('x', value % 2))) as nested
    from generate_series(1, 500)";

pub(crate) struct Lab {
    pub(crate) server: Server,
    _folder: TempDir,
}

/// Numbers up to the one that is asked for.
struct Counted;

#[async_trait]
impl FunctionTable for Counted {
    async fn rows(&self, lake: Lake, arguments: Arguments) -> Result<DataFrame> {
        let most = arguments.into_iter().flatten().next();
        let most = most.map_or(0, |value| value.to_string().parse().unwrap());
        lake.sql(&format!(
            "select value as number from generate_series(1, {most})"
        ))
        .await
    }
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Lake::builder(catalog(EMPTY)).build().unwrap();
        animals(&source, &folder.path().join("animals")).await;
        let readings = folder.path().join("readings");
        fs::create_dir(&readings).unwrap();
        let rows = rows(&source, READINGS).await;
        for (number, part) in [(0, rows.slice(0, 300)), (1, rows.slice(300, 200))] {
            write(&readings.join(format!("{number}.parquet")), &part);
        }
        let lake = Lake::builder(catalog(&document(folder.path()).to_string()))
            .function("lab", "counted", Arc::new(Counted))
            .build()
            .unwrap();
        Self {
            server: Server::over(lake, settings).await,
            _folder: folder,
        }
    }
}

async fn rows(lake: &Lake, sql: &str) -> RecordBatch {
    let answer = lake.query(Request::new(sql)).await.unwrap();
    let schema = answer.schema;
    let batches: Vec<_> = answer.stream.try_collect().await.unwrap();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn write(path: &Path, batch: &RecordBatch) -> u64 {
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    fs::metadata(path).unwrap().len()
}

async fn animals(lake: &Lake, folder: &Path) {
    let log = folder.join("_delta_log");
    fs::create_dir_all(&log).unwrap();
    for (version, condition) in [(0, "id < 9"), (1, "id >= 9")] {
        let sql = format!("select * from ({ANIMALS}) where {condition} order by id");
        let name = format!("{version}.parquet");
        let size = write(&folder.join(&name), &rows(lake, &sql).await);
        let add = json!({"add": {
            "path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": true,
        }});
        let mut actions = vec![add];
        if version == 0 {
            actions.push(json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}));
            actions.push(json!({"metaData": {
                "id": "animals", "format": {"provider": "parquet", "options": {}},
                "schemaString": delta_schema().to_string(), "partitionColumns": [], "configuration": {},
            }}));
        }
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        let lines = format!("{}\n", lines.join("\n"));
        fs::write(log.join(format!("{version:020}.json")), lines).unwrap();
    }
}

fn delta_schema() -> Value {
    let field = |name: &str, data_type: Value| json!({"name": name, "type": data_type, "nullable": true, "metadata": {}});
    let fields = |fields: &[Value]| json!({"type": "struct", "fields": fields});
    fields(&[
        field("id", json!("integer")),
        field("name", json!("string")),
        field("weight", json!("double")),
        field("alive", json!("boolean")),
        field("born", json!("date")),
        field("seen", json!("timestamp")),
        field("price", json!("decimal(10,2)")),
        field(
            "tags",
            json!({"type": "array", "elementType": "string", "containsNull": true}),
        ),
        field(
            "place",
            fields(&[field("room", json!("string")), field("x", json!("double"))]),
        ),
        field("code", json!("binary")),
        field("large", json!("long")),
    ])
}

fn document(folder: &Path) -> Value {
    let column =
        |name: &str, data_type: Value| json!({"name": name, "type": data_type, "nullable": true});
    let table = |name: &str, source: Value, columns: Value, unique: Value| {
        json!({
            "name": name, "source": source, "columns": columns, "unique_by": unique,
            "rust_path": name, "location": {"file": "src/lib.rs", "line": 1},
        })
    };
    let place = json!({"struct": {"fields": [column("room", json!("string")), column("x", json!("float64"))]}});
    let columns = json!([
        column("id", json!("int32")),
        column("name", json!("string")),
        column("weight", json!("float64")),
        column("alive", json!("bool")),
        column("born", json!("date")),
        column("seen", json!("timestamp")),
        column("price", json!({"decimal": {"precision": 10, "scale": 2}})),
        column(
            "tags",
            json!({"list": {"item": "string", "nullable": true}})
        ),
        column("place", place),
        column("code", json!("binary")),
        column("large", json!("int64")),
    ]);
    let path = |name: &str| folder.join(name).display().to_string();
    let delta = json!({"kind": "delta", "uri": path("animals")});
    let parquet = json!({"kind": "parquet", "uri": path("readings"), "partitioning": "none"});
    let missing = json!({"kind": "delta", "uri": path("missing")});
    let view = json!({"kind": "sql", "query": "select id, name from lab.animals where alive"});
    let kinds = json!({"kind": "sql", "query": KINDS});
    let function = json!({"kind": "function", "arguments": [{"name": "most", "type": "int64", "required": true}]});
    json!({
        "format_version": 1,
        "name": "lab",
        "databases": [{
            "name": "lab",
            "location": {"file": "src/lib.rs", "line": 1},
            "tables": [
                table("animals", delta, columns, json!(["id"])),
                table("counted", function, json!([column("number", json!("int64"))]), json!([])),
                table("kinds", kinds, json!([]), json!([])),
                table("living", view, json!([]), json!([])),
                table("missing", missing, json!([]), json!([])),
                table("readings", parquet, json!([]), json!([])),
            ],
        }],
    })
}
