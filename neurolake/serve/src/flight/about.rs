//! What the lake says about itself: databases, tables, keys, and what this server can do.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{
    GetDbSchemasBuilder, GetTablesBuilder, SqlInfoDataBuilder, XdbcTypeInfoDataBuilder,
};
use arrow_flight::sql::{
    Command, CommandGetPrimaryKeys, CommandGetTables, SqlInfo, SqlNullOrdering,
    SqlSupportedCaseSensitivity, SqlSupportedTransaction,
};
use neurolake_model as model;
use neurolake_query::{Error, Kind, Lake, Result};

use crate::doors::Shared;

const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";

/// Where clients look for what a column means.
const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";

static CATALOGS: LazyLock<SchemaRef> = LazyLock::new(|| columns(&[text("catalog_name")]));

static TABLE_TYPES: LazyLock<SchemaRef> = LazyLock::new(|| columns(&[text("table_type")]));

static PRIMARY_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    columns(&[
        optional("catalog_name"),
        optional("db_schema_name"),
        text("table_name"),
        text("column_name"),
        optional("key_name"),
        Field::new("key_sequence", DataType::Int32, false),
    ])
});

static FOREIGN_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    columns(&[
        optional("pk_catalog_name"),
        optional("pk_db_schema_name"),
        text("pk_table_name"),
        text("pk_column_name"),
        optional("fk_catalog_name"),
        optional("fk_db_schema_name"),
        text("fk_table_name"),
        text("fk_column_name"),
        Field::new("key_sequence", DataType::Int32, false),
        optional("fk_key_name"),
        optional("pk_key_name"),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ])
});

