//! Function tables.

use neurolake::prelude::*;

use super::neural::{Everything, nested::Place};

/// With everything.
#[table(
    rows = Place,
    owner = "robotics",
    tags("b", "a"),
    example(id = -7, since = "2026-03-01", names = ["a", "b"], ratio = 1e-3, nothing = None),
    notebook("One", "https://example.org/1"),
    notebook("Two", "notebooks/two.ipynb"),
    freshness = "10m"
)]
pub async fn places(
    lake: &Lake,
    id: i64,
    since: Option<Date>,
    names: Vec<String>,
    ratio: f64,
    nothing: Option<Decimal<10, 2>>,
    label: &str,
) -> Result<DataFrame> {
    let everything = lake.table::<Everything>().await?;
    let sorted = lake.table::<super::neural::inline::Deep>().await?;
    lake.sql("with x as (select * from sources.postgres) select * from x")
        .await
}

/// Without anything.
#[neurolake::table]
pub async fn bare(lake: &Lake) -> Result<DataFrame> {
    lake.sql("select 1").await
}

/// Named otherwise.
#[table(
    name = "other_name",
    database = "elsewhere",
    inputs("neural.everything", Everything)
)]
async fn r#match(lake: &Lake, r#in: bool) -> Result<DataFrame> {
    lake.table::<Everything>().await
}
