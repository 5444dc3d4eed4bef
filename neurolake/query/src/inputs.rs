//! What an answer was made from, so that whoever keeps it can tell whether it still holds.

use std::sync::Weak;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use neurolake_delta::{At, Snapshot};

use crate::lake::Lake;

/// The versions of the tables that an answer was made from.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    tables: Vec<Input>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) database: String,
    pub(crate) table: String,
    pub(crate) at: Option<At>,
    /// The cache of snapshots holds it as long as it is the newest.
    pub(crate) snapshot: Weak<Snapshot>,
    /// What tells the version from others, also of other processes.
    pub(crate) tag: String,
}

impl Inputs {
    /// Also made from these.
    pub fn add(&mut self, other: &Self) {
        self.tables.extend(other.tables.iter().cloned());
    }

    /// The versions, as text: the same for the same versions, in any process.
    pub fn tag(&self) -> String {
        let tables = self.tables.iter();
        let mut tags: Vec<String> = tables
            .map(|input| format!("{}.{}@{}", input.database, input.table, input.tag))
            .collect();
        tags.sort();
        tags.join("\n")
    }
}

/// What a session has read so far.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    inputs: Inputs,
    /// Something without versions was read, or something that differs each time.
    is_changing: bool,
}

impl Noted {
    pub(crate) fn read(&mut self, input: Input) {
        self.inputs.tables.push(input);
    }

    pub(crate) fn changes(&mut self) {
        self.is_changing = true;
    }

    pub(crate) fn inputs(&self) -> Option<Inputs> {
        (!self.is_changing).then(|| self.inputs.clone())
    }
}

/// Whether a plan gives the same answer each time that its tables are the same.
pub(crate) fn is_repeatable(plan: &LogicalPlan) -> bool {
    let mut is_repeatable = true;
    let visited = plan.apply_with_subqueries(|node| {
        // It tells how long things took.
        is_repeatable &= !matches!(node, LogicalPlan::Analyze(_));
        for expression in node.expressions() {
            expression.apply(|expression| {
                if let Expr::ScalarFunction(call) = expression {
                    is_repeatable &= call.func.signature().volatility == Volatility::Immutable;
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    is_repeatable && visited.is_ok()
}

impl Lake {
    /// Whether the tables that an answer was made from are still as they were. As cheap as beginning
    /// to read them: nothing is planned.
    pub async fn is_unchanged(&self, inputs: &Inputs) -> bool {
        for input in &inputs.tables {
            let source = self.scope.shared.tables.find(&input.database, &input.table);
            let Ok(source) = source else { return false };
            if !source.is_unchanged(&self.scope, input).await {
                return false;
            }
        }
        true
    }
}
