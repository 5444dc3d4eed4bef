//! Memory, rows and time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::dataframe::DataFrame;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use neurolake_query::{
    Arguments, Error, FunctionTable, Kind, Lake, Limits, Request, Result, datafusion,
};

use crate::catalogs::{batches, builder, column, error, failure, function, value, view};

/// Slices of an orders table, as in the report of apache/datafusion#24676.
fn lake(limits: Limits) -> Lake {
    lake_of(400, limits)
}

fn lake_of(orders: usize, limits: Limits) -> Lake {
    let slice = |name: &str, from: usize| {
        let query = format!(
            "select value as o_orderkey, (value * 7919) % 1000 as o_totalprice, \
             repeat('comment ', 8) as o_comment from generate_series({from}, {})",
            from + orders - 1
        );
        view(
            name,
            &query,
            vec![
                column("o_orderkey", "int64"),
                column("o_totalprice", "int64"),
                column("o_comment", "string"),
            ],
        )
    };
    builder(vec![(
        "a",
        vec![slice("x", 1), slice("y", 401), slice("z", 801)],
    )])
    .limits(limits)
    .build()
    .expect("a lake")
}

fn limited_to(memory_bytes: usize, parallelism: usize) -> Lake {
    lake(Limits {
        memory_bytes,
        parallelism,
        ..Limits::default()
    })
}

const CHAIN: &str = "select count(*) as n, min(x.o_comment || y.o_comment || z.o_comment) as c \
    from a.x join a.y on x.o_totalprice < y.o_totalprice \
    join a.z on y.o_totalprice < z.o_totalprice and x.o_orderkey < z.o_orderkey";

/// The number of rows of the chain, counted without the engine.
fn counted(orders: usize) -> usize {
    let slice = |from: usize| (from..from + orders).map(|key| (key * 7919) % 1000);
    let (x, y, z): (Vec<_>, Vec<_>, Vec<_>) = (
        slice(1).collect(),
        slice(401).collect(),
        slice(801).collect(),
    );
    y.iter()
        .map(|y| {
            let before = x.iter().filter(|x| *x < y).count();
            let after = z.iter().filter(|z| y < *z).count();
            before * after
        })
        .sum()
}

#[tokio::test]
async fn a_chain_of_inequality_joins_is_right_or_refused() {
    let count = format!("select n from ({CHAIN})");
    let unlimited = lake_of(150, Limits::default());
    assert_eq!(value(&unlimited, &count).await, counted(150).to_string());
    let mut refused = 0;
    for memory_bytes in [200_000, 1_000_000] {
        for parallelism in [1, 4] {
            let lake = limited_to(memory_bytes, parallelism);
            match batches(&lake, Request::new(CHAIN)).await {
                Err(error) => {
                    assert_eq!(error.kind, Kind::TooMuch, "{error:?}");
                    refused += 1;
                }
                Ok(_) => assert_eq!(value(&lake, &count).await, counted(400).to_string()),
            }
        }
    }
    println!("{refused} of 4 refused");
    assert!(refused > 0);
}

#[tokio::test]
async fn a_sort_that_is_too_large_is_refused() {
    let lake = limited_to(1_000_000, 2);
    let sql = "select * from generate_series(1, 10000000) order by value desc";
    let error = error(&lake, sql).await;
    assert_eq!(error.kind, Kind::TooMuch);
    assert_eq!(error.message, "the query needs more memory than it may use");
    let sql = "select array_agg(value) from generate_series(1, 10000000)";
    assert_eq!(crate::catalogs::error(&lake, sql).await.kind, Kind::TooMuch);
    // What streams needs none.
    let sql = "select count(*) from generate_series(1, 10000000)";
    assert_eq!(value(&lake, sql).await, "10000000");
}

#[tokio::test]
async fn more_rows_than_allowed_are_an_error() {
    let lake = lake(Limits {
        max_rows: Some(100),
        ..Limits::default()
    });
    let series = |to: u32| format!("select * from generate_series(1, {to})");
    assert!(batches(&lake, Request::new(series(100))).await.is_ok());
    let error = error(&lake, &series(101)).await;
    assert_eq!(error.kind, Kind::TooMuch);
    assert!(error.message.contains("more than 100 rows"), "{error}");
    let fewer = |max_rows| Request {
        max_rows: Some(max_rows),
        ..Request::new(series(50))
    };
    assert!(
        failure(&lake, fewer(49))
            .await
            .message
            .contains("more than 49 rows")
    );
    assert!(batches(&lake, fewer(1000)).await.is_ok());
    // A request can't raise the limit.
    let more = Request {
        max_rows: Some(1000),
        ..Request::new(series(101))
    };
    assert_eq!(failure(&lake, more).await.kind, Kind::TooMuch);
}

