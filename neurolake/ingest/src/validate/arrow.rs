//! Rows from an Arrow IPC stream: columns by name, types that widen without loss.
//!
//! First the types are compared, then every value that could not be kept is found, then rows with
//! faults are filtered out; only then arrays are converted, which can't fail any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::arrow::array::cast::AsArray;
use ::arrow::array::{
    AnyDictionaryArray, Array, ArrayRef, BooleanArray, FixedSizeListArray, ListArray, MapArray,
    OffsetSizeTrait, RecordBatch, StructArray, UInt32Array, make_comparator, new_empty_array,
    new_null_array,
};
use ::arrow::buffer::{NullBuffer, OffsetBuffer};
use ::arrow::compute::{
    CastOptions, SortOptions, cast_with_options, concat_batches, filter_record_batch, nullif, take,
};
use ::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Fields as ArrowFields, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, i256,
};
use ::arrow::error::ArrowError;
use bytes::Bytes;
use neurolake_model::Type;

use super::faults::{Fate, Faults, element, field, key};
use super::shape::{Fields, Kind, Shape};
use super::{Invalid, Unreadable, Validated, Validator, envelope, render, scalars};

const MILLISECONDS_A_DAY: i64 = 86_400_000;

/// Reads a stream.
pub(super) fn stream(
    validator: &Validator,
    body: &Bytes,
    invalid: Invalid,
    memory_bytes: usize,
) -> Result<Validated, Unreadable> {
    let max_rows = memory_bytes / validator.root.slot_bytes.max(1);
    let sent = envelope::read(body, max_rows, memory_bytes)?;
    batches(validator, &sent.schema, sent.batches, invalid, memory_bytes)
}

/// Reads batches that have the schema.
pub(super) fn batches(
    validator: &Validator,
    schema: &Schema,
    batches: Vec<RecordBatch>,
    invalid: Invalid,
    memory_bytes: usize,
) -> Result<Validated, Unreadable> {
    let Kind::Struct(fields) = &validator.root.kind else {
        return Err(bug(&ArrowError::SchemaError("a row is no struct".into())));
    };
    check_types(fields, schema)?;
    let mut fate = Fate::new(invalid, memory_bytes);
    let mut kept = Vec::new();
    let mut room = memory_bytes;
    for batch in batches {
        let too_large = || Unreadable::TooLarge {
            limit: memory_bytes,
        };
        let bytes: usize = batch.columns().iter().map(|c| expanded(c)).sum();
        room = room.checked_sub(bytes).ok_or_else(too_large)?;
        let batch = without_faults(fields, &batch, &mut fate)?;
        kept.push(converted(fields, &batch, validator.schema()).map_err(|error| bug(&error))?);
    }
    fate.kept()?;
    let rows = concat_batches(validator.schema(), &kept).map_err(|error| bug(&error))?;
    Ok(Validated {
        rows,
        dead: fate.dead,
        rejected: fate.rejected,
        errors: fate.errors,
    })
}

fn bug(error: &ArrowError) -> Unreadable {
    Unreadable::Syntax {
        message: format!("the Arrow stream can't be converted: {error}"),
        hint: Some("this is a bug; please report it, and send JSON meanwhile".into()),
    }
}

/// Bytes that an array takes once dictionaries and views are written out: a few bytes of them can
/// stand for gigabytes.
fn expanded(array: &dyn Array) -> usize {
    let rows = array.len();
    match array.data_type() {
        DataType::Null => rows * size_of::<i128>(),
        DataType::Utf8View => {
            let lengths = array.as_string_view().lengths();
            lengths.map(|length| length as usize).sum::<usize>() + 4 * rows
        }
        DataType::BinaryView => {
            let lengths = array.as_binary_view().lengths();
            lengths.map(|length| length as usize).sum::<usize>() + 4 * rows
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let bytes = lengths(dictionary.values().as_ref());
            let of = |key: usize| bytes.get(key).copied().unwrap_or(0);
            let bytes = keys(dictionary).into_iter().map(of).sum::<usize>();
            bytes + 16 * rows
        }
        DataType::List(_) => expanded(array.as_list::<i32>().values()) + 4 * rows,
        DataType::LargeList(_) => expanded(array.as_list::<i64>().values()) + 4 * rows,
        DataType::FixedSizeList(_, _) => expanded(array.as_fixed_size_list().values()) + 4 * rows,
        DataType::Map(_, _) => expanded(array.as_map().entries()) + 4 * rows,
        DataType::Struct(_) => {
            let columns = array.as_struct().columns();
            columns.iter().map(|column| expanded(column)).sum::<usize>() + rows
        }
        _ => array
            .get_buffer_memory_size()
            .min(rows.saturating_mul(32))
            .max(rows),
    }
}

