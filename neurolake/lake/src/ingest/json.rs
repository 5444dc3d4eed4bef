//! Rows as JSON, in the forms that the door of ingestion reads.
//!
//! `serde_json` alone would lose values: it writes NaN as null, bytes as an array of numbers, and
//! maps with numbers as keys as objects. So this serializer is led by the declared types.

use std::fmt::{self, Display};
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use neurolake_model::{Column, Type};
use serde::ser::{self, Impossible, Serialize};

/// Why a row can't be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonError(String);

impl Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for JsonError {}

impl ser::Error for JsonError {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Appends a row as an object on one line, without its end.
pub(super) fn write_row<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    row: &T,
    columns: &[Column],
) -> Result<(), JsonError> {
    let start = out.len();
    let writer = Writer {
        out,
        shape: Shape::Fields(columns),
    };
    row.serialize(writer)?;
    if out.get(start) == Some(&b'{') {
        Ok(())
    } else {
        Err(JsonError("a row must be a struct or a map".into()))
    }
}

/// What is known of the value to come.
#[derive(Clone, Copy)]
enum Shape<'a> {
    Fields(&'a [Column]),
    Type(&'a Type),
    /// Not declared: the door will say so.
    Unknown,
}

impl<'a> Shape<'a> {
    fn field(self, name: &str) -> Self {
        let fields = match self {
            Self::Fields(fields) => fields,
            Self::Type(Type::Struct { fields }) => fields.as_slice(),
            _ => return Self::Unknown,
        };
        let field = fields.iter().find(|field| field.name == name);
        field.map_or(Self::Unknown, |field| Self::Type(&field.data_type))
    }

    fn item(self) -> Self {
        match self {
            Self::Type(Type::List { item, .. }) => Self::Type(item),
            _ => Self::Unknown,
        }
    }

    fn entry(self) -> Option<(&'a Type, &'a Type)> {
        match self {
            Self::Type(Type::Map { key, value, .. }) => Some((key, value)),
            _ => None,
        }
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    shape: Shape<'a>,
}

impl<'a> Writer<'a> {
    fn text(self, text: &str) -> Result<(), JsonError> {
        serde_json::to_writer(self.out, text).map_err(ser::Error::custom)
    }

    fn number(self, number: impl Display) -> Result<(), JsonError> {
        write!(self.out, "{number}").map_err(ser::Error::custom)
    }

    fn float(self, is_finite: bool, value: f64, number: impl Serialize) -> Result<(), JsonError> {
        if is_finite {
            return serde_json::to_writer(self.out, &number).map_err(ser::Error::custom);
        }
        self.text(match value {
            _ if value.is_nan() => "NaN",
            _ if value > 0.0 => "Infinity",
            _ => "-Infinity",
        })
    }

    fn open(self, form: Form) -> Compound<'a> {
        let start = self.out.len();
        self.out.push(form.brackets().0);
        Compound {
            out: self.out,
            shape: self.shape,
            form,
            start,
            is_empty: true,
            next: Shape::Unknown,
        }
    }

    fn content_of_an_enum<T>() -> Result<T, JsonError> {
        Err(JsonError(
            "an enum with content is not the value of any column".into(),
        ))
    }
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = JsonError;
    type SerializeSeq = Compound<'a>;
    type SerializeTuple = Compound<'a>;
    type SerializeTupleStruct = Compound<'a>;
    type SerializeTupleVariant = Impossible<(), JsonError>;
    type SerializeMap = Compound<'a>;
    type SerializeStruct = Compound<'a>;
    type SerializeStructVariant = Impossible<(), JsonError>;

    fn serialize_bool(self, value: bool) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_i8(self, value: i8) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_i16(self, value: i16) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_i32(self, value: i32) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_i128(self, value: i128) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_u16(self, value: u16) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_u32(self, value: u32) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_u64(self, value: u64) -> Result<(), JsonError> {
        self.number(value)
    }

    fn serialize_u128(self, value: u128) -> Result<(), JsonError> {
        self.number(value)
    }

    // The shortest text of an f32 is not that of the same number as f64.
    fn serialize_f32(self, value: f32) -> Result<(), JsonError> {
        self.float(value.is_finite(), value.into(), value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), JsonError> {
        self.float(value.is_finite(), value, value)
    }

    fn serialize_char(self, value: char) -> Result<(), JsonError> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), JsonError> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), JsonError> {
        self.text(&BASE64.encode(value))
    }

    fn serialize_none(self) -> Result<(), JsonError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), JsonError> {
        self.number("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), JsonError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), JsonError> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), JsonError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), JsonError> {
        Self::content_of_an_enum()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a>, JsonError> {
        Ok(match self.shape {
            Shape::Type(Type::Binary) => self.open(Form::Bytes),
            _ => self.open(Form::Array),
        })
    }

    fn serialize_tuple(self, length: usize) -> Result<Compound<'a>, JsonError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        length: usize,
    ) -> Result<Compound<'a>, JsonError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, JsonError> {
        Self::content_of_an_enum()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a>, JsonError> {
        // A key that is no text stands beside its value.
        let pairs = matches!(self.shape.entry(), Some((key, _)) if *key != Type::String);
        Ok(self.open(if pairs { Form::Pairs } else { Form::Object }))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'a>, JsonError> {
        Ok(self.open(Form::Object))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, JsonError> {
        Self::content_of_an_enum()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Array,
    /// An array of numbers until its end, then text.
    Bytes,
    Object,
    /// `[{"key": ..., "value": ...}]`
    Pairs,
}

impl Form {
    fn brackets(self) -> (u8, u8) {
        match self {
            Self::Object => (b'{', b'}'),
            Self::Array | Self::Bytes | Self::Pairs => (b'[', b']'),
        }
    }
}

struct Compound<'a> {
    out: &'a mut Vec<u8>,
    shape: Shape<'a>,
    form: Form,
    start: usize,
    is_empty: bool,
    /// Of a map's value, once its key is known.
    next: Shape<'a>,
}

impl Compound<'_> {
    fn comma(&mut self) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
    }

    fn value<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        shape: Shape<'_>,
    ) -> Result<(), JsonError> {
        value.serialize(Writer {
            out: self.out,
            shape,
        })
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.comma();
        self.value(value, self.shape.item())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), JsonError> {
        self.comma();
        self.value(name, Shape::Unknown)?;
        self.out.push(b':');
        self.value(value, self.shape.field(name))
    }

    fn close(self) -> Result<(), JsonError> {
        self.out.push(self.form.brackets().1);
        if self.form == Form::Bytes {
            let bytes: Vec<u8> = serde_json::from_slice(&self.out[self.start..])
                .map_err(|_| JsonError("a value of a binary column must be bytes".into()))?;
            self.out.truncate(self.start);
            return serde_json::to_writer(self.out, &BASE64.encode(bytes))
                .map_err(ser::Error::custom);
        }
        Ok(())
    }
}

