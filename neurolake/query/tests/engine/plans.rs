//! A statement that comes again has the rows of one that is planned afresh, whatever happened meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::physical_plan::common::collect;
use datafusion::prelude::{Expr, SessionContext, lit};
use datafusion::sql::unparser::expr_to_sql;
use deltalake::DeltaTable;
use deltalake::operations::write::SchemaMode;
use deltalake::protocol::SaveMode;
use neurolake_query::access::Role;
use neurolake_query::{Error, Kind, Lake, Request};

use crate::delta::{World, by_deltalake, predicate, rows, seed};
use crate::delta_tables::{Chance, Shape};

/// Rows as sorted text, and whether the plan was there.
async fn ask(
    lake: &Lake,
    sql: &str,
    values: Option<ParamValues>,
) -> Result<(Vec<String>, bool), Error> {
    let request = Request {
        parameters: values,
        ..Request::new(sql)
    };
    let answer = lake.query(request).await?;
    let is_kept = answer.has_kept_plan;
    let batches = collect(answer.stream).await.map_err(Error::from)?;
    Ok((rows(&batches), is_kept))
}

async fn told(lake: &Lake, sql: &str, values: &[ScalarValue]) -> (Vec<String>, bool) {
    let values = (!values.is_empty()).then(|| ParamValues::from(values.to_vec()));
    ask(lake, sql, values).await.unwrap()
}

/// A condition with a parameter in place of each value.
fn with_parameters(condition: &Expr) -> (String, Vec<ScalarValue>) {
    let mut values = Vec::new();
    let changed = condition.clone().transform_up(|expression| {
        Ok(match expression {
            Expr::Literal(value, _) => {
                values.push(value);
                let placeholder = Placeholder::new_with_field(format!("${}", values.len()), None);
                Transformed::yes(Expr::Placeholder(placeholder))
            }
            other => Transformed::no(other),
        })
    });
    (
        expr_to_sql(&changed.unwrap().data).unwrap().to_string(),
        values,
    )
}

