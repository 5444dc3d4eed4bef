//! The functions that rewritten expressions call.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, IntervalMonthDayNanoArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::{length, numeric};
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{exec_err, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::INTERVAL;
use crate::spelling;

/// Name of [`nearest`], as C has it.
pub(super) const NEAREST: &str = "rint";

/// Functions that statements may call by their names, too.
pub(crate) fn registered() -> [Arc<ScalarUDF>; 1] {
    [Arc::clone(&MULTIPLE)]
}

/// `+`, `-` or `*` of two integers of one type.
pub(super) fn checked(operator: Operator, left: Expr, right: Expr) -> Expr {
    let function = match operator {
        Operator::Plus => &SUM,
        Operator::Minus => &DIFFERENCE,
        _ => &PRODUCT,
    };
    function.call(vec![left, right])
}

/// What [`checked`] was made from.
pub(crate) fn arithmetic(call: &ScalarFunction) -> Option<BinaryExpr> {
    let function = call.func.inner().downcast_ref::<Function>()?;
    let (Body::Checked(op), [left, right]) = (function.body, call.args.as_slice()) else {
        return None;
    };
    Some(BinaryExpr {
        left: Box::new(left.clone()),
        op,
        right: Box::new(right.clone()),
    })
}

/// The nearest whole number, of two the even one.
pub(super) fn nearest(number: Expr) -> Expr {
    ROUNDED.call(vec![number])
}

/// The text that PostgreSQL writes.
pub(super) fn text(value: Expr) -> Expr {
    TEXT.call(vec![value])
}

/// What lengths of time are compared by.
pub(super) fn interval_length(interval: Expr) -> Expr {
    LENGTH.call(vec![interval])
}

/// How many bytes there are.
pub(super) fn bytes(value: Expr) -> Expr {
    BYTES.call(vec![value])
}

/// What two instants are apart, in days and hours.
pub(super) fn interval(apart: Expr) -> Expr {
    INTERVAL_OF.call(vec![apart])
}

/// An interval so many times.
pub(super) fn multiple(interval: Expr, times: Expr) -> Expr {
    MULTIPLE.call(vec![interval, times])
}

/// Whether [`text`] is another than the engine's.
pub(super) fn is_spelled(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(..)
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Interval(_)
        | DataType::Duration(_) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => {
            !item.data_type().is_nested() && !item.data_type().is_binary()
        }
        _ => false,
    }
}

/// An interval in so many parts.
pub(super) fn part(interval: Expr, parts: Expr) -> Expr {
    PART.call(vec![interval, parts])
}

static SUM: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| function("checked_add", 2, Body::Checked(Operator::Plus)));
static DIFFERENCE: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| function("checked_sub", 2, Body::Checked(Operator::Minus)));
static PRODUCT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| function("checked_mul", 2, Body::Checked(Operator::Multiply)));
static ROUNDED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function(NEAREST, 1, Body::Nearest));
static TEXT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function("pg_text", 1, Body::Text));
static LENGTH: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| function("interval_length", 1, Body::Length));
static BYTES: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function("bytes_length", 1, Body::Bytes));
static MULTIPLE: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| function("interval_mul", 2, Body::Multiple));
static INTERVAL_OF: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| function("interval_of", 1, Body::Interval));
static PART: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| function("interval_div", 2, Body::Part));