const ENDLESS: &str = "select count(*) from generate_series(1, 100000000) a, \
    generate_series(1, 100000000) b where a.value * b.value % 7 = 3";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_a_query() {
    let request = Request {
        deadline: Some(Duration::from_millis(100)),
        ..Request::new(ENDLESS)
    };
    let error = failure(&lake(Limits::default()), request).await;
    assert_eq!(error.kind, Kind::Timeout);
    assert!(error.message.contains("100ms"), "{error}");
}

/// Never answers.
struct Stuck;

#[async_trait]
impl FunctionTable for Stuck {
    async fn rows(&self, _lake: Lake, _arguments: Arguments) -> Result<DataFrame> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_deadline_ends_planning_too() {
    let table = function("f", Vec::new(), vec![column("n", "int64")]);
    let lake = builder(vec![("a", vec![table])])
        .function("a", "f", Arc::new(Stuck))
        .limits(Limits {
            deadline: Some(Duration::from_millis(50)),
            ..Limits::default()
        })
        .build()
        .expect("a lake");
    assert_eq!(error(&lake, "select * from a.f").await.kind, Kind::Timeout);
}

#[test]
fn an_answer_is_read_anywhere_and_dropping_it_cancels() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let lake = lake(Limits::default());
    let request = Request {
        deadline: Some(Duration::from_mins(10)),
        ..Request::new("select value from generate_series(1, 100000) order by value desc")
    };
    let answer = runtime.block_on(lake.query(request)).expect("an answer");
    // No runtime here.
    let rows: usize = futures::executor::block_on(
        answer
            .stream
            .map(|batch| batch.map_err(Error::from).expect("a batch").num_rows())
            .fold(0, |sum, rows| async move { sum + rows }),
    );
    assert_eq!(rows, 100_000);

    let answer = runtime
        .block_on(lake.query(Request::new(ENDLESS)))
        .expect("an answer");
    let idle = || runtime.metrics().num_alive_tasks() == 0;
    assert!(!idle());
    drop(answer);
    let end = std::time::Instant::now() + Duration::from_mins(1);
    while !idle() {
        assert!(std::time::Instant::now() < end, "the query goes on");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn parameters_are_values() {
    let lake = lake(Limits::default());
    let count = |parameters: ParamValues, condition: &str| Request {
        parameters: Some(parameters),
        ..Request::new(format!("select count(*) as n from a.x where {condition}"))
    };
    let number = |request| {
        let lake = lake.clone();
        async move {
            let batches = batches(&lake, request).await.expect("rows");
            let column = batches[0].column(0);
            ScalarValue::try_from_array(column, 0)
                .expect("a value")
                .to_string()
        }
    };
    let positional = ParamValues::from(vec![ScalarValue::from(10_i64), ScalarValue::from(12_i64)]);
    assert_eq!(
        number(count(positional, "o_orderkey between $1 and $2")).await,
        "3"
    );
    let named = ParamValues::from(vec![("key", ScalarValue::from("7"))]);
    assert_eq!(number(count(named, "o_orderkey = $key")).await, "1");
    let hostile = ParamValues::from(vec![ScalarValue::from("' or 1 = 1 --")]);
    assert_eq!(number(count(hostile, "o_comment = $1")).await, "0");

    let too_many = ParamValues::from(vec![ScalarValue::from(1_i64); 2]);
    let error = failure(&lake, count(too_many, "o_orderkey = $1")).await;
    assert!(
        error
            .message
            .contains("2 values are given for 1 parameters"),
        "{error}"
    );
    let none = failure(
        &lake,
        Request::new("select * from a.x where o_orderkey = $1"),
    )
    .await;
    assert_eq!(none.kind, Kind::BadRequest, "{none:?}");
    let few = ParamValues::from(vec![ScalarValue::from(1_i64)]);
    let few = failure(&lake, count(few, "o_orderkey between $1 and $2")).await;
    assert_eq!(few.kind, Kind::BadRequest, "{few:?}");
    let unknown = ParamValues::from(vec![("kex", ScalarValue::from("7"))]);
    let error = failure(&lake, count(unknown, "o_orderkey = $key")).await;
    assert!(error.message.contains("no parameter `$kex`"), "{error}");
}
