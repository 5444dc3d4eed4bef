//! Function tables: filters become arguments.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::dataframe::DataFrame;
use datafusion::scalar::ScalarValue;
use neurolake_query::{Arguments, FunctionTable, Kind, Lake, Request, Result, datafusion};
use serde_json::{Value as Json, json};

use crate::catalogs::{
    Recorder, argument, batches, builder, column, complaint, error, function, text, value, view,
};

const ROWS: &str = "select value as id, arrow_cast(value % 4, 'Int16') as thread, \
    'task ' || (value % 2) as task from generate_series(1, 100)";

/// `f(implant_id: i32, since: Option<Date>, at: Option<Timestamp>, tasks: Option<Vec<String>>,
/// focus: Option<f32>, good: Option<bool>, label: Option<String>, id: Option<i64>)`
fn summaries() -> Json {
    let list = json!({"list": {"item": "string", "nullable": false}});
    let mut table = function(
        "f",
        vec![
            argument("implant_id", "int32", true),
            argument("since", "date", false),
            argument("at", "timestamp", false),
            argument("tasks", list, false),
            argument("focus", "float32", false),
            argument("good", "bool", false),
            argument("label", "string", false),
            argument("id", "int64", false),
        ],
        vec![
            column("id", "int64"),
            column("thread", "int16"),
            column("task", "string"),
        ],
    );
    table["example"] = json!([
        ["implant_id", {"int": 7}],
        ["tasks", {"list": [{"string": "it's"}, {"string": "b"}]}],
        ["focus", {"float": "0.6"}],
    ]);
    table
}

fn lake() -> (Lake, Arc<Recorder>) {
    let recorder = Recorder::new(ROWS);
    let lake = builder(vec![(
        "a",
        vec![
            summaries(),
            view(
                "v",
                "select id, implant_id, tasks from a.f where thread = 1",
                Vec::new(),
            ),
            view(
                "keys",
                "select arrow_cast(column1, 'Int32') as key from (values (7), (8))",
                Vec::new(),
            ),
        ],
    )])
    .function("a", "f", recorder.clone())
    .build()
    .expect("a lake");
    (lake, recorder)
}

#[tokio::test]
async fn filters_become_arguments_of_the_declared_types() {
    let (lake, recorder) = lake();
    let nothing = "-; -; -; -; -; -; -";
    for (condition, expected) in [
        ("implant_id = 7", format!("7; {nothing}")),
        ("7 = implant_id", format!("7; {nothing}")),
        ("implant_id = '7'", format!("7; {nothing}")),
        ("implant_id = 7.0", format!("7; {nothing}")),
        ("implant_id in (7)", format!("7; {nothing}")),
        ("implant_id = 3 + 4", format!("7; {nothing}")),
        ("implant_id = 7 and implant_id = 7", format!("7; {nothing}")),
        ("implant_id = 7 and since is null", format!("7; {nothing}")),
        (
            "implant_id = 7 and since = '2026-02-01'",
            "7; 2026-02-01; -; -; -; -; -; -".into(),
        ),
        (
            "implant_id = 7 and since = date '2026-02-01'",
            "7; 2026-02-01; -; -; -; -; -; -".into(),
        ),
        (
            "implant_id = 7 and tasks = 'a'",
            "7; -; -; [a]; -; -; -; -".into(),
        ),
        (
            "implant_id = 7 and tasks in ('a')",
            "7; -; -; [a]; -; -; -; -".into(),
        ),
        (
            "implant_id = 7 and tasks in ('a', 'b')",
            "7; -; -; [a, b]; -; -; -; -".into(),
        ),
        (
            "implant_id = 7 and (tasks = 'a' or tasks = 'b')",
            "7; -; -; [a, b]; -; -; -; -".into(),
        ),
        (
            "implant_id = 7 and tasks in ('a', 'b', 'c', 'd', 'e')",
            "7; -; -; [a, b, c, d, e]; -; -; -; -".into(),
        ),
        (
            "implant_id = 7 and focus = 0.6",
            "7; -; -; -; 0.6; -; -; -".into(),
        ),
        (
            "implant_id = 7 and focus = 1",
            "7; -; -; -; 1; -; -; -".into(),
        ),
        (
            "implant_id = 7 and good",
            "7; -; -; -; -; true; -; -".into(),
        ),
        (
            "implant_id = 7 and good = true",
            "7; -; -; -; -; true; -; -".into(),
        ),
        (
            "implant_id = 7 and good = false",
            "7; -; -; -; -; false; -; -".into(),
        ),
        (
            "implant_id = 7 and not good",
            "7; -; -; -; -; false; -; -".into(),
        ),
        (
            "implant_id = 7 and label = 'x'",
            "7; -; -; -; -; -; x; -".into(),
        ),
        (
            "implant_id = 7 and id = 31",
            "7; -; -; -; -; -; -; 31".into(),
        ),
        ("implant_id = 7 and id > 31", format!("7; {nothing}")),
        ("implant_id = 7 and id in (31, 32)", format!("7; {nothing}")),
    ] {
        text(&lake, &format!("select * from a.f where {condition}")).await;
        assert_eq!(recorder.calls(), [expected], "{condition}");
    }
    let at = "select count(*) from a.f where implant_id = 7 and at = '2026-03-01T09:30:00Z'";
    text(&lake, at).await;
    let calls = recorder.calls();
    assert!(calls[0].starts_with("7; -; 1772357400000000"), "{calls:?}");
}