/// Which value each row has; where it has none, any number. Arrow's own function panics where a
/// dictionary of nulls has no values.
fn keys(dictionary: &dyn AnyDictionaryArray) -> Vec<usize> {
    if dictionary.values().is_empty() {
        return vec![0; dictionary.len()];
    }
    dictionary.normalized_keys()
}

/// Bytes of each text; empty for values of a fixed size.
fn lengths(values: &dyn Array) -> Vec<usize> {
    fn of<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> Vec<usize> {
        offsets.lengths().collect()
    }
    match values.data_type() {
        DataType::Utf8 => of(values.as_string::<i32>().offsets()),
        DataType::LargeUtf8 => of(values.as_string::<i64>().offsets()),
        DataType::Binary => of(values.as_binary::<i32>().offsets()),
        DataType::LargeBinary => of(values.as_binary::<i64>().offsets()),
        DataType::Utf8View => {
            let lengths = values.as_string_view().lengths();
            lengths.map(|length| length as usize).collect()
        }
        DataType::BinaryView => {
            let lengths = values.as_binary_view().lengths();
            lengths.map(|length| length as usize).collect()
        }
        DataType::FixedSizeBinary(width) => vec![*width as usize; values.len()],
        _ => Vec::new(),
    }
}

/// Whether every column can be taken at all.
fn check_types(fields: &Fields, schema: &Schema) -> Result<(), Unreadable> {
    let mut faults = Faults::default();
    compare_fields(fields, schema.fields(), &mut faults);
    if faults.is_empty() {
        return Ok(());
    }
    let mut fate = Fate::new(Invalid::Reject, usize::MAX);
    fate.judge(&mut faults, None, String::new)?;
    let mut errors = fate.errors;
    for error in &mut errors {
        error.row = None;
    }
    Err(Unreadable::Rows {
        errors,
        is_syntax: false,
    })
}

fn compare_fields(fields: &Fields, sent: &ArrowFields, faults: &mut Faults) {
    let mut seen = vec![false; fields.list.len()];
    for one in sent {
        let name = one.name();
        let Some(number) = fields.find(name, usize::MAX) else {
            faults.note_at(|| field(name), || fields.unknown(name));
            continue;
        };
        let mark = faults.mark();
        if seen[number] {
            faults.note(|| "the column stands twice".into());
        } else {
            compare(&fields.list[number].shape, one.data_type(), faults);
        }
        seen[number] = true;
        faults.within(mark, || field(name));
    }
    for (declared, seen) in fields.list.iter().zip(seen) {
        if !seen && !declared.shape.nullable {
            let expected = || format!("is missing; expected {}", declared.shape.data_type);
            faults.note_at(|| field(&declared.name), expected);
        }
    }
}

/// Whether values of the type that was sent can be kept, all or at least some of them.
fn compare(shape: &Shape, sent: &DataType, faults: &mut Faults) {
    let sent = match sent {
        DataType::Dictionary(_, values) => values.as_ref(),
        sent => sent,
    };
    if matches!(sent, DataType::Null) {
        return;
    }
    match (&shape.kind, sent) {
        (
            Kind::List(item),
            DataType::List(sent) | DataType::LargeList(sent) | DataType::FixedSizeList(sent, _),
        ) => {
            let mark = faults.mark();
            compare(item, sent.data_type(), faults);
            faults.within(mark, || "[]".into());
        }
        (Kind::Map { key, value }, sent) if entries_of(sent).is_some() => {
            for (shape, sent) in [key, value]
                .into_iter()
                .zip(entries_of(sent).into_iter().flatten())
            {
                let mark = faults.mark();
                compare(shape, sent, faults);
                faults.within(mark, || "[]".into());
            }
        }
        (Kind::Struct(fields), DataType::Struct(sent)) => compare_fields(fields, sent, faults),
        (Kind::Scalar, sent) if widens(sent, &shape.data_type) => {}
        _ => faults.note(|| mismatch(shape, sent)),
    }
}

