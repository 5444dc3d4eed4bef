//! A table of a server: what is stored, and how it becomes what is declared.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{TableSource, TableType};
use datafusion_federation::{FederatedTableSource, FederationProvider};
use neurolake_model as model;

use super::decode::wire_type;
use super::literal::{literal, time_text, typed};
use super::scan::Pushdown;
use super::server::Server;
use super::sql::quoted;
use crate::error::{Error, Kind, Result};
use crate::sources::Declared;
use crate::suggest::nearest;
use neurolake_delta::types::arrow_type;

/// A declared table as its server stores it.
pub(super) struct Table {
    /// `database.table`, for errors.
    pub(super) label: String,
    /// Schema and name in quotes.
    pub(super) relation: String,
    pub(super) schema: SchemaRef,
    /// As many as in the schema.
    pub(super) columns: Vec<Column>,
    pub(super) server: Arc<Server>,
    pub(super) pushdown: Arc<Pushdown>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

impl TableSource for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }
}

impl FederatedTableSource for Table {
    fn federation_provider(&self) -> Arc<dyn FederationProvider> {
        Arc::clone(&self.pushdown) as Arc<dyn FederationProvider>
    }
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) stored: Stored,
    /// The server sends it in the right type without a cast.
    pub(super) exact: bool,
}

/// How a stored value becomes the declared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// As it is.
    Plain,
    /// Written as text: JSON, enums, addresses and all types that only PostgreSQL has. Also
    /// `char(n)`, whose comparisons ignore blanks at the end.
    Text,
    /// A UUID, as text.
    Uuid,
    /// A timestamp without time zone, taken as UTC.
    Utc,
    /// A smaller type of numbers than declared.
    Wider(&'static str),
    /// An array of other elements than declared.
    TextArray,
}

impl Stored {
    /// The conversion in SQL. `None`: none is needed.
    pub(super) fn conversion(self, column: &str) -> Option<String> {
        match self {
            Self::Plain => None,
            Self::Text | Self::Uuid => Some(format!("{column}::text")),
            Self::Utc => Some(format!("({column} AT TIME ZONE 'UTC')")),
            Self::Wider(data_type) => Some(format!("{column}::{data_type}")),
            Self::TextArray => Some(format!("{column}::text[]")),
        }
    }

    /// The value that the stored column can be compared with, instead of the converted one.
    pub(super) fn literal(self, value: &ScalarValue, equality: bool) -> Option<String> {
        match self {
            Self::Uuid if equality => {
                let text = value.try_as_str()??;
                is_uuid(text).then(|| typed(text, "uuid"))
            }
            Self::Utc => match value {
                ScalarValue::TimestampMicrosecond(Some(value), Some(_)) => {
                    Some(typed(&time_text(*value)?, "timestamp"))
                }
                _ => None,
            },
            Self::Wider(_) if !value.is_null() => literal(value),
            _ => None,
        }
    }
}

/// As PostgreSQL writes them. Another way of writing one is no equal text.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

/// A column as the server's own catalog describes it.
pub(super) struct Described {
    name: String,
    /// As `format_type` writes it, without modifiers.
    base: String,
    /// The same with modifiers, for people.
    full: String,
    modifier: i32,
    nullable: bool,
}

const DESCRIBE: &str = "\
    SELECT a.attname::text, \
           pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL), \
           pg_catalog.format_type(a.atttypid, a.atttypmod), \
           CASE WHEN t.typbasetype <> 0 THEN t.typtypmod ELSE a.atttypmod END, \
           NOT (a.attnotnull OR t.typnotnull) \
    FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'v', 'm', 'f', 'p') \
      AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY a.attnum";

