//! The declared schema against the stored one.

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use neurolake_model::Column;
use neurolake_query::schema::{Judgement, What, check, is_breaking, report};
use serde_json::{Value, json};

fn declared(columns: &Value) -> Vec<Column> {
    serde_json::from_value(columns.clone()).unwrap()
}

fn stored(fields: Vec<(&str, DataType)>) -> Schema {
    let fields = fields
        .into_iter()
        .map(|(name, data_type)| Field::new(name, data_type, true));
    Schema::new(fields.collect::<Vec<_>>())
}

/// How one stored type goes into one declared type.
fn judge(declared_as: Value, stored_as: DataType) -> Option<(What, Judgement)> {
    let columns = declared(&json!([{"name": "a", "type": declared_as, "nullable": true}]));
    let differences = check(&columns, &stored(vec![("a", stored_as)]));
    assert!(differences.len() <= 1, "{differences:?}");
    differences
        .first()
        .map(|difference| (difference.what, difference.judgement))
}

#[test]
fn a_type_is_widened_only_where_every_value_fits() {
    use DataType as T;
    let lossy = Some((What::Type, Judgement::Breaking));
    let widened = Some((What::Widened, Judgement::Note));
    let decimal = |precision, scale| json!({"decimal": {"precision": precision, "scale": scale}});
    let micros = || T::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let cases = [
        (json!("int64"), T::Int32, widened),
        (json!("int32"), T::Int64, lossy),
        (json!("int32"), T::UInt16, widened),
        (json!("int32"), T::UInt32, lossy),
        (json!("uint32"), T::Int8, lossy),
        (json!("int32"), T::Float64, lossy),
        (json!("float64"), T::Float32, widened),
        (json!("float32"), T::Float64, lossy),
        (json!("float64"), T::Int32, widened),
        (json!("float64"), T::Int64, lossy),
        (json!("float32"), T::Int32, lossy),
        (json!("int32"), T::Utf8, lossy),
        (json!("string"), T::Int32, lossy),
        (json!("string"), T::Binary, lossy),
        (json!("string"), T::LargeUtf8, None),
        (json!("string"), T::Utf8View, None),
        (
            json!("string"),
            T::Dictionary(Box::new(T::Int8), Box::new(T::Utf8)),
            None,
        ),
        (json!("binary"), T::LargeBinary, None),
        (json!("bool"), T::Int8, lossy),
        (json!("date"), T::Date32, None),
        (json!("date"), micros(), lossy),
        (json!("timestamp"), micros(), None),
        (
            json!("timestamp"),
            T::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            widened,
        ),
        (
            json!("timestamp"),
            T::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            lossy,
        ),
        (
            json!("timestamp"),
            T::Timestamp(TimeUnit::Microsecond, None),
            Some((What::TimeZone, Judgement::Note)),
        ),
        (decimal(10, 2), T::Decimal128(10, 2), None),
        (decimal(12, 2), T::Decimal128(10, 1), widened),
        (decimal(10, 2), T::Decimal128(10, 3), lossy),
        (decimal(10, 2), T::Decimal128(12, 2), lossy),
        (decimal(12, 2), T::Int32, widened),
        (decimal(11, 2), T::Int32, lossy),
        (
            json!({"list": {"item": "float32", "nullable": false}}),
            T::new_list(T::Float32, true),
            None,
        ),
        (
            json!({"list": {"item": "float32", "nullable": false}}),
            T::new_large_list(T::Float64, true),
            lossy,
        ),
        (json!("int32"), T::Null, widened),
    ];
    for (declared_as, stored_as, expected) in cases {
        let case = format!("declared {declared_as}, stored {stored_as}");
        assert_eq!(judge(declared_as, stored_as), expected, "{case}");
    }
}

#[test]
fn the_report_lists_all_differences_breaking_ones_first() {
    let columns = declared(&json!([
        {"name": "trial_id", "type": "int32", "nullable": false},
        {"name": "started_at", "type": "timestamp", "nullable": true},
        {"name": "subject", "type": "string", "nullable": false},
        {"name": "later", "type": "string", "nullable": false, "since": 2},
        {"name": "weight", "type": "float64", "nullable": true, "renamed_from": "mass"},
        {"name": "at", "nullable": true, "type": {"struct": {"fields": [
            {"name": "x", "type": "float32", "nullable": true},
            {"name": "y", "type": "float32", "nullable": true},
        ]}}},
    ]));
    let at = Fields::from(vec![
        Field::new("x", DataType::Float64, true),
        Field::new("z", DataType::Float32, true),
    ]);
    let schema = stored(vec![
        ("trial_id", DataType::Utf8),
        (
            "started_at",
            DataType::Timestamp(TimeUnit::Nanosecond, None),
        ),
        ("mass", DataType::Float64),
        ("at", DataType::Struct(at)),
        ("extra", DataType::Int64),
    ]);
    let differences = check(&columns, &schema);
    assert!(is_breaking(&differences));
    assert_eq!(
        report(&differences),
        "\
breaking  `trial_id`: declared int32, stored string
breaking  `started_at`: declared timestamp, stored timestamp in nanoseconds without time zone
breaking  `subject`: declared string and required, not stored
breaking  `at.x`: declared float32, stored float64
note      `trial_id`: declared required, nulls may be stored
note      `later`: declared string, not stored, reads as null
note      `weight`: stored under its former name `mass`
note      `at.y`: declared float32, not stored, reads as null
note      `at.z`: stored float32, not declared
note      `extra`: stored int64, not declared"
    );
}