/// Types of keys and values of a map, or of a list of structs that is meant as one: polars has no
/// maps.
fn entries_of(sent: &DataType) -> Option<[&DataType; 2]> {
    let (DataType::Map(entries, _) | DataType::List(entries) | DataType::LargeList(entries)) = sent
    else {
        return None;
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return None;
    };
    match fields.as_ref() {
        [key, value] if matches!(sent, DataType::Map(_, _)) => {
            Some([key.data_type(), value.data_type()])
        }
        [key, value] if key.name() == "key" && value.name() == "value" => {
            Some([key.data_type(), value.data_type()])
        }
        _ => None,
    }
}

fn mismatch(shape: &Shape, sent: &DataType) -> String {
    let (expected, declared) = (&shape.data_type, &shape.declared);
    let hint = match (declared, sent) {
        (Type::Timestamp, DataType::Timestamp(_, None)) => {
            "; these times have no zone: in polars `.dt.replace_time_zone(\"UTC\")` gives them one"
        }
        (_, sent) if widens(expected, sent) => "; cast the column before sending it",
        _ => "",
    };
    format!("expected {expected} ({declared}), found {sent}{hint}")
}

/// Whether every value of one type is a value of the other (times and decimals: as far as their
/// digits go, which is checked value by value).
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Date64, Decimal128, FixedSizeBinary, Float16, Float32, Float64,
        Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8, Timestamp, UInt8, UInt16, UInt32,
        UInt64, Utf8, Utf8View,
    };
    if from == to {
        return true;
    }
    match (from, to) {
        (Int8, Int16 | Int32 | Int64 | Float32 | Float64)
        | (Int16, Int32 | Int64 | Float32 | Float64)
        | (Int32, Int64 | Float64)
        | (UInt8, UInt16 | UInt32 | UInt64 | Int16 | Int32 | Int64 | Float32 | Float64)
        | (UInt16, UInt32 | UInt64 | Int32 | Int64 | Float32 | Float64)
        | (UInt32, UInt64 | Int64 | Float64)
        | (Float16, Float32 | Float64)
        | (Float32, Float64)
        | (LargeUtf8 | Utf8View, Utf8)
        | (LargeBinary | BinaryView | FixedSizeBinary(_), Binary)
        | (Date64, Date32)
        | (Timestamp(_, Some(_)), Timestamp(TimeUnit::Microsecond, Some(_))) => true,
        (from, Decimal128(precision, scale)) => {
            let digits = match from {
                Int8 | UInt8 => Some((3, 0)),
                Int16 | UInt16 => Some((5, 0)),
                Int32 | UInt32 => Some((10, 0)),
                Int64 => Some((19, 0)),
                UInt64 => Some((20, 0)),
                from => decimal(from),
            };
            let (precision, scale) = (i16::from(*precision), i16::from(*scale));
            digits.is_some_and(|(digits, behind)| {
                behind <= scale && digits - behind <= precision - scale
            })
        }
        _ => false,
    }
}

/// Precision and scale of a decimal type.
fn decimal(data_type: &DataType) -> Option<(i16, i16)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Some(((*precision).into(), (*scale).into())),
        _ => None,
    }
}

/// Judges the rows of a batch and leaves those without faults.
fn without_faults(
    fields: &Fields,
    batch: &RecordBatch,
    fate: &mut Fate,
) -> Result<RecordBatch, Unreadable> {
    let sent = batch.schema_ref().fields();
    let is_told = fate.is_told();
    let mut found: BTreeMap<usize, Faults> = BTreeMap::new();
    check_fields(fields, batch.columns(), sent, &mut |row, path, message| {
        let faults = found.entry(row).or_default();
        // What nobody will read isn't kept.
        if is_told || faults.is_empty() {
            faults.note_at(|| path, || message);
        }
    })
    .map_err(|error| bug(&error))?;
    if found.is_empty() {
        for _ in 0..batch.num_rows() {
            fate.good();
        }
        return Ok(batch.clone());
    }
    let mut keep = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut faults = found.remove(&row).unwrap_or_default();
        keep.push(faults.is_empty());
        fate.judge(&mut faults, None, || render::row(batch, row))?;
    }
    filter_record_batch(batch, &BooleanArray::from(keep)).map_err(|error| bug(&error))
}

/// Takes the row, the path and what is wrong.
type Report<'r> = &'r mut dyn FnMut(usize, String, String);

fn check_fields(
    fields: &Fields,
    columns: &[ArrayRef],
    sent: &ArrowFields,
    report: Report<'_>,
) -> Result<(), ArrowError> {
    for declared in &fields.list {
        let shape = &declared.shape;
        // The types were compared: a required field is there.
        let Some((number, _)) = sent.find(&declared.name) else {
            continue;
        };
        check(
            shape,
            columns[number].as_ref(),
            &mut |row, path, message| {
                report(row, field(&declared.name) + &path, message);
            },
        )?;
    }
    Ok(())
}

