//! Parameters of a statement: from JSON to the engine's values.

use std::collections::HashMap;

use neurolake_query::datafusion::common::{ParamValues, ScalarValue};
use serde_json::Value;

use crate::refusal::Refusal;

/// `[..]` fills `$1`, `$2`...; `{..}` fills `$name`.
pub(crate) fn from_json(value: Value) -> Result<Option<ParamValues>, Refusal> {
    match value {
        Value::Null => Ok(None),
        Value::Array(values) => {
            let values = values.into_iter().enumerate();
            let values: Result<Vec<ScalarValue>, Refusal> = values
                .map(|(index, value)| scalar(&format!("${}", index + 1), value))
                .collect();
            Ok(Some(ParamValues::from(values?)))
        }
        Value::Object(values) => {
            let values: Result<HashMap<String, ScalarValue>, Refusal> = values
                .into_iter()
                .map(|(name, value)| Ok((name.clone(), scalar(&format!("${name}"), value)?)))
                .collect();
            Ok(Some(ParamValues::from(values?)))
        }
        _ => Err(
            Refusal::bad_request("`parameters` is neither a list nor an object")
                .with_hint("write [7, \"a\"] for `$1` and `$2`, or {\"name\": 7} for `$name`"),
        ),
    }
}

fn scalar(place: &str, value: Value) -> Result<ScalarValue, Refusal> {
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(value) => ScalarValue::Boolean(Some(value)),
        Value::String(value) => ScalarValue::Utf8(Some(value)),
        Value::Number(number) => {
            if let Some(value) = number.as_i64() {
                ScalarValue::Int64(Some(value))
            } else if let Some(value) = number.as_u64() {
                ScalarValue::UInt64(Some(value))
            } else {
                ScalarValue::Float64(number.as_f64())
            }
        }
        Value::Array(_) | Value::Object(_) => {
            return Err(Refusal::bad_request(format!(
                "the value of `{place}` is a list or an object"
            ))
            .with_hint("a parameter is one value; write `in ($1, $2)` for several"));
        }
    })
}
