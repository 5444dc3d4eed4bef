//! Whether a filter leaves so few rows that it should run inside the decoder.
//!
//! There the columns that are only shown are decoded for the rows that match. That saves most of the
//! work if few match, and costs some if many do, because what is decoded is cut into pieces. So
//! somebody has to judge, and only equality can be judged by bounds: of values between 1 and 1,000
//! about one in 1,000 is the one that is asked for.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_optimizer::pruning::PruningStatistics;

/// Rows of which one is expected to match, at least.
const ROWS_PER_MATCH: f64 = 100.0;

/// Whether the rows that match are expected to be few, in these files.
pub(super) fn is_selective(
    files: &dyn PruningStatistics,
    kept: &[usize],
    filters: &[Expr],
) -> bool {
    // What goes wrong in the decoder would be blamed on the file.
    if !filters.iter().all(never_fails) {
        return false;
    }
    let parts = filters.iter().flat_map(split_conjunction);
    parts.filter_map(equality).any(|(column, values)| {
        let share = share(files, kept, column, &values);
        share.is_some_and(|share| share * ROWS_PER_MATCH <= 1.0)
    })
}

/// Whether the filter only compares what is there.
fn never_fails(filter: &Expr) -> bool {
    let can_fail = |expr: &Expr| {
        Ok(match expr {
            Expr::BinaryExpr(binary) => !matches!(
                binary.op,
                Operator::And
                    | Operator::Or
                    | Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            ),
            Expr::Column(_)
            | Expr::Literal(..)
            | Expr::InList(_)
            | Expr::Between(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_) => false,
            _ => true,
        })
    };
    // The closure never fails.
    !filter.exists(can_fail).unwrap_or(true)
}

/// The column, and the values that it may have.
fn equality(filter: &Expr) -> Option<(&Column, Vec<i64>)> {
    match filter {
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
            match (binary.left.as_ref(), binary.right.as_ref()) {
                (Expr::Column(column), value) | (value, Expr::Column(column)) => {
                    Some((column, vec![whole_number(value)?]))
                }
                _ => None,
            }
        }
        // So the optimizer writes short lists.
        Expr::BinaryExpr(binary) if binary.op == Operator::Or => {
            let (column, mut values) = equality(&binary.left)?;
            let (other, more) = equality(&binary.right)?;
            values.extend(more);
            (column == other).then_some((column, values))
        }
        Expr::InList(list) if !list.negated => {
            let Expr::Column(column) = list.expr.as_ref() else {
                return None;
            };
            let values = list.list.iter().map(whole_number);
            Some((column, values.collect::<Option<_>>()?))
        }
        _ => None,
    }
}

/// The part of the rows that is expected to match, if a file's values are spread evenly between its
/// bounds. `None`: unknown.
fn share(
    files: &dyn PruningStatistics,
    kept: &[usize],
    column: &Column,
    values: &[i64],
) -> Option<f64> {
    let min = whole_numbers(&files.min_values(column)?)?;
    let max = whole_numbers(&files.max_values(column)?)?;
    let counts = files.row_counts()?;
    let counts = counts.as_any().downcast_ref::<UInt64Array>()?;
    let (mut rows, mut matching) = (0.0, 0.0);
    for &file in kept {
        if min.is_null(file) || max.is_null(file) || counts.is_null(file) {
            return None;
        }
        let bounds = min.value(file)..=max.value(file);
        let different = bounds.end().abs_diff(*bounds.start()) as f64 + 1.0;
        let wanted = values.iter().filter(|value| bounds.contains(value)).count() as f64;
        let of_file = counts.value(file) as f64;
        rows += of_file;
        matching += of_file * (wanted / different).min(1.0);
    }
    Some(matching / rows)
}

fn whole_number(value: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = value else {
        return None;
    };
    let value = whole_numbers(&value.to_array().ok()?)?;
    value.is_valid(0).then(|| value.value(0))
}

/// Values of which there are finitely many between two of them.
fn whole_numbers(values: &ArrayRef) -> Option<Int64Array> {
    match values.data_type() {
        DataType::Date32 | DataType::Timestamp(..) => {}
        integer if integer.is_integer() => {}
        _ => return None,
    }
    // What doesn't fit becomes null: unknown.
    let values = cast(values, &DataType::Int64).ok()?;
    Some(values.as_primitive().clone())
}