impl ser::SerializeSeq for Compound<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.item(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.close()
    }
}

impl ser::SerializeTuple for Compound<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.item(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.close()
    }
}

impl ser::SerializeTupleStruct for Compound<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        self.item(value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.close()
    }
}

impl ser::SerializeMap for Compound<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), JsonError> {
        self.comma();
        if self.form == Form::Pairs {
            self.out.extend_from_slice(br#"{"key":"#);
        }
        let start = self.out.len();
        if let Some((key_type, value_type)) = self.shape.entry() {
            self.next = Shape::Type(value_type);
            self.value(key, Shape::Type(key_type))?;
        } else {
            self.value(key, Shape::Unknown)?;
        }
        if self.form == Form::Pairs || self.shape.entry().is_some() {
            return Ok(());
        }
        // A struct with a flattened field is a map, too.
        let name: String = serde_json::from_slice(&self.out[start..])
            .map_err(|_| JsonError("a key must be text here".into()))?;
        self.next = self.shape.field(&name);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonError> {
        let shape = self.next;
        if self.form == Form::Object {
            self.out.push(b':');
            return self.value(value, shape);
        }
        self.out.extend_from_slice(br#","value":"#);
        self.value(value, shape)?;
        self.out.push(b'}');
        Ok(())
    }

    fn end(self) -> Result<(), JsonError> {
        self.close()
    }
}

impl ser::SerializeStruct for Compound<'_> {
    type Ok = ();
    type Error = JsonError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), JsonError> {
        self.field(name, value)
    }

