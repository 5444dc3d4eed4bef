//! Whether a filter leaves so few rows that it should run inside the decoder.
//!
//! There the columns that are only shown are decoded for the rows that match. That saves most of the
//! work if few match, and costs some if many do, because what is decoded is cut into pieces. So
//! somebody has to judge, and only equality can be judged by bounds: of values between 1 and 1,000
//! about one in 1,000 is the one that is asked for.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Column;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_optimizer::pruning::PruningStatistics;

/// Rows of which one is expected to match, at least.
const ROWS_PER_MATCH: u64 = 100;

/// Whether the rows that match are expected to be few, in these files.
pub(super) fn is_selective(
    files: &dyn PruningStatistics,
    kept: &[usize],
    filters: &[Expr],
) -> bool {
    let parts = filters.iter().flat_map(split_conjunction);
    parts.filter_map(equality).any(|(column, values)| {
        let expected = expected(files, kept, column, values);
        expected.is_some_and(|(rows, matching)| matching <= rows / ROWS_PER_MATCH)
    })
}

/// The column, and how many values it may have.
fn equality(filter: &Expr) -> Option<(&Column, usize)> {
    match filter {
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => {
            match (binary.left.as_ref(), binary.right.as_ref()) {
                (Expr::Column(column), Expr::Literal(..))
                | (Expr::Literal(..), Expr::Column(column)) => Some((column, 1)),
                _ => None,
            }
        }
        // So the optimizer writes short lists.
        Expr::BinaryExpr(binary) if binary.op == Operator::Or => {
            let (column, values) = equality(&binary.left)?;
            let (other, more) = equality(&binary.right)?;
            (column == other).then_some((column, values + more))
        }
        Expr::InList(list) if !list.negated => {
            let is_literal = |value: &Expr| matches!(value, Expr::Literal(..));
            match list.expr.as_ref() {
                Expr::Column(column) if list.list.iter().all(is_literal) => {
                    Some((column, list.list.len()))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Rows of the files, and how many of them match if values are spread evenly. `None`: unknown.
fn expected(
    files: &dyn PruningStatistics,
    kept: &[usize],
    column: &Column,
    values: usize,
) -> Option<(u64, u64)> {
    let min = whole_numbers(&files.min_values(column)?)?;
    let max = whole_numbers(&files.max_values(column)?)?;
    let (min, max) = (
        min.as_primitive::<Int64Type>(),
        max.as_primitive::<Int64Type>(),
    );
    let counts = files.row_counts()?;
    let counts = counts.as_any().downcast_ref::<UInt64Array>()?;
    let (mut rows, mut matching) = (0, 0);
    for &file in kept {
        if min.is_null(file) || max.is_null(file) || counts.is_null(file) {
            return None;
        }
        let of_file = counts.value(file);
        let different = max.value(file).abs_diff(min.value(file)).saturating_add(1);
        rows += of_file;
        matching += (of_file / different).saturating_mul(values as u64);
    }
    Some((rows, matching))
}

/// Values of which there are finitely many between two of them.
fn whole_numbers(values: &ArrayRef) -> Option<ArrayRef> {
    match values.data_type() {
        DataType::Date32 | DataType::Timestamp(..) => {}
        integer if integer.is_integer() => {}
        _ => return None,
    }
    // What doesn't fit becomes null: unknown.
    cast(values, &DataType::Int64).ok()
}
