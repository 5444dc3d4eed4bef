//! Read-only for real.

use std::path::Path;

use neurolake_query::{Kind, Lake, Request};

use crate::catalogs::{builder, column, error, missing, text, value, view};

fn lake() -> Lake {
    builder(vec![(
        "neural",
        vec![
            view(
                "spikes",
                "select column1 as a from (values (1), (2))",
                vec![column("a", "int64")],
            ),
            missing("units"),
        ],
    )])
    .build()
    .expect("a lake")
}

#[tokio::test]
async fn whatever_writes_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file.parquet");
    let probes = [
        "insert into neural.spikes values (3)",
        "insert into neural.spikes select * from neural.spikes",
        "insert overwrite neural.spikes values (3)",
        "update neural.spikes set a = 3",
        "delete from neural.spikes",
        "truncate table neural.spikes",
        "merge into neural.spikes s using neural.units u on s.a = u.a when matched then delete",
        "create table neural.other as select 1",
        "create table t (a int)",
        "create or replace view v as select 1",
        "create external table t stored as parquet location 'FILE'",
        "create database other",
        "create schema other",
        "create index i on neural.spikes (a)",
        "create function f() returns int return 1",
        "drop table neural.spikes",
        "drop table if exists neural.spikes",
        "drop view neural.spikes",
        "drop schema neural cascade",
        "alter table neural.spikes add column b int",
        "copy neural.spikes to 'FILE'",
        "copy (select 1) to 'FILE' stored as parquet",
        "explain copy (select 1) to 'FILE'",
        "explain analyze copy (select 1) to 'FILE'",
        "explain insert into neural.spikes values (3)",
        "explain analyze insert into neural.spikes values (3)",
        "with x as (insert into neural.spikes values (3)) select * from x",
        "with x as (delete from neural.spikes returning a) select * from x",
        "select * into neural.other from neural.spikes",
        "select * from neural.spikes for update",
        "prepare p as insert into neural.spikes values (3)",
        "prepare p as select 1",
        "execute p",
        "deallocate p",
        "set datafusion.execution.batch_size = 1",
        "set time zone = 'UTC'",
        "reset datafusion.execution.batch_size",
        "begin",
        "start transaction",
        "commit",
        "rollback",
        "vacuum neural.spikes",
        "analyze table neural.spikes compute statistics",
        "grant select on neural.spikes to x",
        "call f()",
        "use neural",
        "select 1; select 2",
        "select 1; drop table neural.spikes",
        "select 1; copy (select 1) to 'FILE'",
    ];
    let lake = lake();
    for probe in probes {
        let sql = probe.replace("FILE", &file.display().to_string());
        let error = error(&lake, &sql).await;
        // What the parser doesn't know can't be run either.
        let is_unknown = error.kind == Kind::BadRequest && error.message.contains("at line");
        assert!(
            error.kind == Kind::NotAllowed || is_unknown,
            "{sql}: {error:?}"
        );
        println!(
            "{sql}\n  {error}; {}",
            error.hint.as_deref().unwrap_or_default()
        );
    }
    assert_empty(folder.path());
    assert_eq!(
        value(&lake, "select count(*) from neural.spikes").await,
        "2"
    );
    // The other way to plan a statement has the same walls.
    for probe in probes {
        let sql = probe.replace("FILE", &file.display().to_string());
        assert!(lake.sql(&sql).await.is_err(), "{sql}");
    }
    assert_empty(folder.path());
}

fn assert_empty(folder: &Path) {
    let files: Vec<_> = std::fs::read_dir(folder).expect("a folder").collect();
    assert!(files.is_empty(), "{files:?}");
}

#[tokio::test]
async fn files_can_not_be_read_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret.csv");
    std::fs::write(&file, "a\n1\n").expect("written");
    let file = file.display();
    let lake = lake();
    for sql in [
        format!("select * from '{file}'"),
        format!("select * from \"{file}\""),
        format!("select * from 'file://{file}'"),
        format!("select * from read_csv('{file}')"),
        format!("select * from read_parquet('{file}')"),
        format!("select * from parquet_metadata('{file}')"),
        format!("select * from glob('{file}')"),
        format!("select read_text('{file}')"),
        format!("select * from neural.\"../../{file}\""),
    ] {
        let error = error(&lake, &sql).await;
        assert!(
            matches!(error.kind, Kind::NotFound | Kind::BadRequest),
            "{sql}: {error:?}"
        );
    }
}

#[tokio::test]
async fn reading_is_allowed_in_all_its_forms() {
    let lake = lake();
    for sql in [
        "select * from neural.spikes",
        "select * from lake.neural.spikes -- with a comment",
        "/* only */ select 1;",
        "values (1, 'a')",
        "with x as (select a from neural.spikes) select * from x union all select 3",
        "with recursive x as (select 1 as n union all select n + 1 from x where n < 5) select * from x",
        "select (select max(a) from neural.spikes) as m",
        "select * from neural.spikes s where exists (select 1 from neural.spikes t where t.a = s.a)",
        "explain select * from neural.spikes",
        "explain analyze select * from neural.spikes",
        "explain format tree select 1",
        "describe neural.spikes",
        "describe neural.units",
        "show tables",
        "show columns from neural.spikes",
        "show datafusion.execution.batch_size",
        "show all",
        "show functions like 'abs'",
        "select * from generate_series(1, 3)",
        "select unnest([1, 2])",
        "select 'drop table x; delete from y'",
    ] {
        text(&lake, sql).await;
    }
}

#[tokio::test]
async fn an_explained_plan_runs_nothing_else() {
    let lake = lake();
    let plan = text(
        &lake,
        "explain analyze select * from neural.spikes where a > 1",
    )
    .await;
    assert!(plan.contains("output_rows=1"), "{plan}");
}

#[tokio::test]
async fn every_table_refuses_writing_by_itself() {
    let lake = lake();
    let provider = lake
        .provider("neural", "spikes", None)
        .await
        .expect("a table");
    let state = lake.context().state();
    let input = lake
        .sql("select 3 as a")
        .await
        .expect("a frame")
        .create_physical_plan()
        .await
        .expect("a plan");
    let operation = neurolake_query::datafusion::logical_expr::dml::InsertOp::Append;
    assert!(
        provider
            .insert_into(&state, input, operation)
            .await
            .is_err()
    );
    assert!(provider.delete_from(&state, Vec::new()).await.is_err());
    assert!(provider.truncate(&state).await.is_err());
}

#[tokio::test]
async fn nothing_is_no_statement() {
    for sql in ["", "  ", ";", "-- only a comment"] {
        let error = error(&lake(), sql).await;
        assert_eq!(error.kind, Kind::BadRequest, "{sql}");
    }
}

#[tokio::test]
async fn settings_of_one_statement_reach_no_other() {
    let lake = lake();
    let before = text(&lake, "show all").await;
    let request = Request::new("set datafusion.execution.batch_size = 1");
    assert!(lake.query(request).await.is_err());
    assert_eq!(text(&lake, "show all").await, before);
}
