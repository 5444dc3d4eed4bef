//! The function tables of the demo, over empty tables of the declared columns: what they give is
//! what they declare, and every argument reaches them.

#![cfg(feature = "engine")]

use std::sync::Arc;

use neurolake::datafusion::arrow::array::RecordBatch;
use neurolake::datafusion::arrow::datatypes::SchemaRef;
use neurolake::datafusion::dataframe::DataFrame;
use neurolake::model::{Catalog, Source};
use neurolake::{Lake, Result};
use neurolake_delta::types;
use neurolake_demo as _;
use neurolake_query::{Arguments, FunctionTable};

struct Empty(SchemaRef);

#[async_trait::async_trait]
impl FunctionTable for Empty {
    async fn rows(&self, lake: neurolake_query::Lake, _: Arguments) -> Result<DataFrame> {
        let batch = RecordBatch::new_empty(Arc::clone(&self.0));
        Ok(lake.context().read_batch(batch)?)
    }
}

/// Every table that isn't a function, without a store.
fn lake() -> Lake {
    let mut catalog: Catalog = neurolake::registry::catalog("demo");
    let mut empty = Vec::new();
    for database in &mut catalog.databases {
        for table in &mut database.tables {
            if !matches!(table.source, Source::Function { .. }) && !table.columns.is_empty() {
                table.source = Source::Function {
                    arguments: Vec::new(),
                };
                let schema = types::arrow_schema(&table.columns);
                empty.push((database.name.clone(), table.name.clone(), schema));
            }
        }
    }
    let mut builder = neurolake::lake_builder(catalog);
    for (database, table, schema) in empty {
        builder = builder.function(database, table, Arc::new(Empty(schema)));
    }
    builder.build().expect("a lake").into()
}

#[tokio::test]
async fn they_give_what_they_declare() {
    let lake = lake();
    let mut tables: Vec<(&str, &str)> = Vec::new();
    for (sql, database, table) in [
        (
            "select * from behavior.session_summaries where implant_id = 7 \
             and since = '2026-02-23' and tasks in ('webgrid', 'center_out')",
            "behavior",
            "session_summaries",
        ),
        (
            "select * from surgery.robot_insertions where surgery_id = 31 \
             and since = '2026-02-23T09:30:00Z' and min_focus = 0.6",
            "surgery",
            "robot_insertions",
        ),
        (
            "select * from telemetry.health_windows where implant_id = 7 \
             and since = '2026-03-01T09:30:00Z' and \"window\" = 'hour' and below = 3.55",
            "telemetry",
            "health_windows",
        ),
        (
            "select * from manufacturing.yield where since = '2026-02-01' \
             and until = '2026-02-28' and station = 'BOND-2'",
            "manufacturing",
            "yield",
        ),
    ] {
        let frame = lake.sql(sql).await.expect(sql);
        assert_eq!(frame.count().await.expect(sql), 0);
        tables.push((database, table));
    }
    let catalog = neurolake::registry::catalog("demo");
    let declared: Vec<(&str, &str)> = catalog
        .tables()
        .filter(|(_, table)| matches!(table.source, Source::Function { .. }))
        .map(|(database, table)| (database.name.as_str(), table.name.as_str()))
        .collect();
    tables.sort_unstable();
    assert_eq!(declared, tables, "a function table is not tried here");
}

#[tokio::test]
async fn a_typed_table_is_found_by_its_struct() {
    let lake = lake();
    let frame = lake
        .table::<neurolake_demo::behavior::Trials>()
        .await
        .expect("a frame");
    assert_eq!(frame.schema().fields().len(), 13);
}
