//! Nothing is opened before it is asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use neurolake_query::{Kind, Lake};
use serde_json::{Value as Json, json};

use crate::catalogs::{
    argument, builder, column, complaint, error, function, missing, table, text, value, view,
};

fn lake() -> Lake {
    builder(vec![
        (
            "neural",
            vec![
                missing("spikes"),
                missing("units"),
                table(
                    "bare",
                    json!({"kind": "delta", "uri": "/nowhere/at/all/bare"}),
                    Vec::new(),
                ),
                view(
                    "one",
                    "select 1 as x, 2 as \"Größe\"",
                    vec![column("x", "int64")],
                ),
                function(
                    "f",
                    vec![argument("least", "int32", true)],
                    vec![column("n", "int64")],
                ),
            ],
        ),
        ("behavior", vec![missing("trials")]),
    ])
    .build()
    .expect("a lake")
}

#[tokio::test]
async fn questions_about_tables_are_answered_from_declarations() {
    let lake = lake();
    let tables = text(&lake, "show tables").await;
    assert!(
        tables.contains("trials") && tables.contains("VIEW"),
        "{tables}"
    );
    let columns = "select table_name || '.' || column_name as c from information_schema.columns \
                   where table_schema = 'neural' order by 1";
    let columns = text(&lake, columns).await;
    for name in ["f.least", "f.n", "one.x", "spikes.a"] {
        assert!(columns.contains(name), "{columns}");
    }
    let described = text(&lake, "describe neural.spikes").await;
    assert!(described.contains("Int64"), "{described}");
    assert!(
        text(&lake, "describe lake.neural.f")
            .await
            .contains("least")
    );
    // Only this one has to be opened for it.
    assert!(
        complaint(&lake, "describe neural.bare")
            .await
            .contains("neural.bare")
    );
    assert_eq!(
        value(
            &lake,
            "select count(*) from information_schema.views where definition is not null"
        )
        .await,
        "1"
    );
}

#[tokio::test]
async fn a_broken_table_blocks_no_other() {
    let lake = lake();
    assert_eq!(value(&lake, "select x from neural.one").await, "1");
    let error = error(&lake, "select * from neural.spikes").await;
    assert!(
        matches!(error.kind, Kind::Broken | Kind::Internal | Kind::NotFound),
        "{error:?}"
    );
    assert!(error.message.contains("neural.spikes"), "{error}");
    assert_eq!(value(&lake, "select x from neural.one").await, "1");
}

#[tokio::test]
async fn wrong_names_are_corrected() {
    let lake = lake();
    for (sql, expected) in [
        (
            "select * from neural.spiks",
            "there is no table `spiks` in the database `neural`; did you mean `neural.spikes`?",
        ),
        (
            "select * from nueral.spikes",
            "there is no database `nueral`; did you mean `neural.spikes`?",
        ),
        (
            "select * from trials",
            "`trials` is not the name of a table; did you mean `behavior.trials`?",
        ),
        (
            "select * from neural.trials",
            "there is no table `trials` in the database `neural`; did you mean `behavior.trials`?",
        ),
        (
            "select * from zzz",
            "`zzz` is not the name of a table; tables are named `database.table`; see `show tables`",
        ),
        (
            "select * from other.neural.one",
            "there is no catalog `other`; write `neural.one`, or `lake.neural.one`",
        ),
        (
            "describe neural.spiks",
            "there is no table `spiks` in the database `neural`; did you mean `neural.spikes`?",
        ),
        (
            "select * from neural.\"spikes@x\"",
            "`x` is neither the number of a version nor a point in time; write \"spikes@12\" or \"spikes@2026-03-01T00:00:00Z\"",
        ),
        (
            "select y from neural.one",
            "there is no column `y` at line 1, column 8; there are: `x`",
        ),
        (
            "select\n  o.xx from neural.one o",
            "there is no column `xx` in `o` at line 2, column 3; did you mean `x`?",
        ),
        (
            "select x frm neural.one",
            "expected: end of statement, found: neural at line 1, column 14; ",
        ),
        (
            "select nosuch(x) from neural.one",
            "there is no function `nosuch`",
        ),
    ] {
        let complaint = complaint(&lake, sql).await;
        assert!(complaint.starts_with(expected), "{sql}\n  {complaint}");
    }
}

#[tokio::test]
async fn ten_thousand_tables_open_nothing() {
    let opened = Arc::new(AtomicUsize::new(0));
    let columns: Vec<Json> = (0..20).map(|c| column(&format!("c{c}"), "int64")).collect();
    let tables = (0..10_000)
        .map(|number| {
            let source = json!({"kind": "delta", "uri": format!("/nowhere/{number}")});
            table(&format!("t{number}"), source, columns.clone())
        })
        .chain([view("one", "select 1 as x", Vec::new())])
        .collect();
    let counted = Arc::clone(&opened);
    let builder = builder(vec![("big", tables)]).wrap_stores(Arc::new(move |store| {
        counted.fetch_add(1, Ordering::Relaxed);
        store
    }));
    let start = std::time::Instant::now();
    let lake = builder.build().expect("a lake");
    println!("start: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    assert_eq!(value(&lake, "select x from big.one").await, "1");
    println!("first answer: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    let count = "select count(*) from information_schema.tables where table_schema = 'big'";
    assert_eq!(value(&lake, count).await, "10001");
    println!("information_schema.tables: {:?}", start.elapsed());
    assert_eq!(opened.load(Ordering::Relaxed), 0);
}
