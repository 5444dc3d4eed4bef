//! Arrow streams: columns by name, types that widen, values that can't be kept.

use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, BinaryViewArray, BinaryViewBuilder, Date32Array, Date64Array, Decimal128Array,
    DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Int8Array, Int16Array,
    Int32Array, Int64Array, LargeListArray, LargeStringArray, ListArray, MapArray, NullArray,
    RecordBatch, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt32Array,
};
use ::arrow::buffer::{NullBuffer, OffsetBuffer};
use ::arrow::datatypes::{DataType, Field, Float32Type, Int8Type, Int32Type, Schema};
use ::arrow::ipc::CompressionType;
use ::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use neurolake_model::Type;

use super::{Form, Invalid, MEMORY, column, list, map, message, read, refused, rows};
use crate::validate::{Unreadable, Validator};

pub(super) fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.into_inner().unwrap()
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Sends one column `v`, declared and required.
fn value(declared: Type, array: ArrayRef) -> Result<Vec<String>, Vec<String>> {
    let columns = [column("v", declared, false)];
    let body = stream(&[batch(vec![("v", array)])]);
    match read(&columns, Form::Arrow, body, Invalid::Reject) {
        Ok(read) => Ok(rows(&read.rows)
            .iter()
            .map(|row| row[5..row.len() - 1].to_owned())
            .collect()),
        refusal => Err(refused(refusal)),
    }
}

#[track_caller]
fn kept(declared: Type, array: impl Array + 'static, expected: &[&str]) {
    assert_eq!(value(declared, Arc::new(array)).unwrap(), expected);
}

#[track_caller]
fn lost(declared: Type, array: impl Array + 'static, expected: &[&str]) {
    assert_eq!(value(declared, Arc::new(array)).unwrap_err(), expected);
}

#[test]
fn types_that_widen_without_loss_are_cast() {
    kept(Type::Int64, Int8Array::from(vec![-1]), &["-1"]);
    kept(
        Type::Int64,
        UInt32Array::from(vec![u32::MAX]),
        &["4294967295"],
    );
    kept(Type::Float64, Float32Array::from(vec![0.5]), &["0.5"]);
    kept(Type::Float32, Int16Array::from(vec![3]), &["3"]);
    let decimal = Type::Decimal {
        precision: 12,
        scale: 2,
    };
    kept(decimal.clone(), Int32Array::from(vec![7]), &["\"7.00\""]);
    let sent = Decimal128Array::from(vec![15])
        .with_precision_and_scale(5, 1)
        .unwrap();
    kept(decimal, sent, &["\"1.50\""]);
    kept(Type::String, LargeStringArray::from(vec!["a"]), &["\"a\""]);
    kept(
        Type::String,
        StringViewArray::from(vec!["a text that is longer than a view"]),
        &["\"a text that is longer than a view\""],
    );
    let dictionary: DictionaryArray<Int8Type> = vec!["b", "a", "b"].into_iter().collect();
    kept(Type::String, dictionary, &["\"b\"", "\"a\"", "\"b\""]);
    kept(
        Type::Binary,
        BinaryViewArray::from(vec![b"\0\xff".as_slice()]),
        &["\"AP8=\""],
    );
    let fixed = FixedSizeBinaryArray::try_from_iter([[0, 255]].into_iter()).unwrap();
    kept(Type::Binary, fixed, &["\"AP8=\""]);
    kept(
        Type::Date,
        Date64Array::from(vec![86_400_000]),
        &["\"1970-01-02\""],
    );
    kept(
        Type::Bool,
        ::arrow::array::BooleanArray::from(vec![true]),
        &["true"],
    );
}