/// Finds every value that can't be kept.
fn check(shape: &Shape, array: &dyn Array, report: Report<'_>) -> Result<(), ArrowError> {
    if let Some(nulls) = array.logical_nulls().filter(|_| !shape.nullable) {
        let missing = (0..array.len()).filter(|row| nulls.is_null(*row));
        for row in missing {
            report(
                row,
                String::new(),
                format!("expected {}, found null", shape.expected()),
            );
        }
    }
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        return check_dictionary(shape, dictionary.values(), &keys(dictionary), array, report);
    }
    match &shape.kind {
        Kind::Scalar => check_scalars(shape, array, report),
        Kind::List(item) => match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let place = places(list.offsets(), list.nulls());
                check_elements(item, list.values(), &place, report)?;
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let place = places(list.offsets(), list.nulls());
                check_elements(item, list.values(), &place, report)?;
            }
            DataType::FixedSizeList(_, _) => {
                let list = array.as_fixed_size_list();
                check_elements(item, list.values(), &fixed_places(list), report)?;
            }
            _ => {}
        },
        Kind::Map { key, value } => {
            if !matches!(array.data_type(), DataType::Null) {
                check_map(key, value, array, report)?;
            }
        }
        Kind::Struct(fields) => {
            if let Some(rows) = array.as_struct_opt() {
                let mut unmasked = |row: usize, path, message| {
                    if rows.is_valid(row) {
                        report(row, path, message);
                    }
                };
                check_fields(fields, rows.columns(), rows.fields(), &mut unmasked)?;
            }
        }
    }
    Ok(())
}

/// Looks at each value of a dictionary once.
fn check_dictionary(
    shape: &Shape,
    values: &ArrayRef,
    keys: &[usize],
    array: &dyn Array,
    report: Report<'_>,
) -> Result<(), ArrowError> {
    let mut faulty = vec![None; values.len()];
    check(shape, values.as_ref(), &mut |index, path, message| {
        faulty[index] = Some((path, message));
    })?;
    for (row, key) in keys.iter().enumerate() {
        // Nulls were reported already.
        let fault = faulty.get(*key).and_then(Option::as_ref);
        if let Some((path, message)) =
            fault.filter(|_| array.is_valid(row) && values.is_valid(*key))
        {
            report(row, path.clone(), message.clone());
        }
    }
    Ok(())
}

/// Row and place in the row of a list's element; `None` for one that belongs to no row.
type Place<'p> = dyn Fn(usize) -> Option<(usize, usize)> + 'p;

fn places<'a, O: OffsetSizeTrait>(
    offsets: &'a OffsetBuffer<O>,
    nulls: Option<&'a NullBuffer>,
) -> Box<Place<'a>> {
    Box::new(move |index| {
        let row = offsets.partition_point(|offset| offset.as_usize() <= index);
        let row = row.checked_sub(1).filter(|row| row + 1 < offsets.len())?;
        let is_valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
        is_valid.then(|| (row, index - offsets[row].as_usize()))
    })
}

fn fixed_places(list: &FixedSizeListArray) -> Box<Place<'_>> {
    let size = list.value_length() as usize;
    Box::new(move |index| {
        let row = index / size;
        (row < list.len() && list.is_valid(row)).then_some((row, index % size))
    })
}

fn check_elements(
    item: &Shape,
    values: &ArrayRef,
    place: &Place<'_>,
    report: Report<'_>,
) -> Result<(), ArrowError> {
    check(item, values.as_ref(), &mut |index, path, message| {
        if let Some((row, index)) = place(index) {
            report(row, element(index) + &path, message);
        }
    })
}

