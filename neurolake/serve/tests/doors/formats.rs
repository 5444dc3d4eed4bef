//! Every value, in every format.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use crate::client::{Server, refused};

#[tokio::test(flavor = "multi_thread")]
async fn json_says_every_type_exactly() {
    let server = Server::start().await;
    let rows = server
        .json(
            "select 9007199254740993 as large, 18446744073709551615 as unsigned,
                    cast('12345678901234567890.10' as decimal(22, 2)) as decimal,
                    cast('nan' as double) as nan, cast('-inf' as double) as infinite, 1.5 as float,
                    date '2026-03-01' as day,
                    to_timestamp_micros(1772368200500000) as instant,
                    arrow_cast('2026-03-01T12:30:00.5', 'Timestamp(Microsecond, None)') as naive,
                    arrow_cast('2026-03-01T13:30:00+01:00', 'Timestamp(Microsecond, Some(\"+01:00\"))') as zoned,
                    x'00ff' as bytes, null as nothing, cast(null as int) as absent,
                    make_array(1, null, 3) as list,
                    named_struct('a', 1, 'b', make_array(date '2026-03-01')) as nested,
                    map([1, 2], ['x', null]) as numbered,
                    arrow_cast('word', 'Dictionary(Int32, Utf8)') as dictionary,
                    arrow_cast('word', 'Utf8View') as view,
                    make_array(arrow_cast('in', 'Dictionary(Int32, Utf8)')) as inner_dictionary,
                    'a\"\\\u{e9}\n' as text, true as flag, interval '1 day' as span",
        )
        .await;
    let row = &rows[0];
    for (name, value) in [
        ("large", json!(9_007_199_254_740_993_i64)),
        ("unsigned", json!(18_446_744_073_709_551_615_u64)),
        ("decimal", json!("12345678901234567890.10")),
        ("nan", json!(null)),
        ("infinite", json!(null)),
        ("float", json!(1.5)),
        ("day", json!("2026-03-01")),
        ("instant", json!("2026-03-01T12:30:00.500Z")),
        ("naive", json!("2026-03-01T12:30:00.500")),
        ("zoned", json!("2026-03-01T12:30:00Z")),
        ("bytes", json!("00ff")),
        ("nothing", json!(null)),
        ("absent", json!(null)),
        ("list", json!([1, null, 3])),
        ("nested", json!({"a": 1, "b": ["2026-03-01"]})),
        ("numbered", json!({"1": "x", "2": null})),
        ("dictionary", json!("word")),
        ("view", json!("word")),
        ("inner_dictionary", json!(["in"])),
        ("text", json!("a\"\\\u{e9}\n")),
        ("flag", json!(true)),
    ] {
        assert_eq!(row.get(name), Some(&value), "{name}: {row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_an_empty_answer_of_the_right_shape() {
    let server = Server::start().await;
    let nothing = "select value, 'x' as name from generate_series(1, 3) where value > 9";
    assert_eq!(server.json(nothing).await, json!([]));
    assert_eq!(server.text("ndjson", nothing).await, "");
    assert_eq!(server.text("csv", nothing).await, "value,name\n");
    let url = server.url("/api/sql?format=arrow");
    let response = server.http.post(url).body(nothing).send().await.unwrap();
    let bytes = response.bytes().await.unwrap();
    let reader = StreamReader::try_new(&bytes[..], None).unwrap();
    assert_eq!(reader.schema().field(0).data_type(), &DataType::Int64);
    assert_eq!(reader.schema().fields().len(), 2);
    assert_eq!(reader.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_is_a_file_of_every_row() {
    let server = Server::start().await;
    let url = server.url("/api/sql?format=parquet");
    let ask = async |sql: String| server.http.post(&url).body(sql).send().await.unwrap();
    // What can't be compressed fills row groups.
    let noise: Vec<String> = (0..16).map(|n| format!("random() as r{n}")).collect();
    let many = format!(
        "select value, make_array(value, null) as list, to_timestamp_micros(value) as instant,
                arrow_cast('word', 'Dictionary(Int32, Utf8)') as word, {}
         from generate_series(1, 200000)",
        noise.join(", ")
    );
    for (sql, rows) in [(many, 200_000), ("select 1 as n where false".into(), 0)] {
        let response = ask(sql.clone()).await;
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/vnd.apache.parquet");
        assert!(!headers.contains_key("content-encoding"));
        let bytes = response.bytes().await.unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let groups = reader.metadata().num_row_groups();
        let mut batches = reader.build().unwrap();
        let found = batches.try_fold(0, |rows, batch| batch.map(|batch| rows + batch.num_rows()));
        assert_eq!(found.unwrap(), rows, "{sql}");
        assert_eq!(
            groups > 1,
            rows > 0,
            "{sql}: all of it is held until it is written"
        );
    }
    let twice = ask("select 1 as a, 2 as a".into()).await;
    assert_eq!(twice.status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_in_a_dictionary_stays_a_null() {
    let server = Server::start().await;
    let sql = "select arrow_cast(column1, 'Dictionary(Int32, Utf8)') as word
               from (values ('a'), (null), ('')) ";
    assert_eq!(
        server.text("ndjson", sql).await,
        "{\"word\":\"a\"}\n{\"word\":null}\n{\"word\":\"\"}\n"
    );
    assert_eq!(server.text("csv", sql).await, "word\na\n\n\"\"\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_quotes_what_it_must_and_writes_lists_as_json() {
    let server = Server::start().await;
    let sql = "select 'a,b' as \"x,y\", 'say \"hi\"' as quote, e'two\\nlines' as lines,
                      make_array('a', null) as list, null as nothing, cast('nan' as double) as nan,
                      cast('1.50' as decimal(4, 2)) as decimal";
    assert_eq!(
        server.text("csv", sql).await,
        "\"x,y\",quote,lines,list,nothing,nan,decimal\n\
         \"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\"[\"\"a\"\",null]\",,NaN,1.50\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn arrow_keeps_every_row_of_many_batches() {
    let server = Server::start().await;
    let url = server.url("/api/sql");
    let response = server
        .http
        .post(url)
        .header(
            "accept",
            "application/json;q=0.5, application/vnd.apache.arrow.stream",
        )
        .header("accept-encoding", "gzip, zstd")
        .body("select value from generate_series(1, 200000)")
        .send()
        .await
        .unwrap();
    let headers = response.headers().clone();
    assert_eq!(
        headers["content-type"],
        "application/vnd.apache.arrow.stream"
    );
    assert!(!headers.contains_key("content-encoding"));
    let bytes = response.bytes().await.unwrap();
    let mut sum = 0;
    let mut batches = 0;
    for batch in StreamReader::try_new(&bytes[..], None).unwrap() {
        let batch = batch.unwrap();
        let values = batch.column(0).as_primitive::<Int64Type>();
        assert_eq!(values.null_count(), 0);
        sum += values.values().iter().sum::<i64>();
        batches += 1;
    }
    assert_eq!(sum, 200_000 * 200_001 / 2);
    assert!(batches > 1, "it is not streamed");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_compressed_for_who_accepts_it() {
    let server = Server::start().await;
    for encoding in ["gzip", "zstd"] {
        let response = server
            .post("select value from generate_series(1, 10000)")
            .header("accept-encoding", encoding)
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["content-encoding"], encoding);
        assert!(response.bytes().await.unwrap().len() < 100_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_columns_of_one_name_are_no_object() {
    let server = Server::start().await;
    let sql = "select a.value, b.value from generate_series(1, 2) a join generate_series(1, 2) b
               on a.value = b.value";
    let (status, error) = refused(server.post(sql)).await;
    assert_eq!(status, 400);
    assert_eq!(error["code"], "bad_request");
    assert!(error["hint"].as_str().unwrap().contains("`as`"), "{error}");
    assert!(server.text("csv", sql).await.starts_with("value,value\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_values_and_never_sql() {
    let server = Server::start().await;
    let evil = "x' or '1' = '1";
    let document = json!({
        "sql": "select $1 as text, $2 as number, $3 as nothing, $4 as float",
        "parameters": [evil, 9_007_199_254_740_993_i64, null, 0.5],
    });
    let response = server
        .http
        .post(server.url("/api/sql"))
        .json(&document)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    let rows: serde_json::Value = response.json().await.unwrap();
    assert_eq!(
        rows,
        json!([{"text": evil, "number": 9_007_199_254_740_993_i64, "nothing": null, "float": 0.5}])
    );
    let document = json!({
        "sql": "select value from generate_series(1, 9) where value = $wanted",
        "parameters": {"wanted": 7},
        "format": "csv",
    });
    let request = server.http.post(server.url("/api/sql")).json(&document);
    let text = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(text, "value\n7\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_outside_of_the_calendar_is_an_error_and_no_text() {
    let server = Server::start().await;
    let sql = "select arrow_cast(9223372036854775807, 'Timestamp(Second, None)') as late";
    for format in ["json", "ndjson", "csv"] {
        let url = server.url(&format!("/api/sql?format={format}"));
        let (status, error) = refused(server.http.post(url).body(sql)).await;
        assert_eq!(status, 400, "{format}: {error}");
    }
}