#[tokio::test]
async fn rows_are_filtered_by_columns() {
    let (lake, _) = lake();
    for (condition, expected) in [
        ("implant_id = 7", "100"),
        ("implant_id = 7 and thread = 1", "25"),
        ("implant_id = 7 and thread = 1 and task = 'task 1'", "25"),
        ("implant_id = 7 and (thread = 1 or task = 'task 0')", "75"),
        ("implant_id = 7 and id = 31", "1"),
        ("implant_id = 7 and id = 31 and id = 32", "0"),
        ("implant_id = 7 and id in (31, 32, 33)", "3"),
        ("implant_id = 7 and id between 31 and 40", "10"),
        ("implant_id = 7 and not thread = 1", "75"),
    ] {
        let sql = format!("select count(*) from a.f where {condition}");
        assert_eq!(value(&lake, &sql).await, expected, "{condition}");
    }
    let sql = "select id from a.f where implant_id = 7 limit 3";
    assert_eq!(text(&lake, sql).await.lines().count(), 3 + 4);
}

#[tokio::test]
async fn arguments_stand_behind_the_columns() {
    let (lake, _) = lake();
    let sql = "select * from a.f where implant_id = 7 and tasks in ('b', 'a') and id = 1";
    let text = text(&lake, sql).await;
    let lines: Vec<&str> = text.lines().collect();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    assert_eq!(
        cells(lines[1]),
        [
            "id",
            "thread",
            "task",
            "implant_id",
            "since",
            "at",
            "tasks",
            "focus",
            "good",
            "label"
        ]
    );
    assert_eq!(
        cells(lines[3]),
        ["1", "1", "task 1", "7", "", "", "b", "", "", ""]
    );
}

#[tokio::test]
async fn a_missing_argument_is_named_with_an_example() {
    let (lake, recorder) = lake();
    assert_eq!(
        complaint(&lake, "select * from a.f").await,
        "`a.f` needs a value for `implant_id`; \
         for example `select * from a.f where implant_id = 7`"
    );
    for sql in [
        "select count(*) from a.f where thread = 1",
        "select * from a.v",
        "select * from a.f where implant_id is null",
        "select * from a.f f join a.keys k on f.id = k.key",
    ] {
        let error = error(&lake, sql).await;
        assert_eq!(error.kind, Kind::BadRequest, "{sql}");
        assert!(
            error.message.contains("needs a value for `implant_id`"),
            "{sql}: {error}"
        );
    }
    assert!(recorder.calls().is_empty());
}

#[tokio::test]
async fn an_unknown_argument_is_corrected() {
    let (lake, _) = lake();
    let complaint = complaint(&lake, "select * from a.f where implant = 7").await;
    assert_eq!(
        complaint,
        "there is no column `implant` at line 1, column 25; did you mean `implant_id`?"
    );
}