fn check_map(
    key_shape: &Shape,
    value_shape: &Shape,
    array: &dyn Array,
    report: Report<'_>,
) -> Result<(), ArrowError> {
    let list = entries(array)?;
    let (offsets, entries) = (list.offsets(), list.values().as_struct());
    let place = places(offsets, list.nulls());
    let (keys, values) = (entries.column(0), entries.column(1));
    let mut has_faulty_key = false;
    for index in (0..entries.len()).filter(|index| entries.is_null(*index)) {
        if let Some((row, index)) = place(index) {
            has_faulty_key = true;
            report(row, element(index), "expected an entry, found null".into());
        }
    }
    check(key_shape, keys.as_ref(), &mut |index, path, message| {
        if let Some((row, index)) = place(index) {
            has_faulty_key = true;
            report(row, element(index) + ".key" + &path, message);
        }
    })?;
    check(value_shape, values.as_ref(), &mut |index, path, message| {
        if let Some((row, _)) = place(index) {
            report(
                row,
                key(&render::text(keys.as_ref(), index)) + &path,
                message,
            );
        }
    })?;
    if has_faulty_key {
        return Ok(());
    }
    let compare = make_comparator(keys.as_ref(), keys.as_ref(), SortOptions::default())?;
    let mut order = Vec::new();
    for row in (0..list.len()).filter(|row| list.is_valid(*row)) {
        order.clear();
        order.extend(offsets[row] as usize..offsets[row + 1] as usize);
        order.sort_by(|left, right| compare(*left, *right));
        for pair in order.windows(2) {
            if compare(pair[0], pair[1]).is_eq() {
                let path = key(&render::text(keys.as_ref(), pair[1]));
                report(row, path, "this key stands twice".into());
            }
        }
    }
    Ok(())
}

/// A map as the list of its entries, whatever it was sent as.
fn entries(array: &dyn Array) -> Result<ListArray, ArrowError> {
    if let Some(map) = array.as_map_opt() {
        let field = Arc::new(::arrow::datatypes::Field::new(
            "entries",
            map.entries().data_type().clone(),
            false,
        ));
        let entries = Arc::new(map.entries().clone());
        return ListArray::try_new(field, map.offsets().clone(), entries, map.nulls().cloned());
    }
    as_list(array)
}

/// Any list with 32-bit offsets.
fn as_list(array: &dyn Array) -> Result<ListArray, ArrowError> {
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
        array.data_type()
    else {
        return Err(ArrowError::SchemaError("not a list".into()));
    };
    Ok(strictly_cast(array, &DataType::List(Arc::clone(item)))?
        .as_list::<i32>()
        .clone())
}

fn strictly_cast(array: &dyn Array, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, to, &strict)
}

fn check_scalars(shape: &Shape, array: &dyn Array, report: Report<'_>) {
    let mut refuse = |row: usize, why: &str| {
        let (expected, found) = (shape.expected(), render::text(array, row));
        report(
            row,
            String::new(),
            format!("expected {expected}, found {found}{why}"),
        );
    };
    match &shape.declared {
        Type::Timestamp => {
            let DataType::Timestamp(unit, _) = array.data_type() else {
                return;
            };
            let values: Box<dyn Iterator<Item = Option<i64>>> = match unit {
                TimeUnit::Second => Box::new(array.as_primitive::<TimestampSecondType>().iter()),
                TimeUnit::Millisecond => {
                    Box::new(array.as_primitive::<TimestampMillisecondType>().iter())
                }
                TimeUnit::Microsecond => {
                    Box::new(array.as_primitive::<TimestampMicrosecondType>().iter())
                }
                TimeUnit::Nanosecond => {
                    Box::new(array.as_primitive::<TimestampNanosecondType>().iter())
                }
            };
            for (row, value) in values.enumerate() {
                let Some(value) = value else { continue };
                let microseconds = match unit {
                    TimeUnit::Second => value.checked_mul(1_000_000),
                    TimeUnit::Millisecond => value.checked_mul(1000),
                    TimeUnit::Microsecond => Some(value),
                    TimeUnit::Nanosecond if value % 1000 != 0 => {
                        refuse(row, ", which is finer than microseconds");
                        continue;
                    }
                    TimeUnit::Nanosecond => Some(value / 1000),
                };
                if !microseconds.is_some_and(|value| scalars::MICROSECONDS.contains(&value)) {
                    refuse(row, ", which is outside of the years 1 to 9999");
                }
            }
        }
        Type::Date => {
            let days = |row: usize| match array.data_type() {
                DataType::Date64 => {
                    let value = array.as_primitive::<Date64Type>().value(row);
                    (value % MILLISECONDS_A_DAY == 0).then_some(value / MILLISECONDS_A_DAY)
                }
                _ => Some(array.as_primitive::<Date32Type>().value(row).into()),
            };
            if matches!(array.data_type(), DataType::Null) {
                return;
            }
            for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                match days(row).map(i32::try_from) {
                    None => refuse(row, ", which has a time of day"),
                    Some(Ok(day)) if scalars::DAYS.contains(&day) => {}
                    Some(_) => refuse(row, ", which is outside of the years 1 to 9999"),
                }
            }
        }
        Type::Decimal { .. } => {
            let Some((precision, _)) = decimal(array.data_type()) else {
                return;
            };
            for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
                let value = match array.data_type() {
                    DataType::Decimal32(_, _) => {
                        i256::from(array.as_primitive::<Decimal32Type>().value(row))
                    }
                    DataType::Decimal64(_, _) => {
                        i256::from(array.as_primitive::<Decimal64Type>().value(row))
                    }
                    DataType::Decimal128(_, _) => {
                        i256::from(array.as_primitive::<Decimal128Type>().value(row))
                    }
                    _ => array.as_primitive::<Decimal256Type>().value(row),
                };
                // Arrow doesn't check it.
                let limit = i256::from(10_i128).wrapping_pow(precision as u32);
                if value >= limit || value <= limit.wrapping_neg() {
                    refuse(row, ", which has more digits than its type");
                }
            }
        }
        _ => {}
    }
}

