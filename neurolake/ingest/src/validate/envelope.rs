//! An Arrow IPC stream from a stranger, read without believing it.
//!
//! Arrow's own reader checks the values, but it panics on lengths, types and counts that don't fit
//! together, allocates what a compressed buffer claims to become, and a process that is built to
//! abort on panics would end. So whatever a message claims is checked here before the reader sees
//! it.

use std::fmt::Display;
use std::vec::IntoIter;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::{
    self, DateUnit, Endianness, Field, Message, MessageHeader, Precision, TimeUnit, Type,
};
use bytes::Bytes;

use super::Unreadable;

const CONTINUATION: u32 = u32::MAX;
const COMPRESSED: &str = "the buffers in the Arrow stream are compressed";
const COMPRESSED_HINT: &str =
    "write the stream without compression, and compress the body with `Content-Encoding: zstd`";

/// A checked stream.
pub(super) struct Stream {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
}

/// Reads a stream of at most `max_rows` rows, whose texts take at most `memory_bytes`.
pub(super) fn read(
    body: &Bytes,
    max_rows: usize,
    memory_bytes: usize,
) -> Result<Stream, Unreadable> {
    check(body, max_rows, memory_bytes)?;
    let mut decoder = StreamDecoder::new();
    let mut buffer = Buffer::from(body.clone());
    let mut batches = Vec::new();
    while !buffer.is_empty() {
        if let Some(batch) = decoder.decode(&mut buffer).map_err(broken)? {
            batches.push(batch);
        }
    }
    decoder.finish().map_err(broken)?;
    let schema = decoder
        .schema()
        .ok_or_else(|| broken("it holds no schema"))?;
    Ok(Stream { schema, batches })
}

fn broken(why: impl Display) -> Unreadable {
    Unreadable::Syntax {
        message: format!("the body is not a readable Arrow stream: {why}"),
        hint: None,
    }
}

/// Walks over all messages.
fn check(body: &[u8], max_rows: usize, memory_bytes: usize) -> Result<(), Unreadable> {
    let mut rest = body;
    let mut schema: Option<Schema> = None;
    let mut rows = 0_usize;
    while let Some(length) = message_length(&mut rest)? {
        let message = cut(&mut rest, length).ok_or_else(|| broken("it is cut off"))?;
        let message = ipc::root_as_message(message).map_err(broken)?;
        let length = usize::try_from(message.bodyLength()).map_err(broken)?;
        let content = cut(&mut rest, length).ok_or_else(|| broken("it is cut off"))?;
        let content = Content {
            bytes: content,
            memory_bytes,
        };
        match (message.header_type(), &schema) {
            (MessageHeader::Schema, None) => schema = Some(checked_schema(&message)?),
            (MessageHeader::RecordBatch, Some(schema)) => {
                let batch = message.header_as_record_batch();
                let batch = batch.ok_or_else(|| broken("a batch has no content"))?;
                let types: Vec<&DataType> = schema.fields().iter().map(|f| f.data_type()).collect();
                let batch = Claims::new(batch, content)?.check(&types)?;
                rows = rows.saturating_add(batch);
                if rows > max_rows {
                    return Err(Unreadable::Syntax {
                        message: format!("it has more than {max_rows} rows"),
                        hint: Some("send fewer rows in one request".into()),
                    });
                }
            }
            (MessageHeader::DictionaryBatch, Some(schema)) => {
                check_dictionary(&message, schema, content)?;
            }
            (_, None) => return Err(broken("it doesn't begin with a schema")),
            (header, Some(_)) => {
                let name = header.variant_name().unwrap_or("unknown");
                return Err(broken(format!("a message of the kind {name} stands in it")));
            }
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(broken("something stands behind its end"))
    }
}

/// Length of the next message; `None` at the end.
fn message_length(rest: &mut &[u8]) -> Result<Option<usize>, Unreadable> {
    if rest.is_empty() {
        return Ok(None);
    }
    let mut number = || match rest.split_first_chunk() {
        Some((number, behind)) => {
            *rest = behind;
            Ok(u32::from_le_bytes(*number))
        }
        None => Err(broken("it is cut off")),
    };
    let length = match number()? {
        CONTINUATION => number()?,
        length => length,
    };
    Ok((length > 0).then_some(length as usize))
}

fn cut<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (part, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(part)
}

fn checked_schema(message: &Message<'_>) -> Result<Schema, Unreadable> {
    let schema = message.header_as_schema();
    let schema = schema.ok_or_else(|| broken("the schema has no content"))?;
    if schema.endianness() != Endianness::Little {
        return Err(broken("its numbers are big-endian"));
    }
    let fields = schema.fields();
    for field in fields.ok_or_else(|| broken("the schema has no fields"))? {
        check_field(&field, true)?;
    }
    Ok(fb_to_schema(schema))
}

/// Whether Arrow's reader knows the type.
fn check_field(field: &Field<'_>, may_be_dictionary: bool) -> Result<(), Unreadable> {
    let name = field.name().unwrap_or_default();
    let unknown = || Unreadable::Unsupported {
        message: format!(
            "the Arrow type {} of `{name}` isn't taken",
            field.type_type().variant_name().unwrap_or("unknown")
        ),
        hint: "cast the column to the declared type before sending it".into(),
    };
    let known = |is_known: bool| if is_known { Ok(()) } else { Err(unknown()) };
    if let Some(dictionary) = field.dictionary().filter(|_| may_be_dictionary) {
        let index = dictionary.indexType();
        known(index.is_some_and(|index| is_width(index.bitWidth())))?;
        let is_flat = field.children().is_none_or(|children| children.is_empty());
        known(is_flat && field.type_type() != Type::Null)?;
    }
    let children = || field.children().into_iter().flatten();
    let check_children = |expected: Option<usize>| {
        known(expected.is_none_or(|expected| children().count() == expected))?;
        children().try_for_each(|child| check_field(&child, true))
    };
    match field.type_type() {
        Type::Null
        | Type::Bool
        | Type::Binary
        | Type::BinaryView
        | Type::LargeBinary
        | Type::Utf8
        | Type::Utf8View
        | Type::LargeUtf8 => Ok(()),
        Type::Int => known(
            field
                .type_as_int()
                .is_some_and(|int| is_width(int.bitWidth())),
        ),
        Type::FloatingPoint => known(field.type_as_floating_point().is_some_and(|float| {
            [Precision::HALF, Precision::SINGLE, Precision::DOUBLE].contains(&float.precision())
        })),
        Type::FixedSizeBinary => known(
            field
                .type_as_fixed_size_binary()
                .is_some_and(|binary| binary.byteWidth() > 0),
        ),
        Type::Date => known(
            field
                .type_as_date()
                .is_some_and(|date| [DateUnit::DAY, DateUnit::MILLISECOND].contains(&date.unit())),
        ),
        Type::Timestamp => known(field.type_as_timestamp().is_some_and(|time| {
            [
                TimeUnit::SECOND,
                TimeUnit::MILLISECOND,
                TimeUnit::MICROSECOND,
                TimeUnit::NANOSECOND,
            ]
            .contains(&time.unit())
        })),
        Type::Decimal => known(field.type_as_decimal().is_some_and(|decimal| {
            let digits = match decimal.bitWidth() {
                32 => 9,
                64 => 18,
                128 => 38,
                256 => 76,
                _ => 0,
            };
            let (precision, scale) = (decimal.precision(), decimal.scale());
            (1..=digits).contains(&precision) && (0..=precision).contains(&scale)
        })),
        Type::List | Type::LargeList => check_children(Some(1)),
        Type::FixedSizeList => {
            known(
                field
                    .type_as_fixed_size_list()
                    .is_some_and(|list| list.listSize() > 0),
            )?;
            check_children(Some(1))
        }
        Type::Struct_ => check_children(None),
        Type::Map => {
            known(field.type_as_map().is_some())?;
            let is_entries = |entries: Field<'_>| {
                let parts = entries.children().map_or(0, |children| children.len());
                entries.type_type() == Type::Struct_ && parts == 2 && entries.dictionary().is_none()
            };
            known(children().all(is_entries))?;
            check_children(Some(1))
        }
        _ => Err(unknown()),
    }
}