#[tokio::test]
async fn anything_but_a_value_is_refused() {
    let (lake, recorder) = lake();
    for condition in [
        "focus > 0.5",
        "focus != 0.5",
        "focus between 0.5 and 0.6",
        "not (focus = 0.5)",
        "focus not in (0.5)",
        "focus = 0.5 or thread = 1",
        "focus = thread",
        "focus is not null",
        "focus = random()",
        "abs(focus) = 0.5",
        "focus = (select max(key) from a.keys)",
        "focus in (select key from a.keys)",
        "focus + 1 = thread",
        "label like 'x%'",
        "coalesce(good, true)",
        "tasks not in ('a')",
        "since >= '2026-02-01'",
    ] {
        let sql = format!("select * from a.f where implant_id = 7 and {condition}");
        let error = error(&lake, &sql).await;
        assert_eq!(error.kind, Kind::BadRequest, "{condition}: {error}");
        assert!(
            error
                .message
                .contains("is an argument of `a.f`, not a column"),
            "{condition}: {error}"
        );
    }
    for sql in [
        "select * from a.f f join a.keys k on f.focus = k.key where implant_id = 7",
        "select * from a.f f join a.keys k on f.focus > k.key where implant_id = 7",
        "select * from a.f f join a.keys k on f.implant_id = k.key and f.focus = k.key",
        "select * from a.f f, a.keys k where (f.focus = 1 or k.key = 7) and implant_id = 7",
        "select * from (select focus as x from a.f where implant_id = 7) g join a.keys k on g.x = k.key",
    ] {
        let error = error(&lake, sql).await;
        assert!(error.message.contains("` is an argument"), "{sql}: {error}");
    }
    assert_eq!(
        complaint(
            &lake,
            "select * from a.f where implant_id = 7 and focus > 0.5"
        )
        .await,
        "`focus` is an argument of `a.f`, not a column: it can only be given a value; \
         write `where focus = 0.6`"
    );
    assert!(
        complaint(
            &lake,
            "select * from a.f where implant_id = 7 and tasks > 'a'"
        )
        .await
        .ends_with("write `where tasks in ('it''s', 'b')`")
    );
    for (condition, part) in [
        (
            "implant_id in (7, 8)",
            "`implant_id` of `a.f` takes one value",
        ),
        (
            "implant_id = 7.5",
            "is not a value of the argument `implant_id`, which is int32",
        ),
        (
            "implant_id = 99999999999",
            "is not a value of the argument `implant_id`",
        ),
        (
            "implant_id = 7 and label = 'a' and tasks = 'x' and tasks = 'y'",
            "",
        ),
    ] {
        let error = error_or_none(&lake, &format!("select * from a.f where {condition}")).await;
        assert!(error.contains(part), "{condition}: {error}");
    }
    let _ = recorder.calls();
    for condition in ["implant_id = 'seven'", "implant_id = 7 and since = 'soon'"] {
        let error = error(&lake, &format!("select * from a.f where {condition}")).await;
        assert_eq!(error.kind, Kind::BadRequest, "{condition}: {error:?}");
    }
    assert!(recorder.calls().is_empty());
}