fn columns(fields: &[Field]) -> SchemaRef {
    Arc::new(Schema::new(fields.to_vec()))
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

fn optional(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// Columns of the answer. `None`: it is not a question about the lake.
pub(super) fn schema(command: &Command) -> Option<SchemaRef> {
    Some(match command {
        Command::CommandGetCatalogs(_) => Arc::clone(&CATALOGS),
        Command::CommandGetDbSchemas(asked) => asked.clone().into_builder().schema(),
        Command::CommandGetTables(asked) => asked.clone().into_builder().schema(),
        Command::CommandGetTableTypes(_) => Arc::clone(&TABLE_TYPES),
        Command::CommandGetSqlInfo(_) => Arc::new(SqlInfoDataBuilder::schema().clone()),
        Command::CommandGetPrimaryKeys(_) => Arc::clone(&PRIMARY_KEYS),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Arc::clone(&FOREIGN_KEYS),
        Command::CommandGetXdbcTypeInfo(_) => XdbcTypeInfoDataBuilder::new().schema(),
        _ => return None,
    })
}

/// The answer.
///
/// # Errors
/// A pattern can't be understood.
pub(super) async fn rows(shared: &Shared, lake: &Lake, command: Command) -> Result<RecordBatch> {
    let catalog = lake.catalog();
    match command {
        Command::CommandGetCatalogs(_) => batch(&CATALOGS, vec![texts([catalog.name.as_str()])]),
        Command::CommandGetDbSchemas(asked) => {
            let mut builder: GetDbSchemasBuilder = asked.into_builder();
            for database in &catalog.databases {
                builder.append(&catalog.name, &database.name);
            }
            builder.build().map_err(|error| pattern(&error))
        }
        Command::CommandGetTables(asked) => tables(shared, lake, asked).await,
        Command::CommandGetTableTypes(_) => batch(&TABLE_TYPES, vec![texts([TABLE, VIEW])]),
        Command::CommandGetSqlInfo(asked) => abilities(shared, &asked.info),
        Command::CommandGetPrimaryKeys(asked) => primary_keys(catalog, &asked),
        // Nothing is declared that would say how tables refer to each other.
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => {
            Ok(RecordBatch::new_empty(Arc::clone(&FOREIGN_KEYS)))
        }
        Command::CommandGetXdbcTypeInfo(_) => {
            let schema = XdbcTypeInfoDataBuilder::new().schema();
            Ok(RecordBatch::new_empty(schema))
        }
        _ => Err(Error::new(
            Kind::BadRequest,
            "this says nothing about the lake",
        )),
    }
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| {
        Error::new(Kind::Internal, "the answer has other columns").with_source(error)
    })
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn pattern(error: &FlightError) -> Error {
    Error::new(Kind::BadRequest, format!("can't read a pattern: {error}"))
        .with_hint("`%` stands for any text, `_` for one character")
}

fn table_type(table: &model::Table) -> &'static str {
    match table.source {
        model::Source::Sql { .. } => VIEW,
        _ => TABLE,
    }
}

async fn tables(shared: &Shared, lake: &Lake, asked: CommandGetTables) -> Result<RecordBatch> {
    let with_schema = asked.include_schema;
    let mut builder = GetTablesBuilder::new(
        asked.catalog,
        asked.db_schema_filter_pattern,
        asked.table_name_filter_pattern,
        Vec::<String>::new(),
        false,
    );
    // A set: a client may repeat itself a million times.
    let types: BTreeSet<String> = asked.table_types.into_iter().collect();
    let catalog = lake.catalog();
    let nothing = Schema::empty();
    for (database, table) in catalog.tables() {
        let kind = table_type(table);
        if types.is_empty() || types.contains(kind) {
            let added = builder.append(&catalog.name, &database.name, &table.name, kind, &nothing);
            added.map_err(|error| pattern(&error))?;
        }
    }
    let found = builder.build().map_err(|error| pattern(&error))?;
    if !with_schema {
        return Ok(found);
    }
    // Only now: a table that declares no columns has to be opened.
    let mut builder = GetTablesBuilder::new(
        None::<String>,
        None::<String>,
        None::<String>,
        Vec::<String>::new(),
        true,
    );
    let declared: HashMap<(&str, &str), &model::Table> = catalog
        .tables()
        .map(|(database, table)| ((database.name.as_str(), table.name.as_str()), table))
        .collect();
    let values = |index: usize| found.column(index).as_string::<i32>();
    for row in 0..found.num_rows() {
        let (database, table) = (values(1).value(row), values(2).value(row));
        let columns = declared.get(&(database, table));
        let columns = columns.map_or(&[][..], |table| &table.columns);
        let schema = described(shared, lake, database, table, columns).await;
        let added = builder.append(
            values(0).value(row),
            database,
            table,
            values(3).value(row),
            &schema,
        );
        added.map_err(|error| pattern(&error))?;
    }
    builder.build().map_err(|error| pattern(&error))
}

/// Columns of a table with what is said about them. There are none if it can't be opened: the other
/// tables can still be listed.
async fn described(
    shared: &Shared,
    lake: &Lake,
    database: &str,
    table: &str,
    declared: &[model::Column],
) -> Schema {
    let schema = match lake.declared_schema(database, table) {
        Ok(Some(schema)) => schema,
        _ => match lake.schema(database, table).await {
            Ok(schema) => schema,
            Err(error) => {
                let health = &shared.health;
                health.saw_table(lake, database, table, &error).await;
                return Schema::empty();
            }
        },
    };
    let fields = schema.fields().iter();
    let fields = fields.map(|field| with_remarks(field, declared));
    Schema::new_with_metadata(fields.collect::<Vec<FieldRef>>(), schema.metadata().clone())
}

fn with_remarks(field: &FieldRef, declared: &[model::Column]) -> FieldRef {
    let column = declared.iter().find(|column| column.name == *field.name());
    let docs = column.map(|column| (column.docs.trim(), column.unit.as_deref()));
    let remarks = match docs {
        None | Some(("", None)) => return Arc::clone(field),
        Some((docs, None)) => docs.to_owned(),
        Some(("", Some(unit))) => format!("[{unit}]"),
        Some((docs, Some(unit))) => format!("{docs} [{unit}]"),
    };
    let mut metadata = field.metadata().clone();
    metadata.insert(REMARKS.to_owned(), remarks);
    Arc::new(field.as_ref().clone().with_metadata(metadata))
}

fn primary_keys(catalog: &model::Catalog, asked: &CommandGetPrimaryKeys) -> Result<RecordBatch> {
    let is = |asked: &Option<String>, name: &str| asked.as_deref().is_none_or(|one| one == name);
    let mut found: Vec<(&str, &str, &str, usize)> = Vec::new();
    for (database, table) in catalog.tables() {
        if is(&asked.catalog, &catalog.name)
            && is(&asked.db_schema, &database.name)
            && asked.table == table.name
        {
            let columns = table.unique_by.iter().enumerate();
            found.extend(columns.map(|(index, column)| {
                (
                    database.name.as_str(),
                    table.name.as_str(),
                    column.as_str(),
                    index,
                )
            }));
        }
    }
    let no_name: StringArray = found.iter().map(|_| None::<&str>).collect();
    let place = found.iter().map(|(.., index)| *index as i32 + 1);
    batch(
        &PRIMARY_KEYS,
        vec![
            texts(found.iter().map(|_| catalog.name.as_str())),
            texts(found.iter().map(|(database, ..)| *database)),
            texts(found.iter().map(|(_, table, ..)| *table)),
            texts(found.iter().map(|(_, _, column, _)| *column)),
            Arc::new(no_name),
            Arc::new(Int32Array::from_iter_values(place)),
        ],
    )
}

/// What this server can do, of what the client asks for.
fn abilities(shared: &Shared, asked: &[u32]) -> Result<RecordBatch> {
    let mut all = SqlInfoDataBuilder::new();
    let asked: BTreeSet<u32> = asked.iter().copied().collect();
    let is_asked = |info: SqlInfo| asked.is_empty() || asked.contains(&(info as u32));
    let mut say = |info: SqlInfo, value: Value| {
        if !is_asked(info) {
            return;
        }
        match value {
            Value::Text(value) => all.append(info, value),
            Value::Flag(value) => all.append(info, value),
            Value::Number(value) => all.append(info, value),
            Value::Long(value) => all.append(info, value),
        }
    };
    let longest = i64::try_from(shared.settings.statement_bytes).unwrap_or(i64::MAX);
    say(SqlInfo::FlightSqlServerName, Value::Text("neurolake"));
    say(
        SqlInfo::FlightSqlServerVersion,
        Value::Text(env!("CARGO_PKG_VERSION")),
    );
    say(
        SqlInfo::FlightSqlServerArrowVersion,
        Value::Text(arrow::ARROW_VERSION),
    );
    say(SqlInfo::FlightSqlServerReadOnly, Value::Flag(true));
    say(SqlInfo::FlightSqlServerSql, Value::Flag(true));
    say(SqlInfo::FlightSqlServerSubstrait, Value::Flag(false));
    // Nothing is ever written that could be taken back, and many drivers begin one unasked.
    let transactions = SqlSupportedTransaction::Transaction as i32;
    say(
        SqlInfo::FlightSqlServerTransaction,
        Value::Number(transactions),
    );
    say(SqlInfo::FlightSqlServerCancel, Value::Flag(true));
    say(SqlInfo::FlightSqlServerBulkIngestion, Value::Flag(false));
    say(SqlInfo::FlightSqlServerStatementTimeout, Value::Number(0));
    say(SqlInfo::FlightSqlServerTransactionTimeout, Value::Number(0));
    say(SqlInfo::SqlDdlCatalog, Value::Flag(false));
    say(SqlInfo::SqlDdlSchema, Value::Flag(false));
    say(SqlInfo::SqlDdlTable, Value::Flag(false));
    let lower = SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i64;
    say(SqlInfo::SqlIdentifierCase, Value::Long(lower));
    say(SqlInfo::SqlIdentifierQuoteChar, Value::Text("\""));
    say(SqlInfo::SqlAllTablesAreSelectable, Value::Flag(true));
    let nulls = SqlNullOrdering::SqlNullsSortedHigh as i64;
    say(SqlInfo::SqlNullOrdering, Value::Long(nulls));
    say(SqlInfo::SqlSearchStringEscape, Value::Text("\\"));
    say(SqlInfo::SqlSupportsColumnAliasing, Value::Flag(true));
    say(SqlInfo::SqlNullPlusNullIsNull, Value::Flag(true));
    say(SqlInfo::SqlSupportsTableCorrelationNames, Value::Flag(true));
    say(SqlInfo::SqlSupportsExpressionsInOrderBy, Value::Flag(true));
    say(SqlInfo::SqlSupportsOrderByUnrelated, Value::Flag(true));
    say(SqlInfo::SqlSupportsNonNullableColumns, Value::Flag(true));
    say(SqlInfo::SqlSchemaTerm, Value::Text("database"));
    say(SqlInfo::SqlCatalogTerm, Value::Text("catalog"));
    say(SqlInfo::SqlCatalogAtStart, Value::Flag(true));
    say(SqlInfo::SqlSelectForUpdateSupported, Value::Flag(false));
    say(SqlInfo::SqlStoredProceduresSupported, Value::Flag(false));
    say(SqlInfo::SqlCorrelatedSubqueriesSupported, Value::Flag(true));
    say(SqlInfo::SqlMaxStatementLength, Value::Long(longest));
    say(SqlInfo::SqlTransactionsSupported, Value::Flag(false));
    say(SqlInfo::SqlBatchUpdatesSupported, Value::Flag(false));
    say(SqlInfo::SqlSavepointsSupported, Value::Flag(false));
    say(SqlInfo::SqlNamedParametersSupported, Value::Flag(true));
    let all = all.build().and_then(|all| all.record_batch([]));
    all.map_err(|error| Error::new(Kind::Internal, format!("the answer can't be made: {error}")))
}

enum Value {
    Text(&'static str),
    Flag(bool),
    Number(i32),
    Long(i64),
}
