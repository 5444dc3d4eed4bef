//! Views in SQL.

use neurolake_query::{Kind, Lake};
use serde_json::{Value as Json, json};

use crate::catalogs::{
    Recorder, argument, builder, column, complaint, error, function, missing, text, value, view,
};

fn numbers() -> Json {
    view(
        "numbers",
        "select value as n, value % 3 as rest from generate_series(1, 10)",
        vec![column("n", "int64"), column("rest", "int64")],
    )
}

fn lake(tables: Vec<Json>) -> Lake {
    builder(vec![("a", tables)]).build().expect("a lake")
}

#[tokio::test]
async fn a_view_has_its_declared_columns_in_their_order() {
    let lake = lake(vec![
        numbers(),
        view(
            "sums",
            "select sum(n) as total, rest from a.numbers group by rest",
            vec![column("rest", "int64"), column("total", "int64")],
        ),
    ]);
    let text = text(&lake, "select * from a.sums order by rest").await;
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows[1], "| rest | total |");
    assert_eq!(rows[3], "| 0    | 18    |");
}

#[tokio::test]
async fn a_filter_reaches_what_the_view_reads() {
    let recorder = Recorder::new("select value as n from generate_series(1, 10)");
    let lake = builder(vec![(
        "a",
        vec![
            function(
                "f",
                vec![argument("least", "int32", true)],
                vec![column("n", "int64")],
            ),
            view(
                "v",
                "select n * 2 as twice, n, least from a.f",
                vec![
                    column("twice", "int64"),
                    column("n", "int64"),
                    column("least", "int32"),
                ],
            ),
            view("w", "select * from a.v where n > 3", Vec::new()),
        ],
    )])
    .function("a", "f", recorder.clone())
    .build()
    .expect("a lake");
    assert_eq!(
        value(&lake, "select count(*) from a.w where least = 5").await,
        "7"
    );
    assert_eq!(recorder.calls(), ["5"]);
}

#[tokio::test]
async fn what_differs_from_the_declaration_is_named() {
    let lake = lake(vec![
        numbers(),
        view(
            "renamed",
            "select n as m from a.numbers",
            vec![column("n", "int64")],
        ),
        view(
            "retyped",
            "select cast(n as varchar) as n from a.numbers",
            vec![column("n", "int64")],
        ),
        view(
            "narrow",
            "select n from a.numbers",
            vec![column("n", "int32")],
        ),
        view(
            "wide",
            "select cast(n as smallint) as n from a.numbers",
            vec![column("n", "int64")],
        ),
        view(
            "twice",
            "select x.n, y.n from a.numbers x, a.numbers y",
            vec![column("n", "int64")],
        ),
        view(
            "text",
            "select 'a' as t union all select 'b'",
            vec![column("t", "string")],
        ),
    ]);
    let cases = [
        ("renamed", "the view `a.renamed` gives no column `n`"),
        (
            "retyped",
            "the view `a.retyped` gives `n` as Utf8View, declared is int64",
        ),
        (
            "narrow",
            "the view `a.narrow` gives `n` as Int64, declared is int32",
        ),
    ];
    for (name, message) in cases {
        let error = error(&lake, &format!("select * from a.{name}")).await;
        assert_eq!(error.message, message);
        assert_eq!(error.kind, Kind::Broken);
    }
    assert!(
        complaint(&lake, "select * from a.twice")
            .await
            .contains("`a.twice`")
    );
    assert_eq!(value(&lake, "select sum(n) from a.wide").await, "55");
    assert_eq!(
        value(&lake, "select arrow_typeof(t) from a.text limit 1").await,
        "Utf8"
    );
}

#[tokio::test]
async fn a_circle_is_named() {
    let lake = lake(vec![
        view("one", "select * from a.two", Vec::new()),
        view("two", "select * from a.three", Vec::new()),
        view("three", "select * from a.two", Vec::new()),
        view("itself", "select * from a.itself", Vec::new()),
        numbers(),
    ]);
    let error = error(&lake, "select * from a.one").await;
    assert_eq!(error.kind, Kind::Broken);
    assert!(
        error
            .message
            .contains("in a circle: `a.two` -> `a.three` -> `a.two`"),
        "{error}"
    );
    let itself = complaint(&lake, "select * from a.itself").await;
    assert!(itself.contains("`a.itself` -> `a.itself`"), "{itself}");
    assert_eq!(value(&lake, "select count(*) from a.numbers").await, "10");
}

#[tokio::test]
async fn nesting_has_an_end() {
    let mut tables: Vec<Json> = (1..60)
        .map(|level| {
            let query = format!("select * from a.v{}", level - 1);
            view(&format!("v{level}"), &query, Vec::new())
        })
        .collect();
    tables.push(view("v0", "select 1 as x", Vec::new()));
    let lake = lake(tables);
    assert_eq!(value(&lake, "select x from a.v20").await, "1");
    let error = error(&lake, "select x from a.v59").await;
    assert_eq!(error.kind, Kind::Broken);
    assert!(error.message.contains("more than 32 deep"), "{error}");
}

#[tokio::test]
async fn a_broken_input_is_named_and_blocks_nothing_else() {
    let lake = lake(vec![
        numbers(),
        missing("gone"),
        view("reads_gone", "select * from a.gone", Vec::new()),
        view("reads_nothing", "select * from a.numbrs", Vec::new()),
        view("misspelt", "select nn from a.numbers", Vec::new()),
        view("writes", "drop table a.numbers", Vec::new()),
        view("no_sql", "selec 1", Vec::new()),
    ]);
    for (name, part) in [
        ("reads_gone", "a.gone"),
        ("reads_nothing", "`numbrs`"),
        ("misspelt", "there is no column `nn`"),
        ("writes", "read-only"),
        ("no_sql", "line 1"),
    ] {
        let error = error(&lake, &format!("select * from a.{name}")).await;
        let start = format!("the view `a.{name}` can't be read: ");
        assert!(error.message.starts_with(&start), "{error}");
        assert!(error.message.contains(part), "{error}");
        assert!(
            !matches!(error.kind, Kind::BadRequest | Kind::NotAllowed),
            "{error:?}"
        );
    }
    assert_eq!(value(&lake, "select count(*) from a.numbers").await, "10");
}

#[tokio::test]
async fn a_view_has_no_versions() {
    let lake = lake(vec![numbers()]);
    let complaint = complaint(&lake, "select * from a.\"numbers@3\"").await;
    assert!(
        complaint.contains("`a.numbers` has no versions"),
        "{complaint}"
    );
}

#[tokio::test]
async fn nested_types_pass() {
    let blob = json!({"list": {"item": "float32", "nullable": false}});
    let lake = lake(vec![view(
        "nested",
        "select make_array(arrow_cast(1.5, 'Float32')) as l, named_struct('x', 1) as s",
        vec![
            column("l", blob),
            column(
                "s",
                json!({"struct": {"fields": [{"name": "x", "type": "int64", "nullable": false}]}}),
            ),
        ],
    )]);
    assert_eq!(value(&lake, "select l[1] + s.x from a.nested").await, "2.5");
}
