//! Where the time of a query went.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;

use crate::catalog::parse_version;
use crate::lake::Scope;

/// The operators of a running query, with what each has done so far. Its text holds names of
/// operators and numbers, never a value of the statement or of a row.
#[derive(Debug, Clone)]
pub struct Profile(Arc<dyn ExecutionPlan>);

impl Profile {
    pub(crate) fn new(plan: &Arc<dyn ExecutionPlan>) -> Self {
        Self(Arc::clone(plan))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_operator(f, self.0.as_ref(), 0)
    }
}

fn write_operator(
    f: &mut fmt::Formatter<'_>,
    plan: &dyn ExecutionPlan,
    depth: usize,
) -> fmt::Result {
    if depth > 0 {
        f.write_char('\n')?;
    }
    write!(f, "{:1$}{2}", "", 2 * depth, plan.name())?;
    if let Some(metrics) = plan.metrics() {
        if let Some(rows) = metrics.output_rows() {
            write!(f, " rows={rows}")?;
        }
        if let Some(nanoseconds) = metrics.elapsed_compute() {
            write!(f, " time={:?}", Duration::from_nanos(nanoseconds as u64))?;
        }
        for name in ["bytes_scanned", "spilled_bytes"] {
            if let Some(value) = metrics
                .sum_by_name(name)
                .filter(|value| value.as_usize() > 0)
            {
                write!(f, " {name}={}", value.as_usize())?;
            }
        }
    }
    for child in plan.children() {
        write_operator(f, child.as_ref(), depth + 1)?;
    }
    Ok(())
}

/// Tables of the lake that a statement names, as `database.table`, each once.
pub(crate) fn tables(scope: &Scope, plan: &LogicalPlan) -> Vec<String> {
    let mut tables = Vec::new();
    // It only fails where the closure does.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(schema) = scan.table_name.schema()
        {
            let table = scan.table_name.table();
            let table = parse_version(table).map_or(table, |(table, _)| table);
            let name = format!("{schema}.{table}");
            let is_declared = || scope.shared.tables.declaration(schema, table).is_some();
            if !tables.contains(&name) && is_declared() {
                tables.push(name);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    tables
}