/// The same condition with other values of the same types.
fn with_other_values(condition: &Expr, table: &RecordBatch, chance: &mut Chance) -> Expr {
    let changed = condition.clone().transform_up(|expression| {
        let Expr::Literal(value, _) = &expression else {
            return Ok(Transformed::no(expression));
        };
        let data_type = value.data_type();
        let columns = table.columns().iter();
        let columns: Vec<&ArrayRef> = columns
            .filter(|column| *column.data_type() == data_type && !column.is_empty())
            .collect();
        if columns.is_empty() {
            return Ok(Transformed::no(expression));
        }
        let column = *chance.pick(&columns);
        let other = ScalarValue::try_from_array(column, chance.below(column.len()))?;
        // See `predicate`.
        let is_nan = matches!(other, ScalarValue::Float32(Some(value)) if value.is_nan())
            || matches!(other, ScalarValue::Float64(Some(value)) if value.is_nan());
        Ok(match is_nan {
            true => Transformed::no(expression),
            false => Transformed::yes(lit(other)),
        })
    });
    changed.unwrap().data
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_put_into_plans_of_every_shape_of_table() {
    let seed = seed();
    println!("NEUROLAKE_TEST_SEED={seed}");
    let mut chance = Chance::new(seed);
    let (mut kept, mut all) = (0, 0);
    for (number, shape) in Shape::ALL.iter().enumerate() {
        let world = World::new();
        let name = format!("t{number}");
        let table = shape.make(&world.location(&name), &mut chance).await;
        let lake = world.lake(&[&name]);
        let ours = lake.table("db", &name).await.unwrap();
        let schema: Arc<Schema> = Arc::new(ours.schema().as_arrow().clone());
        let expected = by_deltalake(&table, &schema).await;
        let memory = MemTable::try_new(Arc::clone(&schema), vec![vec![expected.clone()]]).unwrap();
        let truth = SessionContext::new();
        let truth = truth.read_table(Arc::new(memory)).unwrap();
        for _ in 0..25 {
            let first = predicate(&mut chance, &expected, 2);
            let second = with_other_values(&first, &expected, &mut chance);
            let (condition, _) = with_parameters(&first);
            let column = chance.pick(schema.fields()).name();
            for sql in [
                format!("select \"{column}\" from db.{name} where {condition}"),
                format!("select count(*), count(\"{column}\") from db.{name} where {condition}"),
            ] {
                for condition in [&first, &second, &first] {
                    let (_, values) = with_parameters(condition);
                    let (found, is_kept) = told(&lake, &sql, &values).await;
                    kept += usize::from(is_kept);
                    all += 1;
                    let matching = truth.clone().filter(condition.clone()).unwrap();
                    let matching = matching.select_columns(&[column]).unwrap();
                    let batches = matching.collect().await.unwrap();
                    let wanted = if sql.contains("count(*)") {
                        let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
                        let columns = batches.iter().map(|batch| batch.column(0));
                        let nulls: usize = columns.map(|column| column.null_count()).sum();
                        vec![format!("{count} | {}", count - nulls)]
                    } else {
                        rows(&batches)
                    };
                    assert_eq!(found, wanted, "{shape:?}: {sql}: {values:?}");
                }
            }
        }
    }
    assert!(kept * 3 >= all, "{kept} of {all} plans were kept");
}

fn numbered(ids: std::ops::Range<i64>, more: &[(&str, &str)]) -> RecordBatch {
    let texts: Vec<(&str, ArrayRef)> = more
        .iter()
        .map(|(name, text)| {
            let texts = ids.clone().map(|_| *text);
            (
                *name,
                Arc::new(StringArray::from_iter_values(texts)) as ArrayRef,
            )
        })
        .collect();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    let columns = std::iter::once(("id", numbers)).chain(texts);
    let columns = columns.map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

async fn opened(world: &World) -> DeltaTable {
    let mut table = DeltaTable::new(world.location("t").log_store());
    let _ = table.load().await;
    table
}

/// The next statement sees what was committed.
async fn fresh(lake: &Lake) {
    let newest = Request {
        max_staleness: Some(std::time::Duration::ZERO),
        ..Request::new("select * from db.t limit 0")
    };
    lake.query(newest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_plan_reads_the_newest_version() {
    let world = World::new();
    let table = opened(&world).await;
    table.write([numbered(0..3, &[("a", "x")])]).await.unwrap();
    let lake = world.lake(&["t"]);
    let sql = "select * from db.t where id > $1";
    let after = [ScalarValue::Int64(Some(0))];
    let old = "select count(*) from db.\"t@0\"";
    // What BI tools ask for the columns.
    let probe = "select * from db.t where false";
    let columns = async || {
        let answer = lake.query(Request::new(probe)).await.unwrap();
        (answer.schema.fields().len(), answer.has_kept_plan)
    };
    assert_eq!(columns().await, (2, false));
    assert_eq!(columns().await, (2, true));
    assert_eq!(
        told(&lake, sql, &after).await,
        (vec!["1 | x".into(), "2 | x".into()], false)
    );
    assert_eq!(told(&lake, old, &[]).await, (vec!["3".into()], false));

    let more = opened(&world).await.write([numbered(3..4, &[("a", "y")])]);
    more.await.unwrap();
    fresh(&lake).await;
    let (found, is_kept) = told(&lake, sql, &after).await;
    assert_eq!((found.len(), is_kept), (3, true));
    assert_eq!(told(&lake, old, &[]).await, (vec!["3".into()], true));

    assert_eq!(columns().await, (2, true));

    // Another column is in the rows of `*`.
    let wider = opened(&world)
        .await
        .write([numbered(4..5, &[("a", "z"), ("b", "new")])]);
    wider.with_schema_mode(SchemaMode::Merge).await.unwrap();
    fresh(&lake).await;
    let (found, is_kept) = told(&lake, sql, &after).await;
    assert_eq!((found.len(), is_kept), (4, false));
    assert!(found.contains(&"4 | z | new".to_owned()), "{found:?}");
    assert!(told(&lake, sql, &after).await.1);
    assert_eq!(columns().await, (3, false));
}

/// What is decided by values alone is as it would be with values that are written out.
#[tokio::test(flavor = "multi_thread")]
async fn values_decide_as_if_they_were_written_out() {
    let world = World::new();
    let table = opened(&world).await;
    table.write([numbered(0..3, &[("a", "x")])]).await.unwrap();
    let lake = world.lake(&["t"]);
    for (sql, values) in [
        // An id that has no rows counts none of them.
        (
            "select t.id, (select count(*) from db.t u where u.id = t.id + 1 having count(*) < $1) from db.t",
            vec![ScalarValue::from(5_i64)],
        ),
        (
            "select t.id, (select count(*) + $1 from db.t u where u.id = t.id + 1) from db.t",
            vec![ScalarValue::from(5_i64)],
        ),
        (
            "select id from db.t where exists (select 1 from db.t u where u.id = t.id + $1)",
            vec![ScalarValue::from(1_i64)],
        ),
        // The type of `round` depends on how many digits are wanted.
        (
            "select sum(round(cast(id as decimal(12, 4)), $1)), max(round(cast(id as decimal(12, 4)), $1)) from db.t",
            vec![ScalarValue::from(2_i64)],
        ),
        (
            "select id from db.t where round(cast(id as decimal(12, 4)), $1) > 1.5 and id < $2",
            vec![ScalarValue::from(2_i64), ScalarValue::from(9_i64)],
        ),
        (
            "select id, $1 in (1, 2), case when id = $1 then $2 else a end from db.t order by id + $1",
            vec![ScalarValue::from(1_i64), ScalarValue::from("one")],
        ),
        (
            "select id % $1 as rest, sum(id * $1) from db.t group by 1 having sum(id) > $2",
            vec![ScalarValue::from(2_i64), ScalarValue::from(0_i64)],
        ),
    ] {
        let mut written = sql.to_owned();
        for (number, value) in (1..).zip(&values) {
            let value = match value {
                ScalarValue::Utf8(Some(text)) => format!("'{text}'"),
                value => value.to_string(),
            };
            written = written.replace(&format!("${number}"), &value);
        }
        let wanted = told(&lake, &written, &[]).await.0;
        for _ in 0..3 {
            assert_eq!(told(&lake, sql, &values).await.0, wanted, "{sql}");
        }
    }
}

/// A filter on a partition column is not looked at again, one on any other column is.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_other_partitions_is_planned_afresh() {
    let world = World::new();
    let rows = [numbered(0..3, &[("a", "x")]), numbered(3..5, &[("a", "y")])];
    let made = opened(&world).await.write(rows.clone());
    made.with_partition_columns(["a"]).await.unwrap();
    let lake = world.lake(&["t"]);
    let sql = "select id from db.t where a = $1";
    let y = [ScalarValue::Utf8(Some("y".into()))];
    let wanted = vec!["3".to_owned(), "4".to_owned()];
    assert_eq!(told(&lake, sql, &y).await, (wanted.clone(), false));
    assert_eq!(told(&lake, sql, &y).await, (wanted.clone(), true));

    let store = Arc::clone(&world.location("t").store);
    let folder = world.location("t").path();
    let objects = futures::StreamExt::collect::<Vec<_>>(store.list(Some(&folder))).await;
    for object in objects {
        object_store::ObjectStoreExt::delete(&store, &object.unwrap().location)
            .await
            .unwrap();
    }
    let anew = opened(&world).await.write(rows);
    anew.with_save_mode(SaveMode::Overwrite).await.unwrap();
    let lake_again = world.lake(&["t"]);
    assert_eq!(told(&lake_again, sql, &y).await, (wanted.clone(), false));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        fresh(&lake).await;
        let (found, is_kept) = told(&lake, sql, &y).await;
        assert_eq!(found, wanted);
        if !is_kept {
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "it was never planned afresh"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_has_its_own_plans() {
    let world = World::new();
    let table = opened(&world).await;
    table.write([numbered(0..4, &[("a", "x")])]).await.unwrap();
    let lake = world.lake(&["t"]);
    let role = |name: &str, condition: &str| {
        let role = Role {
            name: name.into(),
            tables: vec!["*".into()],
            columns: BTreeMap::new(),
            rows: BTreeMap::from([("db.t".into(), condition.into())]),
            pii: true,
            authorized: Vec::new(),
            ingest: Vec::new(),
        };
        lake.with_role(&role).unwrap()
    };
    let (few, none) = (role("few", "id < 2"), role("none", "false"));
    for round in [false, true] {
        for (lake, wanted) in [(&lake, 4), (&few, 2), (&none, 0)] {
            let told = told(lake, "select id from db.t where a = 'x'", &[]).await;
            assert_eq!((told.0.len(), told.1), (wanted, round));
            // A condition with values meets rows that the role sees, and no others.
            let by_value = "select id from db.t where 6 / (id - $1) > -100";
            let values = Some(ParamValues::from(vec![ScalarValue::Int64(Some(3))]));
            let outcome = ask(lake, by_value, values).await;
            assert_eq!(outcome.is_ok(), wanted != 4, "{outcome:?}");
        }
    }
    let nobody = Role {
        name: "nobody".into(),
        tables: Vec::new(),
        ..Role::default()
    };
    let nobody = lake.with_role(&nobody).unwrap();
    let refused = ask(&nobody, "select id from db.t where a = 'x'", None).await;
    assert_eq!(refused.unwrap_err().kind, Kind::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_each_time_is_planned_each_time() {
    let world = World::new();
    let table = opened(&world).await;
    table.write([numbered(0..4, &[("a", "x")])]).await.unwrap();
    let lake = world.lake(&["t"]);
    for sql in [
        "select random() from db.t",
        "select now(), id from db.t",
        "explain select id from db.t",
        "explain analyze select id from db.t",
        "describe db.t",
        "select * from information_schema.tables",
    ] {
        for _ in 0..3 {
            assert!(!told(&lake, sql, &[]).await.1, "{sql}");
        }
    }
    // The type of a value decides as much as the text.
    let sql = "select $1 from db.t where id = 0";
    for value in [
        ScalarValue::Int64(Some(7)),
        ScalarValue::Utf8(Some("seven".into())),
        ScalarValue::Null,
        ScalarValue::Int64(Some(8)),
    ] {
        let wanted = match &value {
            ScalarValue::Null => "NULL".to_owned(),
            value => value.to_string(),
        };
        let is_again = value == ScalarValue::Int64(Some(8));
        assert_eq!(told(&lake, sql, &[value]).await, (vec![wanted], is_again));
    }
    let names = |lake: &Lake| {
        let request = Request {
            parameters: Some(ParamValues::from(vec![ScalarValue::Int64(Some(7))])),
            ..Request::new("select $1, id + $1, sum(id * $1) as s from db.t group by 2")
        };
        let lake = lake.clone();
        async move {
            let schema = lake.query(request).await.unwrap().schema;
            let fields = schema.fields().iter();
            fields.map(|field| field.name().clone()).collect::<Vec<_>>()
        }
    };
    assert_eq!(names(&lake).await, names(&lake).await);

    // What is wrong is said the same way each time.
    for (sql, values) in [
        ("select id from db.t where id = $1", vec![]),
        (
            "select id from db.t where id = $1",
            vec![ScalarValue::from(1_i64); 2],
        ),
        (
            "select id from db.t limit $1",
            vec![ScalarValue::from("two")],
        ),
    ] {
        let values = || (!values.is_empty()).then(|| ParamValues::from(values.clone()));
        let first = ask(&lake, sql, values()).await.unwrap_err();
        let again = ask(&lake, sql, values()).await.unwrap_err();
        assert_eq!(first.to_string(), again.to_string());
    }
    let two = [ScalarValue::from(2_i64)];
    let (found, is_kept) = told(&lake, "select id from db.t limit $1", &two).await;
    assert_eq!((found.len(), is_kept), (2, false));
}
