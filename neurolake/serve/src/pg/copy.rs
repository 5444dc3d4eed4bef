//! `copy (...) to stdout`: the rows of an answer in PostgreSQL's own formats.
//!
//! Each is made of the fields of a row message, so that a value is spelled the same everywhere.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use neurolake_query::datafusion::sql::sqlparser::ast::{
    CopyLegacyCsvOption, CopyLegacyOption, CopyOption,
};
use pgwire::api::portal::Format;
use pgwire::api::results::FieldInfo;
use pgwire::error::PgWireResult;
use pgwire::messages::data::DataRow;

use super::error::{code, error};

/// Signature, flags and length of the header's extension.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0";
/// A row of -1 fields.
const BINARY_END: &[u8] = &[0xFF, 0xFF];

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Text(Text),
    Csv(Csv),
    Binary,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    delimiter: u8,
    null: String,
    header: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Csv {
    delimiter: u8,
    null: String,
    header: bool,
    quote: u8,
    escape: u8,
    /// Columns whose values are quoted always; `*` is all.
    force: Vec<String>,
}

/// Options as they are given.
#[derive(Default)]
struct Given {
    format: Option<String>,
    delimiter: Option<char>,
    null: Option<String>,
    header: bool,
    quote: Option<char>,
    escape: Option<char>,
    force: Vec<String>,
}

impl Given {
    fn modern(&mut self, option: &CopyOption) -> PgWireResult<()> {
        match option {
            CopyOption::Format(name) => self.format = Some(name.value.to_ascii_lowercase()),
            CopyOption::Delimiter(delimiter) => self.delimiter = Some(*delimiter),
            CopyOption::Null(null) => self.null = Some(null.clone()),
            CopyOption::Header(header) => self.header = *header,
            CopyOption::Quote(quote) => self.quote = Some(*quote),
            CopyOption::Escape(escape) => self.escape = Some(*escape),
            CopyOption::ForceQuote(columns) => {
                self.force = columns.iter().map(|name| name.value.clone()).collect();
            }
            CopyOption::Encoding(name) if is_utf8(name) => {}
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn legacy(&mut self, option: &CopyLegacyOption) -> PgWireResult<()> {
        match option {
            CopyLegacyOption::Binary => self.format = Some("binary".to_owned()),
            CopyLegacyOption::Delimiter(delimiter) => self.delimiter = Some(*delimiter),
            CopyLegacyOption::Null(null) => self.null = Some(null.clone()),
            CopyLegacyOption::Header => self.header = true,
            CopyLegacyOption::Csv(options) => {
                self.format = Some("csv".to_owned());
                for option in options {
                    match option {
                        CopyLegacyCsvOption::Header => self.header = true,
                        CopyLegacyCsvOption::Quote(quote) => self.quote = Some(*quote),
                        CopyLegacyCsvOption::Escape(escape) => self.escape = Some(*escape),
                        other => return Err(unknown(other)),
                    }
                }
            }
            other => return Err(unknown(other)),
        }
        Ok(())
    }
}

fn is_utf8(name: &str) -> bool {
    ["utf8", "utf-8", "unicode"].contains(&name.to_ascii_lowercase().as_str())
}

fn unknown(option: &impl std::fmt::Display) -> pgwire::error::PgWireError {
    error(
        code::FEATURE,
        format!("COPY TO STDOUT doesn't know the option {option}"),
    )
}

fn byte(name: &str, given: Option<char>, default: u8) -> PgWireResult<u8> {
    match given {
        None => Ok(default),
        Some(given) => u8::try_from(given)
            .ok()
            .filter(|byte| byte.is_ascii() && *byte != b'\n' && *byte != b'\r')
            .ok_or_else(|| {
                error(
                    code::FEATURE,
                    format!("COPY {name} must be a single one-byte character"),
                )
            }),
    }
}

impl Shape {
    pub(super) fn new(options: &[CopyOption], legacy: &[CopyLegacyOption]) -> PgWireResult<Self> {
        let mut given = Given::default();
        for option in options {
            given.modern(option)?;
        }
        for option in legacy {
            given.legacy(option)?;
        }
        match given.format.as_deref() {
            None | Some("text") => Ok(Self::Text(Text {
                delimiter: byte("delimiter", given.delimiter, b'\t')?,
                null: given.null.unwrap_or_else(|| "\\N".to_owned()),
                header: given.header,
            })),
            Some("csv") => {
                let quote = byte("quote", given.quote, b'"')?;
                Ok(Self::Csv(Csv {
                    delimiter: byte("delimiter", given.delimiter, b',')?,
                    null: given.null.unwrap_or_default(),
                    header: given.header,
                    quote,
                    escape: byte("escape", given.escape, quote)?,
                    force: given.force,
                }))
            }
            Some("binary") => Ok(Self::Binary),
            Some(other) => Err(error(
                code::INVALID_VALUE,
                format!("COPY format \"{other}\" not recognized"),
            )),
        }
    }

    pub(super) fn values(&self) -> Format {
        match self {
            Self::Text(_) | Self::Csv(_) => Format::UnifiedText,
            Self::Binary => Format::UnifiedBinary,
        }
    }

    /// 0 for text, 1 for binary.
    pub(super) fn number(&self) -> i8 {
        i8::from(*self == Self::Binary)
    }

    /// What stands before the first message: clients expect it together with the first row.
    pub(super) fn prefix(&self) -> &'static [u8] {
        match self {
            Self::Binary => BINARY_HEADER,
            Self::Text(_) | Self::Csv(_) => b"",
        }
    }

    /// A message of names.
    pub(super) fn header(&self, fields: &[FieldInfo]) -> Option<Bytes> {
        match self {
            Self::Binary
            | Self::Text(Text { header: false, .. })
            | Self::Csv(Csv { header: false, .. }) => None,
            Self::Text(text) => {
                let names = fields.iter().map(|field| Some(field.name().as_bytes()));
                Some(text.line(names))
            }
            Self::Csv(csv) => {
                let names = fields.iter().map(|field| Some(field.name().as_bytes()));
                Some(csv.line(names, &[]))
            }
        }
    }

    pub(super) fn row(&self, row: &DataRow, fields: &[FieldInfo], prefix: &[u8]) -> Bytes {
        match self {
            Self::Binary => {
                let mut out = BytesMut::with_capacity(prefix.len() + row.data.len() + 2);
                out.put_slice(prefix);
                out.put_i16(row.field_count);
                out.put_slice(&row.data);
                out.freeze()
            }
            Self::Text(text) => text.line(Fields(&row.data)),
            Self::Csv(csv) => csv.line(Fields(&row.data), fields),
        }
    }

    /// What stands behind the last row.
    pub(super) fn end(&self, prefix: &[u8]) -> Option<Bytes> {
        (*self == Self::Binary).then(|| [prefix, BINARY_END].concat().into())
    }
}

/// The values of a row message.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.len() < 4 {
            return None;
        }
        // -1 is null.
        let Ok(length) = usize::try_from(self.0.get_i32()) else {
            return Some(None);
        };
        let (value, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(Some(value))
    }
}