#[test]
fn times_of_other_units_are_kept_if_they_are_exact() {
    let one = "\"1970-01-01T00:00:01Z\"";
    kept(
        Type::Timestamp,
        TimestampSecondArray::from(vec![1]).with_timezone("UTC"),
        &[one],
    );
    let zone = TimestampMillisecondArray::from(vec![1000]).with_timezone("Europe/Berlin");
    kept(Type::Timestamp, zone, &[one]);
    let unheard = TimestampMicrosecondArray::from(vec![1_000_000]).with_timezone("No/Where");
    kept(Type::Timestamp, unheard, &[one]);
    let exact = TimestampNanosecondArray::from(vec![1_000_000_000]).with_timezone("UTC");
    kept(Type::Timestamp, exact, &[one]);
    let fine = TimestampNanosecondArray::from(vec![1, 1000, -1]).with_timezone("UTC");
    let expected = "expected a time such as \"2026-03-01T09:30:00Z\" (timestamp), found";
    lost(
        Type::Timestamp,
        fine,
        &[
            &format!(
                "0 v: {expected} 1970-01-01T00:00:00.000000001Z, which is finer than microseconds"
            ),
            &format!(
                "2 v: {expected} 1969-12-31T23:59:59.999999999Z, which is finer than microseconds"
            ),
        ],
    );
    let far = TimestampSecondArray::from(vec![i64::MAX]).with_timezone("UTC");
    lost(
        Type::Timestamp,
        far,
        &[&format!(
            "0 v: {expected} 9223372036854775807, which is outside of the years 1 to 9999"
        )],
    );
    lost(
        Type::Timestamp,
        TimestampMicrosecondArray::from(vec![1]),
        &[
            "all v: expected Timestamp(µs, \"UTC\") (timestamp), found Timestamp(µs); these times have no zone: in polars `.dt.replace_time_zone(\"UTC\")` gives them one",
        ],
    );
}

#[test]
fn types_that_could_lose_something_are_refused() {
    for (declared, array, expected) in [
        (
            Type::Int32,
            Arc::new(Int64Array::from(vec![1])) as ArrayRef,
            "all v: expected Int32 (int32), found Int64; cast the column before sending it",
        ),
        (
            Type::Float64,
            Arc::new(Int64Array::from(vec![1])),
            "all v: expected Float64 (float64), found Int64",
        ),
        (
            Type::String,
            Arc::new(Int64Array::from(vec![1])),
            "all v: expected Utf8 (string), found Int64",
        ),
        (
            list(Type::Float32, false),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([
                Some(1),
            ])])),
            "all v[]: expected Float32 (float32), found Int32",
        ),
        (
            list(Type::Float32, false),
            Arc::new(Float32Array::from(vec![1.0])),
            "all v: expected List(non-null Float32, field: 'element') (list<float32>), found Float32",
        ),
    ] {
        assert_eq!(value(declared, array).unwrap_err(), [expected]);
    }
    let far = Date32Array::from(vec![i32::MAX]);
    lost(
        Type::Date,
        far,
        &[
            "0 v: expected a date such as \"2026-03-01\" (date), found 2147483647, which is outside of the years 1 to 9999",
        ],
    );
    lost(
        Type::Date,
        Date64Array::from(vec![1]),
        &[
            "0 v: expected a date such as \"2026-03-01\" (date), found 1970-01-01T00:00:00.001Z, which has a time of day",
        ],
    );
    let overfull =
        Decimal128Array::from(vec![-1_000_000]).with_data_type(DataType::Decimal128(5, 1));
    lost(
        Type::Decimal {
            precision: 12,
            scale: 2,
        },
        overfull,
        &[
            "0 v: expected a decimal number (decimal(12, 2)), found -1000.0, which has more digits than its type",
        ],
    );
}

