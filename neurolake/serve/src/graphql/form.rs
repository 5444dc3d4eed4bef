//! The form of an answer: columns of a batch under the names that the document gives them.

use std::sync::Arc;

use arrow::array::cast::AsArray;
use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, NullArray, OffsetSizeTrait, RecordBatch,
    RecordBatchOptions, StringArray, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

/// What becomes of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    /// It stays as it is.
    Whole,
    /// Structs, in lists or not, keep these parts.
    Object(Vec<Part>),
}

/// A part of an object, in the order of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) key: String,
    pub(crate) content: Content,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// The same for every row.
    Text(String),
    /// A column of this name.
    Column(String, Form),
    /// Parts that are columns beside the others.
    Group(Vec<Part>),
}

type Result<T, E = ArrowError> = std::result::Result<T, E>;

/// Rows with these parts.
pub(crate) fn formed(parts: &[Part], batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = Parent {
        fields: batch.schema_ref().fields(),
        columns: batch.columns(),
        length: batch.num_rows(),
        nulls: None,
    };
    let object = rows.object(parts)?;
    let schema = Arc::new(Schema::new(object.fields().clone()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, object.columns().to_vec(), &options)
}

/// The schema of [`formed`] rows.
pub(crate) fn formed_schema(parts: &[Part], schema: &SchemaRef) -> Result<SchemaRef> {
    Ok(formed(parts, &RecordBatch::new_empty(Arc::clone(schema)))?.schema())
}

/// Columns that parts are taken from.
struct Parent<'a> {
    fields: &'a Fields,
    columns: &'a [ArrayRef],
    length: usize,
    nulls: Option<&'a NullBuffer>,
}

impl Parent<'_> {
    fn object(&self, parts: &[Part]) -> Result<StructArray> {
        let mut fields = Vec::with_capacity(parts.len());
        let mut columns = Vec::with_capacity(parts.len());
        for part in parts {
            let column = self.part(&part.content)?;
            fields.push(Field::new(&part.key, column.data_type().clone(), true));
            columns.push(column);
        }
        StructArray::try_new_with_length(fields.into(), columns, self.nulls.cloned(), self.length)
    }

    fn part(&self, content: &Content) -> Result<ArrayRef> {
        Ok(match content {
            Content::Text(text) => {
                let values = std::iter::repeat_n(text, self.length);
                Arc::new(StringArray::from_iter_values(values))
            }
            Content::Column(name, form) => taken(form, self.column(name)?)?,
            Content::Group(parts) => {
                let beside = Parent {
                    nulls: None,
                    ..*self
                };
                Arc::new(beside.object(parts)?)
            }
        })
    }

    fn column(&self, name: &str) -> Result<&ArrayRef> {
        let found = self.fields.find(name);
        found.map(|(index, _)| &self.columns[index]).ok_or_else(|| {
            ArrowError::SchemaError(format!("the column `{name}` is missing from the answer"))
        })
    }
}

fn taken(form: &Form, column: &ArrayRef) -> Result<ArrayRef> {
    let Form::Object(parts) = form else {
        return Ok(Arc::clone(column));
    };
    Ok(match column.data_type() {
        DataType::Struct(fields) => {
            let column = column.as_struct();
            let parent = Parent {
                fields,
                columns: column.columns(),
                length: column.len(),
                nulls: column.nulls(),
            };
            Arc::new(parent.object(parts)?)
        }
        DataType::List(_) => Arc::new(items::<i32>(form, column.as_list())?),
        DataType::LargeList(_) => Arc::new(items::<i64>(form, column.as_list())?),
        DataType::FixedSizeList(_, size) => {
            let list = column.as_fixed_size_list();
            let values = taken(form, list.values())?;
            let nulls = list.nulls().cloned();
            Arc::new(FixedSizeListArray::try_new(
                item(&values),
                *size,
                values,
                nulls,
            )?)
        }
        DataType::Null => Arc::new(NullArray::new(column.len())),
        other => {
            return Err(ArrowError::SchemaError(format!(
                "{other} has no fields to choose from"
            )));
        }
    })
}

fn items<O: OffsetSizeTrait>(
    form: &Form,
    list: &GenericListArray<O>,
) -> Result<GenericListArray<O>> {
    let values = taken(form, list.values())?;
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    GenericListArray::try_new(item(&values), offsets, values, nulls)
}

fn item(values: &ArrayRef) -> FieldRef {
    Arc::new(Field::new_list_field(values.data_type().clone(), true))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, ListArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::json::LineDelimitedWriter;

    use super::*;

    fn column(key: &str, name: &str, form: Form) -> Part {
        Part {
            key: key.into(),
            content: Content::Column(name.into(), form),
        }
    }

    fn text(key: &str, text: &str) -> Part {
        Part {
            key: key.into(),
            content: Content::Text(text.into()),
        }
    }

    fn batch() -> RecordBatch {
        let x: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        let fields: Fields = vec![
            Field::new("x", DataType::Int32, true),
            Field::new("y", DataType::Int32, true),
        ]
        .into();
        let nulls = NullBuffer::from(vec![true, false, true]);
        let points = StructArray::new(fields, vec![Arc::clone(&x), x], Some(nulls));
        let points: ArrayRef = Arc::new(points);
        let lists = ListArray::new(
            item(&points),
            OffsetBuffer::from_lengths([2, 0, 1]),
            Arc::clone(&points),
            Some(NullBuffer::from(vec![true, true, false])),
        );
        let lists: ArrayRef = Arc::new(lists);
        RecordBatch::try_from_iter_with_nullable([("point", points, true), ("path", lists, true)])
            .expect("a batch")
    }

    fn json(batch: &RecordBatch) -> String {
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(batch).expect("JSON");
        writer.finish().expect("JSON");
        String::from_utf8(writer.into_inner()).expect("text")
    }

    #[test]
    fn parts_are_chosen_named_and_repeated_at_every_depth() {
        let of_point = || Form::Object(vec![column("b", "x", Form::Whole), text("t", "Point")]);
        let parts = [
            text("__typename", "row"),
            column("p", "point", of_point()),
            column("path", "path", of_point()),
            Part {
                key: "sum".into(),
                content: Content::Group(vec![column("again", "point", of_point())]),
            },
        ];
        let formed = formed(&parts, &batch()).expect("rows");
        assert_eq!(
            json(&formed),
            "{\"__typename\":\"row\",\"p\":{\"b\":1,\"t\":\"Point\"},\
             \"path\":[{\"b\":1,\"t\":\"Point\"},null],\"sum\":{\"again\":{\"b\":1,\"t\":\"Point\"}}}\n\
             {\"__typename\":\"row\",\"path\":[],\"sum\":{}}\n\
             {\"__typename\":\"row\",\"p\":{\"b\":3,\"t\":\"Point\"},\"sum\":{\"again\":{\"b\":3,\"t\":\"Point\"}}}\n"
        );
        let slice = super::formed(&parts, &batch().slice(2, 1)).expect("rows");
        assert!(json(&slice).contains("\"b\":3"));
        let schema = formed_schema(&parts, &batch().schema()).expect("a schema");
        assert_eq!(schema, formed.schema());
    }

    #[test]
    fn a_column_that_is_not_there_is_an_error() {
        let parts = [column("a", "gone", Form::Whole)];
        assert!(formed(&parts, &batch()).is_err());
    }
}