fn is_width(bits: i32) -> bool {
    [8, 16, 32, 64].contains(&bits)
}

fn check_dictionary(
    message: &Message<'_>,
    schema: &Schema,
    content: Content<'_>,
) -> Result<(), Unreadable> {
    let dictionary = message.header_as_dictionary_batch();
    let dictionary = dictionary.ok_or_else(|| broken("a dictionary has no content"))?;
    if dictionary.isDelta() {
        return Err(Unreadable::Unsupported {
            message: "the Arrow stream adds to its dictionaries".into(),
            hint: "send each dictionary once, or send plain strings".into(),
        });
    }
    #[expect(
        deprecated,
        reason = "the reader finds dictionaries by these ids as well"
    )]
    let fields = schema.fields_with_dict_id(dictionary.id());
    let values = match fields.first().map(|field| field.data_type()) {
        Some(DataType::Dictionary(_, values)) => values.as_ref(),
        _ => return Err(broken("a dictionary belongs to no column")),
    };
    let batch = dictionary.data();
    let batch = batch.ok_or_else(|| broken("a dictionary has no values"))?;
    Claims::new(batch, content)?.check(&[values])?;
    Ok(())
}

/// What stands behind a message, and how much it may stand for.
#[derive(Clone, Copy)]
struct Content<'a> {
    bytes: &'a [u8],
    memory_bytes: usize,
}

/// What a batch says of its parts, in the order in which the reader takes them.
struct Claims<'a> {
    rows: usize,
    content: Content<'a>,
    /// Length and nulls of each array.
    nodes: IntoIter<(i64, i64)>,
    /// Position and length of each buffer.
    buffers: IntoIter<(i64, i64)>,
    /// How many buffers each array of views has.
    views: IntoIter<i64>,
}

/// Products of counts then fit into 64 bits.
fn count(claimed: i64) -> Result<usize, Unreadable> {
    let count = i32::try_from(claimed).ok();
    let count = count.and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| broken(format!("{claimed} is no length")))
}

