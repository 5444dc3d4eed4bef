//! Rows that a view or a function gives, against the declared columns.
//!
//! What differs only in how it is stored, or fits without loss, is cast; anything else is an error
//! that names the column.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use neurolake_model as model;

use crate::error::{Error, Kind, Result};
use crate::schema::{integer_fits, relax};
use crate::suggest::nearest;
use neurolake_delta::types::arrow_type;

/// The plan with the declared columns, in their order. `who` begins the message, such as
/// "the view `a.b`".
pub(crate) fn conform(
    plan: LogicalPlan,
    columns: &[model::Column],
    who: &str,
) -> Result<LogicalPlan> {
    if columns.is_empty() {
        return Ok(plan);
    }
    let mut expressions = Vec::with_capacity(columns.len());
    for column in columns {
        expressions.push(find(&plan, column, who)?);
    }
    Ok(LogicalPlanBuilder::from(plan)
        .project(expressions)?
        .build()?)
}

fn find(plan: &LogicalPlan, column: &model::Column, who: &str) -> Result<Expr> {
    let schema = plan.schema();
    let mut found = schema
        .iter()
        .filter(|(_, field)| field.name() == &column.name);
    let Some((qualifier, field)) = found.next() else {
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let near = nearest(&column.name, names).map(str::to_owned);
        let error = broken(format!("{who} gives no column `{}`", column.name));
        return Err(match near {
            Some(near) => error.with_hint(format!(
                "it gives `{near}`; give it the declared name, or declare that one"
            )),
            None => error.with_hint(format!(
                "it gives: {}",
                schema
                    .fields()
                    .iter()
                    .map(|field| format!("`{}`", field.name()))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        });
    };
    if found.next().is_some() {
        return Err(broken(format!("{who} gives two columns `{}`", column.name))
            .with_hint("name the columns that it gives, each once"));
    }
    // Declared nullability isn't enforced on the way, and DataFusion compares nested types
    // including it.
    let declared = relax(&arrow_type(&column.data_type));
    let given = Expr::Column(Column::new(qualifier.cloned(), field.name()));
    // Not `a as a`: with that and a field of a struct, an optimizer rule of DataFusion 55 makes a
    // projection with two columns of the same name.
    let expression = if relax(field.data_type()) == declared {
        return Ok(given);
    } else if fits(field.data_type(), &declared) {
        cast(given, declared)
    } else {
        return Err(broken(format!(
            "{who} gives `{}` as {}, declared is {}",
            column.name,
            field.data_type(),
            column.data_type
        ))
        .with_hint(format!(
            "write `cast(... as {declared})` or `arrow_cast`, or correct the declaration"
        )));
    };
    Ok(expression.alias(&column.name))
}

fn broken(message: String) -> Error {
    Error::new(Kind::Broken, message)
}

/// Whether every value of one type is one of the other.
pub(crate) fn fits(given: &DataType, declared: &DataType) -> bool {
    use DataType as D;
    match (given, declared) {
        (D::Dictionary(_, value), _) => fits(value, declared),
        (D::RunEndEncoded(_, value), _) => fits(value.data_type(), declared),
        (D::Null, _)
        | (D::Utf8 | D::LargeUtf8 | D::Utf8View, D::Utf8)
        | (D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_), D::Binary) => true,
        // An instant is the same in every time zone.
        (D::Timestamp(unit, Some(_)), D::Timestamp(TimeUnit::Microsecond, Some(_))) => {
            !matches!(unit, TimeUnit::Nanosecond)
        }
        (D::Decimal128(digits, scale), D::Decimal128(more, finer)) => {
            scale <= finer
                && i16::from(*digits) - i16::from(*scale) <= i16::from(*more) - i16::from(*finer)
        }
        (
            D::List(given) | D::LargeList(given) | D::FixedSizeList(given, _) | D::ListView(given),
            D::List(declared),
        ) => fits(given.data_type(), declared.data_type()),
        (D::Struct(given), D::Struct(declared)) => {
            given.len() == declared.len()
                && given.iter().zip(declared).all(|(given, declared)| {
                    given.name() == declared.name() && fits(given.data_type(), declared.data_type())
                })
        }
        (D::Map(given, _), D::Map(declared, _)) => {
            match (given.data_type(), declared.data_type()) {
                (D::Struct(given), D::Struct(declared)) => given
                    .iter()
                    .zip(declared)
                    .all(|(given, declared)| fits(given.data_type(), declared.data_type())),
                _ => false,
            }
        }
        (given, declared) => given == declared || widens(given, declared),
    }
}

/// Whether a number becomes a wider one.
fn widens(given: &DataType, declared: &DataType) -> bool {
    use DataType as D;
    match declared {
        integer if integer.is_integer() && given.is_integer() => integer_fits(integer, given),
        D::Float32 => matches!(given, D::Float16),
        D::Float64 => matches!(
            given,
            D::Float16
                | D::Float32
                | D::Int8
                | D::Int16
                | D::Int32
                | D::UInt8
                | D::UInt16
                | D::UInt32
        ),
        _ => false,
    }
}