    fn end(self) -> Result<(), JsonError> {
        self.close()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::{Blob, Date, Decimal, Timestamp};

    #[derive(Serialize)]
    struct Inner {
        depth: f32,
        raw: Vec<u8>,
    }

    #[derive(Serialize)]
    enum Kind {
        Move,
        Scroll(f32),
    }

    #[derive(Serialize)]
    struct Row {
        flag: bool,
        small: i8,
        large: i64,
        unsigned: u64,
        power: Vec<f32>,
        precise: f64,
        text: String,
        raw: Vec<u8>,
        fixed: [u8; 3],
        none: Option<i32>,
        some: Option<i32>,
        day: Date,
        ts: Timestamp,
        price: Decimal<10, 2>,
        image: Blob,
        inner: Inner,
        inners: Vec<Option<Inner>>,
        by_name: BTreeMap<String, f64>,
        by_number: BTreeMap<i64, Vec<u8>>,
        kind: Kind,
    }

    fn column(name: &str, data_type: Type) -> Column {
        Column {
            name: name.into(),
            data_type,
            nullable: true,
            docs: String::new(),
            unit: None,
            pii: false,
            since: None,
            renamed_from: None,
            deprecated: None,
            aliases: Vec::new(),
        }
    }

    fn list(item: Type) -> Type {
        Type::List {
            item: Box::new(item),
            nullable: true,
        }
    }

    fn map(key: Type, value: Type) -> Type {
        Type::Map {
            key: Box::new(key),
            value: Box::new(value),
            nullable: true,
        }
    }

    fn columns() -> Vec<Column> {
        let inner = Type::Struct {
            fields: vec![column("depth", Type::Float32), column("raw", Type::Binary)],
        };
        vec![
            column("power", list(Type::Float32)),
            column("raw", Type::Binary),
            column("fixed", Type::Binary),
            column("inner", inner.clone()),
            column("inners", list(inner)),
            column("by_name", map(Type::String, Type::Float64)),
            column("by_number", map(Type::Int64, Type::Binary)),
        ]
    }

    fn row() -> Row {
        let inner = |depth| Inner {
            depth,
            raw: Vec::new(),
        };
        Row {
            flag: true,
            small: -7,
            large: i64::MIN,
            unsigned: u64::MAX,
            power: vec![0.1, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0],
            precise: 0.1 + 0.2,
            text: "say \"hi\"\n猫".into(),
            raw: vec![0, 255, 7],
            fixed: *b"abc",
            none: None,
            some: Some(3),
            day: Date::from_days(20_513),
            ts: Timestamp::from_micros(1_772_357_400_015_000),
            price: Decimal::from_unscaled(-150).expect("three digits"),
            image: Blob::default(),
            inner: inner(0.5),
            inners: vec![None, Some(inner(f32::NAN))],
            by_name: BTreeMap::from([("a".into(), f64::NAN)]),
            by_number: BTreeMap::from([(-1, vec![1]), (2, Vec::new())]),
            kind: Kind::Move,
        }
    }

    #[test]
    fn every_type_has_the_doors_form() {
        let mut out = Vec::new();
        write_row(&mut out, &row(), &columns()).expect("a row");
        let text = String::from_utf8(out).expect("text");
        assert!(
            text.contains(r#""power":[0.1,"NaN","Infinity","-Infinity",-0.0]"#),
            "{text}"
        );
        assert!(text.contains(r#""large":-9223372036854775808,"unsigned":18446744073709551615"#));
        let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let expected = json!({
            "flag": true, "small": -7, "large": i64::MIN, "unsigned": u64::MAX,
            "power": [0.1, "NaN", "Infinity", "-Infinity", -0.0],
            "precise": 0.1 + 0.2, "text": "say \"hi\"\n猫",
            "raw": "AP8H", "fixed": "YWJj", "none": null, "some": 3,
            "day": "2026-03-01", "ts": "2026-03-01T09:30:00.015Z", "price": "-1.50",
            "image": {"uri": "", "media_type": "", "bytes": 0},
            "inner": {"depth": 0.5, "raw": ""},
            "inners": [null, {"depth": "NaN", "raw": ""}],
            "by_name": {"a": "NaN"},
            "by_number": [{"key": -1, "value": "AQ=="}, {"key": 2, "value": ""}],
            "kind": "Move",
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_map_is_a_row_of_the_same_types() {
        #[derive(Serialize)]
        struct Flat {
            #[serde(flatten)]
            inner: Inner,
        }
        let columns = vec![column("raw", Type::Binary)];
        let mut out = Vec::new();
        let inner = Inner {
            depth: 1.5,
            raw: vec![1],
        };
        write_row(&mut out, &Flat { inner }, &columns).expect("a row");
        assert_eq!(
            String::from_utf8(out).as_deref(),
            Ok(r#"{"depth":1.5,"raw":"AQ=="}"#)
        );
    }

    #[test]
    fn what_no_column_holds_is_refused() {
        let written = |row: &dyn Fn(&mut Vec<u8>) -> Result<(), JsonError>| {
            row(&mut Vec::new()).expect_err("refused").to_string()
        };
        let columns = columns();
        assert_eq!(
            written(&|out| write_row(out, &7, &columns)),
            "a row must be a struct or a map"
        );
        let unknown = HashMap::from([(7, 1)]);
        assert_eq!(
            written(&|out| write_row(out, &unknown, &columns)),
            "a key must be text here"
        );
        let texts = HashMap::from([("raw", vec!["a"])]);
        assert_eq!(
            written(&|out| write_row(out, &texts, &columns)),
            "a value of a binary column must be bytes"
        );
        let mut wrong = row();
        wrong.kind = Kind::Scroll(0.5);
        assert_eq!(
            written(&|out| write_row(out, &wrong, &columns)),
            "an enum with content is not the value of any column"
        );
    }
}