/// Asks the server what it stores and compares it with the declaration.
pub(super) async fn open(
    server: &Arc<Server>,
    declared: &Declared,
    relation: &str,
    pushdown: Arc<Pushdown>,
) -> Result<Table> {
    let label = format!("{}.{}", declared.database, declared.table.name);
    let (schema, name) = relation.split_once('.').unwrap_or(("public", relation));
    let described = describe(server, &label, schema, name).await?;
    if described.is_empty() {
        return Err(Error::new(
            Kind::Broken,
            format!(
                "{label} is declared over `{relation}`, which is not in the database of the store \
                 `{}`",
                server.store()
            ),
        )
        .with_hint(
            "correct `postgres = \"schema.table\"` in the declaration, or create the table",
        ));
    }
    let (fields, columns) = if declared.table.columns.is_empty() {
        undeclared(&described)
    } else {
        matched(&label, relation, &declared.table.columns, &described)?
    };
    Ok(Table {
        label,
        relation: format!("{}.{}", quoted(schema), quoted(name)),
        schema: Arc::new(Schema::new(fields)),
        columns,
        server: Arc::clone(server),
        pushdown,
    })
}

async fn describe(
    server: &Arc<Server>,
    label: &str,
    schema: &str,
    name: &str,
) -> Result<Vec<Described>> {
    loop {
        let lease = server.connection().await?;
        let rows = match lease.client()?.query(DESCRIBE, &[&schema, &name]).await {
            Ok(rows) => rows,
            Err(_) if lease.is_stale() => continue,
            Err(error) => return Err(server.failed(label, &error)),
        };
        let described = rows.iter().map(|row| {
            Ok(Described {
                name: row.try_get(0)?,
                base: row.try_get(1)?,
                full: row.try_get(2)?,
                modifier: row.try_get(3)?,
                nullable: row.try_get(4)?,
            })
        });
        return described
            .collect::<Result<_, tokio_postgres::Error>>()
            .map_err(|error| server.failed(label, &error));
    }
}

fn undeclared(described: &[Described]) -> (Vec<Field>, Vec<Column>) {
    let columns = described.iter().map(|column| {
        let data_type = natural(&column.base, column.modifier);
        let stored = fit(&data_type, column).unwrap_or(Stored::Text);
        let field = Field::new(&column.name, data_type, column.nullable);
        (field, column_of(&column.name, stored))
    });
    columns.unzip()
}

fn column_of(name: &str, stored: Stored) -> Column {
    Column {
        name: name.to_owned(),
        stored,
        exact: true,
    }
}

// Not `crate::schema::check`: it knows files, which are cast here, and PostgreSQL does the casting
// of its own types itself.
fn matched(
    label: &str,
    relation: &str,
    declared: &[model::Column],
    described: &[Described],
) -> Result<(Vec<Field>, Vec<Column>)> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    let mut differences = Vec::new();
    for column in declared {
        let data_type = arrow_type(&column.data_type);
        let Some(found) = described.iter().find(|found| found.name == column.name) else {
            let names = described.iter().map(|found| found.name.as_str());
            let like = nearest(&column.name, names)
                .map(|name| format!(", but `{name}` is there"))
                .unwrap_or_default();
            differences.push(format!("the column `{}` is missing{like}", column.name));
            continue;
        };
        match fit(&data_type, found) {
            Some(stored) => columns.push(column_of(&column.name, stored)),
            None => differences.push(format!(
                "the column `{}` is stored as `{}`, which does not fit into `{}`",
                column.name, found.full, column.data_type
            )),
        }
        fields.push(Field::new(&column.name, data_type, column.nullable));
    }
    if differences.is_empty() {
        return Ok((fields, columns));
    }
    Err(Error::new(
        Kind::Broken,
        format!(
            "{label} differs from `{relation}` in PostgreSQL: {}",
            differences.join("; ")
        ),
    )
    .with_hint("correct the declaration, or the table"))
}