async fn error_or_none(lake: &Lake, sql: &str) -> String {
    match batches(lake, Request::new(sql)).await {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn arguments_arrive_from_afar() {
    let (lake, recorder) = lake();
    for (sql, rows) in [
        (
            "select count(*) from a.f as g where g.implant_id = 7",
            "100",
        ),
        (
            "select count(*) from lake.a.f where lake.a.f.implant_id = 7",
            "100",
        ),
        (
            "select count(*) from (select * from a.f) g where implant_id = 7",
            "100",
        ),
        (
            "select count(*) from (select implant_id as i, id from a.f) g where i = 7 and id < 3",
            "2",
        ),
        (
            "with g as (select * from a.f) select count(*) from g where implant_id = 7",
            "100",
        ),
        (
            "select count(*) from a.v where implant_id = 7 and id < 10",
            "3",
        ),
        (
            "select count(*) from a.f f join a.keys k on f.id = k.key where f.implant_id = 7",
            "2",
        ),
        (
            "select count(*) from a.keys k left join a.f f on f.id = k.key and f.implant_id = 7",
            "2",
        ),
        (
            "select count(*) from a.f f join a.keys k on f.implant_id = k.key where k.key = 7",
            "100",
        ),
        (
            "select count(*) from a.keys where key in (select id from a.f where implant_id = 7)",
            "2",
        ),
        (
            "select (select count(*) from a.f where implant_id = 7) as n",
            "100",
        ),
    ] {
        assert_eq!(value(&lake, sql).await, rows, "{sql}");
        assert_eq!(recorder.calls(), ["7; -; -; -; -; -; -; -"], "{sql}");
    }
    let both = "select count(*) from a.f where implant_id = 7 union all \
                select count(*) from a.f where implant_id = 8";
    text(&lake, both).await;
    let mut calls = recorder.calls();
    calls.sort();
    assert_eq!(calls, ["7; -; -; -; -; -; -; -", "8; -; -; -; -; -; -; -"]);
}

#[tokio::test]
async fn parameters_arrive_too() {
    let (lake, recorder) = lake();
    let sql = "select count(*) from a.f where implant_id = $1 and since = $2 and tasks in ($3, $4)";
    let request = Request {
        parameters: Some(ParamValues::from(vec![
            ScalarValue::from("7"),
            ScalarValue::from("2026-02-01"),
            ScalarValue::from("a"),
            ScalarValue::from("b' or '1' = '1"),
        ])),
        ..Request::new(sql)
    };
    batches(&lake, request).await.expect("rows");
    assert_eq!(
        recorder.calls(),
        ["7; 2026-02-01; -; [a, b' or '1' = '1]; -; -; -; -"]
    );
}

#[tokio::test]
async fn values_are_data_never_sql() {
    let (lake, recorder) = lake();
    for hostile in [
        "' or 1 = 1 --",
        "'; drop table a.f; --",
        "\\'",
        "\" or \"\" = \"",
        "$1",
        "%s {0} ${x}",
        "größer 温度 \u{1F9E0}",
        "",
    ] {
        let sql = format!(
            "select label from a.f where implant_id = 7 and label = '{}' and id = 1",
            hostile.replace('\'', "''")
        );
        let batches = batches(&lake, Request::new(sql)).await.expect("rows");
        let shown = ScalarValue::try_from_array(batches[0].column(0), 0).expect("a value");
        assert_eq!(shown, ScalarValue::from(hostile));
        assert_eq!(
            recorder.calls(),
            [format!("7; -; -; -; -; -; {hostile}; 1")]
        );
    }
}

/// Gives what it was told to.
struct Sql(&'static str);

#[async_trait]
impl FunctionTable for Sql {
    async fn rows(&self, lake: Lake, _arguments: Arguments) -> Result<DataFrame> {
        lake.sql(self.0).await
    }
}

fn simple(query: &'static str) -> Lake {
    let columns = vec![column("n", "int64"), column("t", "string")];
    builder(vec![("a", vec![function("f", Vec::new(), columns)])])
        .function("a", "f", Arc::new(Sql(query)))
        .build()
        .expect("a lake")
}

#[tokio::test]
async fn what_a_function_gives_is_checked() {
    let right = simple("select 'a' as t, 1 as n, 2 as more");
    assert_eq!(value(&right, "select n from a.f").await, "1");
    assert_eq!(
        value(&right, "select arrow_typeof(t) from a.f").await,
        "Utf8"
    );
    for (query, message) in [
        (
            "select 1 as n",
            "the function table `a.f` gives no column `t`",
        ),
        (
            "select 1.5 as n, 'a' as t",
            "the function table `a.f` gives `n` as Float64, declared is int64",
        ),
        (
            "select 1 as n, 2 as t",
            "the function table `a.f` gives `t` as Int64, declared is string",
        ),
    ] {
        let error = error(&simple(query), "select * from a.f").await;
        assert_eq!(error.message, message);
        assert_eq!(error.kind, Kind::Broken);
    }
    for query in ["select x from a.nothing", "select", "drop table a.f"] {
        let error = error(&simple(query), "select * from a.f").await;
        assert!(
            error
                .message
                .starts_with("the function table `a.f` failed: "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_function_that_reads_itself_comes_to_an_end() {
    let error = error(&simple("select * from a.f"), "select * from a.f").await;
    assert_eq!(error.kind, Kind::Broken);
    assert!(error.message.contains("more than 32 deep"), "{error}");
}

#[tokio::test]
async fn a_function_without_code_says_so() {
    let lake = builder(vec![("a", vec![summaries()])])
        .build()
        .expect("a lake");
    let complaint = complaint(&lake, "select * from a.f where implant_id = 7").await;
    assert!(
        complaint.contains("not part of this program"),
        "{complaint}"
    );
}

#[tokio::test]
async fn a_frame_outlives_its_lake() {
    let (lake, recorder) = lake();
    let frame = lake.table("a", "f").await.expect("a frame");
    drop(lake);
    let frame = frame
        .filter(datafusion::prelude::col("implant_id").eq(datafusion::prelude::lit(7)))
        .expect("a filter");
    assert_eq!(frame.count().await.expect("rows"), 100);
    assert_eq!(recorder.calls().len(), 1);
}