impl Text {
    fn line<'a>(&self, values: impl Iterator<Item = Option<&'a [u8]>>) -> Bytes {
        let mut out = BytesMut::new();
        for (index, value) in values.enumerate() {
            if index > 0 {
                out.put_u8(self.delimiter);
            }
            match value {
                None => out.put_slice(self.null.as_bytes()),
                Some(value) => value.iter().for_each(|byte| self.escape(&mut out, *byte)),
            }
        }
        out.put_u8(b'\n');
        out.freeze()
    }

    fn escape(&self, out: &mut BytesMut, byte: u8) {
        let short = match byte {
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0B => b'v',
            0x0C => b'f',
            byte if byte == self.delimiter => byte,
            byte => return out.put_u8(byte),
        };
        out.put_slice(&[b'\\', short]);
    }
}

impl Csv {
    fn line<'a>(
        &self,
        values: impl Iterator<Item = Option<&'a [u8]>>,
        fields: &[FieldInfo],
    ) -> Bytes {
        let mut out = BytesMut::new();
        for (index, value) in values.enumerate() {
            if index > 0 {
                out.put_u8(self.delimiter);
            }
            let Some(value) = value else {
                out.put_slice(self.null.as_bytes());
                continue;
            };
            let name = fields.get(index).map(FieldInfo::name);
            let is_forced = name.is_some_and(|name| self.is_forced(name));
            if is_forced || self.needs_quotes(value) {
                self.quoted(&mut out, value);
            } else {
                out.put_slice(value);
            }
        }
        out.put_u8(b'\n');
        out.freeze()
    }

    fn is_forced(&self, name: &str) -> bool {
        self.force
            .iter()
            .any(|forced| forced == name || forced == "*")
    }

    /// What would be read as something else otherwise, such as an empty text as null.
    fn needs_quotes(&self, value: &[u8]) -> bool {
        let is_special = |byte: &u8| [self.delimiter, self.quote, b'\n', b'\r'].contains(byte);
        value == self.null.as_bytes() || value == b"\\." || value.iter().any(is_special)
    }

    fn quoted(&self, out: &mut BytesMut, value: &[u8]) {
        out.put_u8(self.quote);
        for byte in value {
            if *byte == self.quote || *byte == self.escape {
                out.put_u8(self.escape);
            }
            out.put_u8(*byte);
        }
        out.put_u8(self.quote);
    }
}
