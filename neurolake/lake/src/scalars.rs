//! Values of declared types, to and from the query engine.

use neurolake_query::datafusion::arrow::array::{Array, AsArray};
use neurolake_query::datafusion::logical_expr::{Expr, Literal};
use neurolake_query::datafusion::scalar::ScalarValue;

use crate::values::{Date, Decimal, Timestamp};

/// A type that an argument of a function table can have.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the type of a filter",
    note = "use a scalar, `Option` of one, or `Vec` of one"
)]
pub trait FromArgument: Sized {
    /// The value, where it is one of this type.
    fn from_argument(value: &ScalarValue) -> Option<Self>;

    /// What stands for a value that the query doesn't give.
    fn absent() -> Option<Self> {
        None
    }

    /// Many values. Bytes differ: `Vec<u8>` is one value.
    #[doc(hidden)]
    fn many(value: &ScalarValue) -> Option<Vec<Self>> {
        let list: &dyn Array = match value {
            ScalarValue::List(list) => list.as_ref(),
            _ => return None,
        };
        let elements = list.as_list_opt::<i32>()?;
        if elements.len() != 1 || elements.is_null(0) {
            return None;
        }
        let elements = elements.value(0);
        (0..elements.len())
            .map(|index| {
                let element = ScalarValue::try_from_array(&elements, index).ok()?;
                Self::from_argument(&element)
            })
            .collect()
    }
}

macro_rules! from_argument {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl FromArgument for $type {
            fn from_argument(value: &ScalarValue) -> Option<Self> {
                match value {
                    ScalarValue::$variant(value) => *value,
                    _ => None,
                }
            }
        }
    )*};
}

from_argument! {
    bool => Boolean,
    i8 => Int8,
    i16 => Int16,
    i32 => Int32,
    i64 => Int64,
    u16 => UInt16,
    u32 => UInt32,
    u64 => UInt64,
    f32 => Float32,
    f64 => Float64,
}

impl FromArgument for u8 {
    fn from_argument(value: &ScalarValue) -> Option<Self> {
        match value {
            ScalarValue::UInt8(value) => *value,
            _ => None,
        }
    }

    fn many(value: &ScalarValue) -> Option<Vec<Self>> {
        match value {
            ScalarValue::Binary(value) => value.clone(),
            _ => None,
        }
    }
}

impl FromArgument for String {
    fn from_argument(value: &ScalarValue) -> Option<Self> {
        value.try_as_str().flatten().map(str::to_owned)
    }
}

impl FromArgument for Date {
    fn from_argument(value: &ScalarValue) -> Option<Self> {
        match value {
            ScalarValue::Date32(days) => days.map(Self::from_days),
            _ => None,
        }
    }
}

impl FromArgument for Timestamp {
    fn from_argument(value: &ScalarValue) -> Option<Self> {
        match value {
            ScalarValue::TimestampMicrosecond(micros, _) => micros.map(Self::from_micros),
            _ => None,
        }
    }
}

impl<const P: u8, const S: u8> FromArgument for Decimal<P, S> {
    fn from_argument(value: &ScalarValue) -> Option<Self> {
        match value {
            ScalarValue::Decimal128(unscaled, _, scale) if i16::from(*scale) == i16::from(S) => {
                unscaled.and_then(Self::from_unscaled)
            }
            _ => None,
        }
    }
}

impl<T: FromArgument> FromArgument for Vec<T> {
    fn from_argument(value: &ScalarValue) -> Option<Self> {
        T::many(value)
    }
}

impl<T: FromArgument> FromArgument for Option<T> {
    fn from_argument(value: &ScalarValue) -> Option<Self> {
        if value.is_null() {
            return Some(None);
        }
        T::from_argument(value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl Literal for Date {
    fn lit(&self) -> Expr {
        Expr::Literal(ScalarValue::Date32(Some(self.as_days())), None)
    }
}

impl Literal for Timestamp {
    fn lit(&self) -> Expr {
        let value = ScalarValue::TimestampMicrosecond(Some(self.as_micros()), Some("UTC".into()));
        Expr::Literal(value, None)
    }
}

impl<const P: u8, const S: u8> Literal for Decimal<P, S> {
    fn lit(&self) -> Expr {
        let scale = i8::try_from(S).expect("a scale is at most 38");
        let value = ScalarValue::Decimal128(Some(self.unscaled()), P, scale);
        Expr::Literal(value, None)
    }
}

#[cfg(test)]
mod tests {
    use neurolake_query::datafusion::arrow::datatypes::DataType;
    use neurolake_query::datafusion::prelude::lit;

    use super::*;

    fn scalar(value: impl Literal) -> ScalarValue {
        match lit(value) {
            Expr::Literal(scalar, _) => scalar,
            other => panic!("{other} is no literal"),
        }
    }

    #[test]
    fn values_come_back_as_they_went() {
        let date = Date::from_days(-3);
        assert_eq!(Date::from_argument(&scalar(date)), Some(date));
        let time = Timestamp::from_micros(1_772_357_400_000_250);
        assert_eq!(Timestamp::from_argument(&scalar(time)), Some(time));
        let price = Decimal::<10, 2>::from_unscaled(-1250);
        assert_eq!(
            price
                .map(scalar)
                .and_then(|value| Decimal::<10, 2>::from_argument(&value)),
            price
        );
        assert_eq!(i32::from_argument(&scalar(7_i32)), Some(7));
        assert_eq!(i32::from_argument(&scalar(7_i64)), None);
        assert_eq!(String::from_argument(&scalar("a'b")), Some("a'b".into()));
    }

    #[test]
    fn lists_and_bytes_differ() {
        let words = ["a", "b"].map(ScalarValue::from);
        let list = ScalarValue::List(ScalarValue::new_list(&words, &DataType::Utf8, true));
        assert_eq!(
            Vec::<String>::from_argument(&list),
            Some(vec!["a".into(), "b".into()])
        );
        let bytes = ScalarValue::Binary(Some(vec![0, 255]));
        assert_eq!(Vec::<u8>::from_argument(&bytes), Some(vec![0, 255]));
    }

    #[test]
    fn only_an_option_may_be_absent() {
        assert_eq!(Option::<i32>::absent(), Some(None));
        assert_eq!(i32::absent(), None);
        assert_eq!(
            Option::<i32>::from_argument(&ScalarValue::Int32(None)),
            Some(None)
        );
    }
}