/// A batch without faults, in the declared schema.
fn converted(
    fields: &Fields,
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let columns = converted_fields(
        fields,
        batch.columns(),
        batch.schema_ref().fields(),
        batch.num_rows(),
        None,
    )?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

fn converted_fields(
    fields: &Fields,
    columns: &[ArrayRef],
    sent: &ArrowFields,
    rows: usize,
    nulls: Option<&NullBuffer>,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let column = |declared: &super::shape::Field| {
        let shape = &declared.shape;
        let Some((number, _)) = sent.find(&declared.name) else {
            return Ok(new_null_array(&shape.data_type, rows));
        };
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => convert(shape, columns[number].as_ref()),
            Some(nulls) => {
                // What stands below a null is nothing, whatever its bytes say.
                let below = BooleanArray::new(!nulls.inner(), None);
                convert(shape, nullif(columns[number].as_ref(), &below)?.as_ref())
            }
        }
    };
    fields.list.iter().map(column).collect()
}

fn convert(shape: &Shape, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
    let target = &shape.data_type;
    if let DataType::Dictionary(_, values) = array.data_type() {
        return convert(shape, strictly_cast(array, values)?.as_ref());
    }
    if matches!(array.data_type(), DataType::Null) {
        return Ok(if array.is_empty() {
            new_empty_array(target)
        } else {
            new_null_array(target, array.len())
        });
    }
    match (&shape.kind, target) {
        (Kind::List(item), DataType::List(field)) => {
            let list = compacted(as_list(array)?)?;
            let values = convert(item, list.values().as_ref())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            let list = ListArray::try_new(Arc::clone(field), offsets, values, nulls)?;
            Ok(Arc::new(list))
        }
        (Kind::Map { key, value }, DataType::Map(field, _)) => {
            let DataType::Struct(parts) = field.data_type() else {
                return Err(ArrowError::SchemaError("not the entries of a map".into()));
            };
            let list = compacted(entries(array)?)?;
            let entries = list.values().as_struct();
            let columns = vec![
                convert(key, entries.column(0).as_ref())?,
                convert(value, entries.column(1).as_ref())?,
            ];
            Ok(Arc::new(MapArray::try_new(
                Arc::clone(field),
                list.offsets().clone(),
                StructArray::try_new(parts.clone(), columns, None)?,
                list.nulls().cloned(),
                false,
            )?))
        }
        (Kind::Struct(fields), DataType::Struct(parts)) => {
            let rows = array.as_struct();
            let nulls = rows.nulls();
            let columns =
                converted_fields(fields, rows.columns(), rows.fields(), rows.len(), nulls)?;
            let nulls = nulls.cloned();
            let rows = StructArray::try_new_with_length(parts.clone(), columns, nulls, rows.len())?;
            Ok(Arc::new(rows))
        }
        _ => strictly_cast(array, target),
    }
}

/// The list without elements that belong to no row: a slice's, and those below nulls.
fn compacted(list: ListArray) -> Result<ListArray, ArrowError> {
    let offsets = list.offsets();
    let is_whole = offsets[0] == 0 && offsets[list.len()] as usize == list.values().len();
    let has_hidden = list.nulls().is_some_and(|nulls| {
        (0..list.len()).any(|row| nulls.is_null(row) && offsets[row] < offsets[row + 1])
    });
    if is_whole && !has_hidden {
        return Ok(list);
    }
    let rows = UInt32Array::from_iter_values(0..list.len() as u32);
    Ok(take(&list, &rows, None)?.as_list::<i32>().clone())
}