impl<'a> Claims<'a> {
    fn new(batch: ipc::RecordBatch<'_>, content: Content<'a>) -> Result<Self, Unreadable> {
        if batch.compression().is_some() {
            return Err(Unreadable::Unsupported {
                message: COMPRESSED.into(),
                hint: COMPRESSED_HINT.into(),
            });
        }
        let nodes = batch.nodes();
        let nodes = nodes.ok_or_else(|| broken("a batch has no nodes"))?;
        let nodes: Vec<_> = nodes
            .iter()
            .map(|node| (node.length(), node.null_count()))
            .collect();
        let buffers = batch.buffers();
        let buffers = buffers.ok_or_else(|| broken("a batch has no buffers"))?;
        let buffers: Vec<_> = buffers
            .iter()
            .map(|buffer| (buffer.offset(), buffer.length()))
            .collect();
        let views: Vec<i64> = batch.variadicBufferCounts().into_iter().flatten().collect();
        Ok(Self {
            rows: count(batch.length())?,
            content,
            nodes: nodes.into_iter(),
            buffers: buffers.into_iter(),
            views: views.into_iter(),
        })
    }

    /// Gives back the number of rows.
    fn check(mut self, types: &[&DataType]) -> Result<usize, Unreadable> {
        for data_type in types {
            self.array(data_type, Some(self.rows))?;
        }
        if self.views.next().is_some() {
            return Err(broken("a batch counts more views than it has"));
        }
        Ok(self.rows)
    }

    fn array(&mut self, data_type: &DataType, expected: Option<usize>) -> Result<(), Unreadable> {
        let (length, nulls) = self
            .nodes
            .next()
            .ok_or_else(|| broken("a batch lacks an array"))?;
        let (length, nulls) = (count(length)?, count(nulls)?);
        if nulls > length || expected.is_some_and(|expected| expected != length) {
            return Err(broken("the arrays of a batch have different lengths"));
        }
        if matches!(data_type, DataType::Null) {
            return Ok(());
        }
        let validity = self.buffer()?;
        if nulls > 0 && validity.len().saturating_mul(8) < length {
            return Err(broken("the nulls of an array are cut off"));
        }
        match data_type {
            DataType::Utf8 | DataType::Binary => {
                self.buffer_of(size_of::<i32>())?;
                self.buffer()?;
            }
            DataType::LargeUtf8 | DataType::LargeBinary => {
                self.buffer_of(size_of::<i64>())?;
                self.buffer()?;
            }
            DataType::Utf8View | DataType::BinaryView => {
                let views = self.views.next();
                let views = views.ok_or_else(|| broken("a batch doesn't count its views"))?;
                self.views()?;
                for _ in 0..count(views)? {
                    self.buffer()?;
                }
            }
            DataType::List(item) | DataType::Map(item, _) => {
                self.buffer_of(size_of::<i32>())?;
                self.array(item.data_type(), None)?;
            }
            DataType::LargeList(item) => {
                self.buffer_of(size_of::<i64>())?;
                self.array(item.data_type(), None)?;
            }
            DataType::FixedSizeList(item, size) => {
                let elements = length.checked_mul(*size as usize);
                self.array(item.data_type(), elements)?;
            }
            DataType::Struct(fields) => {
                for field in fields {
                    self.array(field.data_type(), Some(length))?;
                }
            }
            DataType::Dictionary(keys, _) => self.buffer_of(keys.primitive_width().unwrap_or(1))?,
            other => self.buffer_of(other.primitive_width().unwrap_or(1))?,
        }
        Ok(())
    }

    /// Takes a buffer of whole values.
    fn buffer_of(&mut self, bytes: usize) -> Result<(), Unreadable> {
        if self.buffer()?.len().is_multiple_of(bytes) {
            Ok(())
        } else {
            Err(broken("a buffer ends in the middle of a value"))
        }
    }

    /// Takes views. Many can show the same bytes, and the reader would check them for each.
    fn views(&mut self) -> Result<(), Unreadable> {
        let (views, rest) = self.buffer()?.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(broken("a buffer ends in the middle of a value"));
        }
        let length = |view: &[u8; 16]| {
            let [a, b, c, d, ..] = *view;
            u64::from(u32::from_le_bytes([a, b, c, d]))
        };
        let limit = self.content.memory_bytes;
        if views.iter().map(length).sum::<u64>() > limit as u64 {
            return Err(Unreadable::TooLarge { limit });
        }
        Ok(())
    }

    /// The next buffer, which lies in the body.
    fn buffer(&mut self) -> Result<&'a [u8], Unreadable> {
        let (offset, length) = self
            .buffers
            .next()
            .ok_or_else(|| broken("a batch lacks a buffer"))?;
        let (offset, length) = (
            usize::try_from(offset).map_err(broken)?,
            usize::try_from(length).map_err(broken)?,
        );
        let end = offset.checked_add(length);
        end.and_then(|end| self.content.bytes.get(offset..end))
            .ok_or_else(|| broken("a buffer reaches over the end of its batch"))
    }
}