fn timestamp(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

/// The type that holds all values of a stored type; text for those that only PostgreSQL has.
fn natural(base: &str, modifier: i32) -> DataType {
    if let Some(element) = base.strip_suffix("[]") {
        let element = natural(element, modifier);
        return DataType::List(Arc::new(Field::new("element", element, true)));
    }
    match base {
        "boolean" => DataType::Boolean,
        "smallint" => DataType::Int16,
        "integer" => DataType::Int32,
        "bigint" => DataType::Int64,
        "real" => DataType::Float32,
        "double precision" => DataType::Float64,
        "numeric" => decimal(modifier).unwrap_or(DataType::Utf8),
        "bytea" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp with time zone" => timestamp(Some("UTC")),
        "timestamp without time zone" => timestamp(None),
        _ => DataType::Utf8,
    }
}

/// A numeric's modifier holds precision and scale; without one it may have any number of digits.
fn decimal(modifier: i32) -> Option<DataType> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    let precision = u8::try_from((packed >> 16) & 0xFFFF).ok()?;
    // Eleven bits with a sign.
    let scale = i8::try_from(((packed & 0x7FF) ^ 1024) - 1024).ok()?;
    let fits = precision <= 38 && scale >= 0 && scale.unsigned_abs() <= precision;
    fits.then_some(DataType::Decimal128(precision, scale))
}

/// How the stored column becomes the wanted type without losing anything.
fn fit(wanted: &DataType, found: &Described) -> Option<Stored> {
    let base = found.base.as_str();
    if let (DataType::List(item), Some(element)) = (wanted, base.strip_suffix("[]")) {
        let element = Described {
            name: String::new(),
            base: element.to_owned(),
            full: String::new(),
            modifier: found.modifier,
            nullable: true,
        };
        return match (fit(item.data_type(), &element)?, item.data_type()) {
            (Stored::Plain, data_type) => wire_type(data_type).map(|_| Stored::Plain),
            (Stored::Text | Stored::Uuid, DataType::Utf8) => Some(Stored::TextArray),
            _ => None,
        };
    }
    let natural = natural(base, found.modifier);
    match (wanted, &natural) {
        (DataType::Utf8, DataType::Utf8) => Some(match base {
            "text" | "character varying" => Stored::Plain,
            "uuid" => Stored::Uuid,
            _ => Stored::Text,
        }),
        // Each value is checked when it is read.
        (DataType::Decimal128(..), DataType::Utf8) if base == "numeric" => Some(Stored::Plain),
        (DataType::Decimal128(precision, scale), DataType::Decimal128(p, s)) => {
            let room = i16::from(*precision) - i16::from(*scale);
            (scale >= s && room >= i16::from(*p) - i16::from(*s)).then_some(Stored::Plain)
        }
        (DataType::Int32, DataType::Int16) => Some(Stored::Wider("int4")),
        (DataType::Int64, DataType::Int16 | DataType::Int32) => Some(Stored::Wider("int8")),
        (DataType::Float64, DataType::Float32) => Some(Stored::Wider("float8")),
        (DataType::Timestamp(TimeUnit::Microsecond, Some(_)), DataType::Timestamp(_, None)) => {
            Some(Stored::Utc)
        }
        _ => (*wanted == natural && wire_type(wanted).is_some()).then_some(Stored::Plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(base: &str, modifier: i32) -> Described {
        Described {
            name: "x".into(),
            base: base.into(),
            full: base.into(),
            modifier,
            nullable: true,
        }
    }

    #[test]
    fn only_what_loses_nothing_fits() {
        let numeric = stored("numeric", ((10 << 16) | 2) + 4);
        assert_eq!(
            natural("numeric", numeric.modifier),
            DataType::Decimal128(10, 2)
        );
        assert_eq!(
            fit(&DataType::Decimal128(12, 3), &numeric),
            Some(Stored::Plain)
        );
        assert_eq!(fit(&DataType::Decimal128(10, 3), &numeric), None);
        assert_eq!(fit(&DataType::Float64, &numeric), None);
        assert_eq!(fit(&DataType::Utf8, &stored("integer", -1)), None);
        assert_eq!(fit(&DataType::Int32, &stored("bigint", -1)), None);
        assert_eq!(
            fit(&DataType::Utf8, &stored("mood", -1)),
            Some(Stored::Text)
        );
        assert_eq!(
            fit(&DataType::Int64, &stored("integer", -1)),
            Some(Stored::Wider("int8"))
        );
    }
}