fn function(name: &'static str, arguments: usize, body: Body) -> Arc<ScalarUDF> {
    let signature = Signature::any(arguments, Volatility::Immutable);
    Arc::new(ScalarUDF::from(Function {
        name,
        signature,
        body,
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    name: &'static str,
    signature: Signature,
    body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Body {
    Checked(Operator),
    Nearest,
    Text,
    Length,
    Bytes,
    Interval,
    Multiple,
    Part,
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    // Columns have the names that they have without it.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        match (self.body, arguments) {
            (Body::Checked(op), [left, right]) => Ok(format!(
                "{} {op} {}",
                left.schema_name(),
                right.schema_name()
            )),
            (_, arguments) => {
                let names = arguments.iter().map(Expr::schema_name);
                let names: Vec<_> = names.map(|name| name.to_string()).collect();
                Ok(format!("{}({})", self.name, names.join(",")))
            }
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match self.body {
            Body::Checked(_) | Body::Nearest => arguments[0].clone(),
            Body::Text => DataType::Utf8,
            // Twelve bytes of nanoseconds at most.
            Body::Length => DataType::Decimal128(38, 0),
            Body::Bytes => DataType::Int32,
            Body::Interval | Body::Multiple | Body::Part => INTERVAL,
        })
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let fields = arguments.arg_fields.iter();
        let types: Vec<_> = fields.map(|field| field.data_type().clone()).collect();
        let is_nullable = arguments.arg_fields.iter().any(|field| field.is_nullable());
        let data_type = self.return_type(&types)?;
        Ok(Arc::new(Field::new(self.name, data_type, is_nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ScalarFunctionArgs { args, .. } = arguments;
        if let (Body::Checked(op), [left, right]) = (self.body, args.as_slice()) {
            return checked_values(op, left, right);
        }
        let is_scalar = args
            .iter()
            .all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&args)?;
        let values: ArrayRef = match (self.body, columns.as_slice()) {
            (Body::Nearest, [column]) => rounded(column)?,
            (Body::Text, [column]) => Arc::new(spelling::spell(column)?),
            (Body::Length, [column]) => Arc::new(lengths(column)?),
            (Body::Bytes, [column]) => cast(&length::length(column)?, &DataType::Int32)?,
            (Body::Interval, [column]) => spelling::intervals(column)?,
            (Body::Multiple, [intervals, times]) => {
                Arc::new(scaled(intervals, times, |value, times| value * times)?)
            }
            (Body::Part, [intervals, parts]) => {
                if cast(parts, &DataType::Float64)?
                    .as_primitive::<Float64Type>()
                    .iter()
                    .flatten()
                    .any(|parts| parts == 0.0)
                {
                    return exec_err!("division by zero");
                }
                Arc::new(scaled(intervals, parts, |value, parts| value / parts)?)
            }
            _ => return internal_err!("wrong arguments of {}", self.name),
        };
        Ok(match is_scalar {
            true => {
                ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&values, 0)?)
            }
            false => ColumnarValue::Array(values),
        })
    }
}

fn checked_values(
    operator: Operator,
    left: &ColumnarValue,
    right: &ColumnarValue,
) -> Result<ColumnarValue> {
    let kernel = match operator {
        Operator::Plus => numeric::add,
        Operator::Minus => numeric::sub,
        _ => numeric::mul,
    };
    let name = left.data_type();
    datafusion::physical_expr_common::datum::apply(left, right, kernel).or_else(|error| match error
        .find_root()
    {
        datafusion::error::DataFusionError::ArrowError(inner, _)
            if matches!(inner.as_ref(), ArrowError::ArithmeticOverflow(_)) =>
        {
            exec_err!("{} out of range", integer(&name))
        }
        _ => Err(error),
    })
}

/// Name of a type of integers.
fn integer(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int8 => "tinyint",
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        DataType::Int64 => "bigint",
        _ => "unsigned integer",
    }
}

fn rounded(column: &ArrayRef) -> Result<ArrayRef> {
    Ok(match column.data_type() {
        DataType::Float32 => Arc::new(
            column
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(f32::round_ties_even),
        ),
        DataType::Float64 => Arc::new(
            column
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(f64::round_ties_even),
        ),
        DataType::Float16 => {
            let wide = cast(column, &DataType::Float32)?;
            let rounded = wide
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(f32::round_ties_even);
            cast(&rounded, &DataType::Float16)?
        }
        other => return internal_err!("{other} is no float"),
    })
}

fn parts(column: &ArrayRef) -> Result<IntervalMonthDayNanoArray> {
    let column = spelling::intervals(column)?;
    Ok(column.as_primitive::<IntervalMonthDayNanoType>().clone())
}

/// In nanoseconds, of months of thirty days.
fn lengths(column: &ArrayRef) -> Result<Decimal128Array> {
    const DAY: i128 = 86_400_000_000_000;
    let column = parts(column)?;
    let lengths = column.iter().map(|interval| {
        let interval = interval?;
        let days = i128::from(interval.months) * 30 + i128::from(interval.days);
        Some(days * DAY + i128::from(interval.nanoseconds))
    });
    let lengths: Decimal128Array = lengths.collect();
    Ok(lengths.with_precision_and_scale(38, 0)?)
}

/// As `interval_mul` and `interval_div` of PostgreSQL do it: parts of months become days, parts of days
/// become time.
fn scaled(
    intervals: &ArrayRef,
    by: &ArrayRef,
    scale: fn(f64, f64) -> f64,
) -> Result<IntervalMonthDayNanoArray> {
    let by = cast(by, &DataType::Float64)?;
    let intervals = parts(intervals)?;
    let pairs = intervals.iter().zip(by.as_primitive::<Float64Type>());
    pairs
        .map(|pair| match pair {
            (Some(interval), Some(by)) => scaled_one(interval, |value| scale(value, by)).map(Some),
            _ => Ok(None),
        })
        .collect()
}

fn scaled_one(
    interval: IntervalMonthDayNano,
    scale: impl Fn(f64) -> f64,
) -> Result<IntervalMonthDayNano> {
    const DAYS: f64 = 30.0;
    const SECONDS: f64 = 86_400.0;
    const MICROSECONDS: f64 = 1e6;
    // To whole millionths.
    let rounded = |value: f64| (value * MICROSECONDS).round_ties_even() / MICROSECONDS;
    let months = scale(f64::from(interval.months));
    let days = scale(f64::from(interval.days));
    let of_months = rounded(months.fract() * DAYS);
    let seconds = rounded((days.fract() + of_months.fract()) * SECONDS);
    let carried = (seconds / SECONDS).trunc();
    let seconds = seconds - carried * SECONDS;
    let days = days.trunc() + carried + of_months.trunc();
    let time = scale(interval.nanoseconds as f64 / 1_000.0) + seconds * MICROSECONDS;
    // Nothing that isn't a number fits.
    let fits = |value: f64, most: f64| value.abs() < most;
    let most = f64::from(i32::MAX);
    if !fits(months, most) || !fits(days, most) || !fits(time, i64::MAX as f64 / 1_000.0) {
        return exec_err!("interval out of range");
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was looked at")]
    Ok(IntervalMonthDayNano {
        months: months as i32,
        days: days as i32,
        nanoseconds: time.round_ties_even() as i64 * 1_000,
    })
}