#[test]
fn columns_are_matched_by_name() {
    let columns = [
        column("a", Type::Int32, false),
        column("b", Type::String, true),
        column("c", Type::Int32, true),
    ];
    let int = |value| Arc::new(Int32Array::from(vec![value])) as ArrayRef;
    let sent = stream(&[batch(vec![("c", int(3)), ("a", int(1))])]);
    let kept = read(&columns, Form::Arrow, sent, Invalid::Reject).unwrap();
    assert_eq!(rows(&kept.rows), [r#"{"a":1,"b":null,"c":3}"#]);
    let sent = stream(&[batch(vec![("c", int(3)), ("A", int(1)), ("c", int(1))])]);
    assert_eq!(
        refused(read(&columns, Form::Arrow, sent, Invalid::Skip)),
        [
            "all A: unknown field; did you mean `a`?",
            "all c: the column stands twice",
            "all a: is missing; expected Int32",
        ]
    );
}

#[test]
fn nulls_in_required_columns_are_told_by_row() {
    let point = |x: Vec<Option<f32>>, nulls: Option<Vec<bool>>| {
        let x: ArrayRef = Arc::new(Float32Array::from(x));
        let fields = vec![Field::new("x", DataType::Float32, true)].into();
        StructArray::new(fields, vec![x], nulls.map(NullBuffer::from))
    };
    let target = Type::Struct {
        fields: vec![column("x", Type::Float32, false)],
    };
    let columns = [
        column("id", Type::Int32, false),
        column("target", target.clone(), true),
        column("points", list(target, false), true),
    ];
    let id = Int32Array::from(vec![Some(1), None, Some(3), Some(4), None]);
    // Row 1: nothing below a null is missing. Row 2: x is missing.
    let target = point(
        vec![Some(0.5), None, None, Some(1.5), Some(0.0)],
        Some(vec![true, false, true, true, true]),
    );
    let points = point(
        vec![Some(1.0), None, Some(2.0), None],
        Some(vec![true, true, true, false]),
    );
    let field = Arc::new(Field::new("item", points.data_type().clone(), true));
    // Row 0: two points, the second without x; row 3: a null point; row 4 is null, and hides none.
    let lengths = OffsetBuffer::<i32>::from_lengths([2, 1, 0, 1, 0]);
    let valid = NullBuffer::from(vec![true, true, true, true, false]);
    let points = ListArray::new(field, lengths, Arc::new(points), Some(valid));
    let sent = batch(vec![
        ("id", Arc::new(id)),
        ("target", Arc::new(target)),
        ("points", Arc::new(points)),
    ]);
    let sent = stream(&[sent.slice(2, 3), sent.slice(0, 2)]);
    let told = refused(read(&columns, Form::Arrow, &sent, Invalid::Reject));
    let number = "expected a number (float32), found null";
    assert_eq!(
        told,
        [
            format!("0 target.x: {number}"),
            "1 points[0]: expected an object, found null".into(),
            "2 id: expected a whole number (int32), found null".into(),
            format!("3 points[1].x: {number}"),
            "4 id: expected a whole number (int32), found null".into(),
        ]
    );
    let dead = read(&columns, Form::Arrow, &sent, Invalid::Quarantine).unwrap();
    assert_eq!((dead.rows.num_rows(), dead.rejected), (0, 5));
    assert_eq!(
        dead.dead[2].payload,
        r#"{"id":null,"target":{"x":0},"points":null}"#
    );
    assert_eq!(dead.dead[3].reason, format!("points[1].x: {number}"));
    assert_eq!(
        dead.dead[3].payload,
        r#"{"id":1,"target":{"x":0.5},"points":[{"x":1},{"x":null}]}"#
    );
}

#[test]
fn what_hides_below_nulls_is_nothing() {
    // A null row whose point is out of range, and a null list that still has an element.
    let far = TimestampSecondArray::from(vec![1, i64::MAX]).with_timezone("UTC");
    let field = |name: &str, array: &dyn Array| Field::new(name, array.data_type().clone(), true);
    let inner = StructArray::new(
        vec![field("t", &far)].into(),
        vec![Arc::new(far.clone())],
        Some(vec![true, false].into()),
    );
    let listed = ListArray::new(
        Arc::new(field("item", &far)),
        OffsetBuffer::from_lengths([1, 1]),
        Arc::new(far),
        Some(vec![true, false].into()),
    );
    let of = |data_type| Type::Struct {
        fields: vec![column("t", data_type, false)],
    };
    let columns = [
        column("s", of(Type::Timestamp), true),
        column("l", list(Type::Timestamp, false), true),
    ];
    let sent = stream(&[batch(vec![("s", Arc::new(inner)), ("l", Arc::new(listed))])]);
    let kept = read(&columns, Form::Arrow, sent, Invalid::Reject).unwrap();
    let one = "\"1970-01-01T00:00:01Z\"";
    assert_eq!(
        rows(&kept.rows),
        [
            format!("{{\"s\":{{\"t\":{one}}},\"l\":[{one}]}}"),
            "{\"s\":null,\"l\":null}".into()
        ]
    );
}

#[test]
fn lists_and_maps_of_other_makes() {
    let large = LargeListArray::from_iter_primitive::<Float32Type, _, _>([
        Some(vec![Some(1.0), Some(2.0)]),
        Some(vec![]),
    ]);
    kept(list(Type::Float32, false), large, &["[1,2]", "[]"]);
    let fixed = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        [Some([Some(1.0), Some(2.0)]), Some([Some(3.0), None])],
        2,
    );
    lost(
        list(Type::Float32, false),
        fixed,
        &["1 v[1]: expected a number (float32), found null"],
    );
    let entries = |keys: Vec<&str>, values: Vec<Option<i32>>| {
        StructArray::from(vec![
            (
                Arc::new(Field::new("key", DataType::Utf8, false)),
                Arc::new(StringArray::from(keys)) as ArrayRef,
            ),
            (
                Arc::new(Field::new("value", DataType::Int32, true)),
                Arc::new(Int32Array::from(values)),
            ),
        ])
    };
    let declared = map(Type::String, Type::Int64, false);
    let good = entries(vec!["a", "b", "a"], vec![Some(1), Some(2), Some(3)]);
    let item = Arc::new(Field::new("entries", good.data_type().clone(), false));
    let offsets = || OffsetBuffer::<i32>::from_lengths([2, 1]);
    let sent = MapArray::new(Arc::clone(&item), offsets(), good.clone(), None, false);
    let expected = [
        r#"[{"key":"a","value":1},{"key":"b","value":2}]"#,
        r#"[{"key":"a","value":3}]"#,
    ];
    kept(declared.clone(), sent, &expected);
    // Polars has no maps.
    let pairs = ListArray::new(Arc::clone(&item), offsets(), Arc::new(good), None);
    kept(declared.clone(), pairs, &expected);
    let bad = entries(vec!["a", "a", "c"], vec![Some(1), Some(2), None]);
    let sent = MapArray::new(item, offsets(), bad, None, false);
    lost(
        declared,
        sent,
        &[
            "0 v[\"a\"]: this key stands twice",
            "1 v[\"c\"]: expected a whole number (int64), found null",
        ],
    );
}

#[test]
fn columns_of_nulls() {
    let columns = [
        column("a", list(Type::Int32, false), true),
        column("b", map(Type::String, Type::Int32, false), true),
        column("c", Type::Date, true),
    ];
    let nulls = || Arc::new(NullArray::new(2)) as ArrayRef;
    let sent = stream(&[batch(vec![("a", nulls()), ("b", nulls()), ("c", nulls())])]);
    let kept = read(&columns, Form::Arrow, sent, Invalid::Reject).unwrap();
    assert_eq!(rows(&kept.rows), [r#"{"a":null,"b":null,"c":null}"#; 2]);
    lost(
        Type::Int32,
        NullArray::new(1),
        &["0 v: expected a whole number (int32), found null"],
    );
    let empty: DictionaryArray<Int8Type> = vec![None::<&str>, None].into_iter().collect();
    lost(
        Type::String,
        empty,
        &[
            "0 v: expected a string, found null",
            "1 v: expected a string, found null",
        ],
    );
}

#[test]
fn faults_in_dictionaries_belong_to_the_rows_that_use_them() {
    let values = TimestampNanosecondArray::from(vec![1000, 1]).with_timezone("UTC");
    let keys = Int8Array::from(vec![Some(0), Some(1), Some(0), Some(1)]);
    let sent = DictionaryArray::new(keys, Arc::new(values));
    let told = value(Type::Timestamp, Arc::new(sent)).unwrap_err();
    let rows: Vec<&str> = told.iter().map(|told| &told[..4]).collect();
    assert_eq!(rows, ["1 v:", "3 v:"]);
}

#[test]
fn streams_that_are_none() {
    let columns = [column("v", Type::Int32, false)];
    let good = stream(&[batch(vec![("v", Arc::new(Int32Array::from(vec![1, 2])))])]);
    let says = |body: &[u8]| message(read(&columns, Form::Arrow, body, Invalid::Skip));
    let begins = "the body is not a readable Arrow stream: ";
    assert_eq!(says(b""), format!("{begins}it holds no schema"));
    assert_eq!(says(b"[{\"v\": 1}]"), format!("{begins}it is cut off"));
    assert_eq!(says(b"PAR1"), format!("{begins}it is cut off"));
    assert_eq!(
        says(&good[..good.len() - 12]),
        format!("{begins}it is cut off")
    );
    let twice = [good.clone(), good.clone()].concat();
    assert_eq!(
        says(&twice),
        format!("{begins}something stands behind its end")
    );
    // The end itself may be missing: the connection said where it is.
    assert!(
        read(
            &columns,
            Form::Arrow,
            &good[..good.len() - 8],
            Invalid::Skip
        )
        .is_ok()
    );
    let schema = Schema::new(vec![Field::new("v", DataType::Int32, false)]);
    let none = stream(&[RecordBatch::new_empty(Arc::new(schema))]);
    assert_eq!(
        read(&columns, Form::Arrow, none, Invalid::Skip)
            .unwrap()
            .rows
            .num_rows(),
        0
    );
}

#[test]
fn compressed_buffers_are_refused() {
    let sent = batch(vec![("v", Arc::new(Int32Array::from(vec![7; 1000])))]);
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let options = IpcWriteOptions::default()
            .try_with_compression(Some(codec))
            .unwrap();
        let mut writer =
            StreamWriter::try_new_with_options(Vec::new(), &sent.schema(), options).unwrap();
        writer.write(&sent).unwrap();
        let body = writer.into_inner().unwrap();
        let columns = [column("v", Type::Int32, false)];
        assert_eq!(
            message(read(&columns, Form::Arrow, body, Invalid::Skip)),
            "the buffers in the Arrow stream are compressed"
        );
    }
}

/// A stream whose schema says string and whose views were never checked.
fn stream_of_views(block: Vec<u8>, count: usize) -> Vec<u8> {
    let length = block.len() as u32;
    let mut views = BinaryViewBuilder::new();
    let block = views.append_block(block.into());
    for _ in 0..count {
        views.try_append_view(block, 0, length).unwrap();
    }
    let begin = |data_type: DataType| {
        let schema = Schema::new(vec![Field::new("v", data_type, true)]);
        StreamWriter::try_new(Vec::new(), &schema).unwrap()
    };
    let strings = begin(DataType::Utf8View).get_ref().clone();
    let mut bytes = begin(DataType::BinaryView);
    let schema = bytes.get_ref().len();
    let views: ArrayRef = Arc::new(views.finish());
    let columns = RecordBatch::try_from_iter_with_nullable([("v", views, true)]).unwrap();
    bytes.write(&columns).unwrap();
    [&strings, &bytes.into_inner().unwrap()[schema..]].concat()
}

#[test]
fn small_streams_that_stand_for_gigabytes_are_refused() {
    let columns = [column("v", Type::String, true)];
    let refused = |body: Vec<u8>| {
        assert!(body.len() < 32 << 20);
        Validator::new(&columns).read(Form::Arrow, &body.into(), Invalid::Reject, MEMORY)
    };
    let of = |array: ArrayRef| stream(&[batch(vec![("v", array)])]);
    let keys = Int8Array::from(vec![0; 100_000]);
    let values: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1 << 20)]));
    let bomb = of(Arc::new(DictionaryArray::new(keys, values)));
    assert_eq!(refused(bomb), Err(Unreadable::TooLarge { limit: MEMORY }));
    // Arrow's reader would check 3 TB, once for each view.
    let bomb = stream_of_views(vec![b'x'; 16 << 20], 200_000);
    assert_eq!(refused(bomb), Err(Unreadable::TooLarge { limit: MEMORY }));
    let few = refused(stream_of_views(b"a text of more than 12 bytes".to_vec(), 2)).unwrap();
    assert_eq!(few.rows.num_rows(), 2);
    let message = super::message(refused(of(Arc::new(NullArray::new(1 << 30)))));
    assert!(message.contains("more than"), "{message}");
}
