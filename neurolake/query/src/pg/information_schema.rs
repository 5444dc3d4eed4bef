//! `information_schema` with the columns and the type names of PostgreSQL.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::error::Result as DataFusionResult;
use neurolake_model as model;

use super::introspection::{Listed, OWNER};
use super::types::named;

/// Tables that are filled.
const FILLED: [&str; 5] = [
    "columns",
    "schemata",
    "tables",
    "views",
    "information_schema_catalog_name",
];

/// Tables that have no rows here, with their columns.
const EMPTY: [(&str, &[&str]); 13] = [
    (
        "applicable_roles",
        &["grantee", "role_name", "is_grantable"],
    ),
    (
        "character_sets",
        &[
            "character_set_catalog",
            "character_set_schema",
            "character_set_name",
        ],
    ),
    (
        "check_constraints",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "check_clause",
        ],
    ),
    (
        "constraint_column_usage",
        &[
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
        ],
    ),
    (
        "domains",
        &[
            "domain_catalog",
            "domain_schema",
            "domain_name",
            "data_type",
        ],
    ),
    ("enabled_roles", &["role_name"]),
    (
        "key_column_usage",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "position_in_unique_constraint",
        ],
    ),
    (
        "parameters",
        &[
            "specific_catalog",
            "specific_schema",
            "specific_name",
            "ordinal_position",
            "parameter_mode",
            "parameter_name",
            "data_type",
        ],
    ),
    (
        "referential_constraints",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "unique_constraint_catalog",
            "unique_constraint_schema",
            "unique_constraint_name",
            "match_option",
            "update_rule",
            "delete_rule",
        ],
    ),
    (
        "routines",
        &[
            "specific_catalog",
            "specific_schema",
            "specific_name",
            "routine_catalog",
            "routine_schema",
            "routine_name",
            "routine_type",
            "data_type",
            "routine_definition",
        ],
    ),
    (
        "sequences",
        &[
            "sequence_catalog",
            "sequence_schema",
            "sequence_name",
            "data_type",
        ],
    ),
    (
        "table_constraints",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_type",
            "is_deferrable",
            "initially_deferred",
        ],
    ),
    (
        "triggers",
        &[
            "trigger_catalog",
            "trigger_schema",
            "trigger_name",
            "event_manipulation",
            "event_object_schema",
            "event_object_table",
            "action_statement",
            "action_timing",
        ],
    ),
];

pub(super) struct InformationSchema {
    listed: Listed,
}

impl fmt::Debug for InformationSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InformationSchema").finish_non_exhaustive()
    }
}

impl InformationSchema {
    pub(super) fn new(listed: Listed) -> Self {
        Self { listed }
    }

    fn schemata(&self) -> Rows {
        let mut rows = Rows::new(&[
            "catalog_name",
            "schema_name",
            "schema_owner",
            "default_character_set_catalog",
            "default_character_set_schema",
            "default_character_set_name",
            "sql_path",
        ]);
        let catalog = &self.listed.catalog;
        let databases = catalog
            .databases
            .iter()
            .map(|database| database.name.as_str());
        for name in databases.chain(["information_schema", "pg_catalog"]) {
            rows.push(&[Some(&catalog.name), Some(name), Some(OWNER)]);
        }
        rows
    }

    fn tables(&self) -> Rows {
        let mut rows = Rows::new(&[
            "table_catalog",
            "table_schema",
            "table_name",
            "table_type",
            "self_referencing_column_name",
            "reference_generation",
            "user_defined_type_catalog",
            "user_defined_type_schema",
            "user_defined_type_name",
            "is_insertable_into",
            "is_typed",
            "commit_action",
        ]);
        let none = None;
        for (database, table) in self.listed.catalog.tables() {
            rows.push(&[
                Some(&self.listed.catalog.name),
                Some(&database.name),
                Some(&table.name),
                Some(if is_view(table) { "VIEW" } else { "BASE TABLE" }),
                none,
                none,
                none,
                none,
                none,
                Some("NO"),
                Some("NO"),
            ]);
        }
        rows
    }

    fn views(&self) -> Rows {
        let mut rows = Rows::new(&[
            "table_catalog",
            "table_schema",
            "table_name",
            "view_definition",
            "check_option",
            "is_updatable",
            "is_insertable_into",
        ]);
        for (database, table) in self.listed.catalog.tables() {
            if let model::Source::Sql { query } = &table.source {
                rows.push(&[
                    Some(&self.listed.catalog.name),
                    Some(&database.name),
                    Some(&table.name),
                    Some(query),
                    Some("NONE"),
                    Some("NO"),
                    Some("NO"),
                ]);
            }
        }
        rows
    }

    async fn columns(&self) -> Rows {
        let mut rows = Rows::new(&[
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
            "column_default",
            "is_nullable",
            "data_type",
            "character_maximum_length",
            "character_octet_length",
            "numeric_precision",
            "numeric_precision_radix",
            "numeric_scale",
            "datetime_precision",
            "interval_type",
            "udt_catalog",
            "udt_schema",
            "udt_name",
            "collation_name",
            "domain_name",
            "is_self_referencing",
            "is_identity",
            "identity_generation",
            "is_generated",
            "generation_expression",
            "is_updatable",
        ]);
        let catalog = self.listed.catalog.as_ref();
        for (database, table) in catalog.tables() {
            let schema = self.listed.columns(&database.name, table).await;
            for (place, field) in (1..).zip(schema.fields()) {
                let column = Column {
                    catalog: &catalog.name,
                    database: &database.name,
                    table: &table.name,
                    place,
                    field,
                };
                column.push(&mut rows);
            }
        }
        rows
    }
}

struct Column<'a> {
    catalog: &'a str,
    database: &'a str,
    table: &'a str,
    place: i32,
    field: &'a Field,
}

impl Column<'_> {
    fn push(&self, rows: &mut Rows) {
        let named = named(self.field.data_type());
        let text = |number: i32| number.to_string();
        let place = text(self.place);
        let precision = named.precision.map(|(digits, _)| text(digits));
        let radix = named.precision.map(|(_, radix)| text(radix));
        let scale = named.scale.map(text);
        let seconds = named.seconds.map(text);
        let none = None;
        rows.push(&[
            Some(self.catalog),
            Some(self.database),
            Some(self.table),
            Some(self.field.name()),
            Some(&place),
            none,
            Some(if self.field.is_nullable() {
                "YES"
            } else {
                "NO"
            }),
            Some(named.name),
            none,
            none,
            precision.as_deref(),
            radix.as_deref(),
            scale.as_deref(),
            seconds.as_deref(),
            none,
            Some(self.catalog),
            Some("pg_catalog"),
            Some(named.short),
            none,
            none,
            Some("NO"),
            Some("NO"),
            none,
            Some("NEVER"),
            none,
            Some("NO"),
        ]);
    }
}

fn is_view(table: &model::Table) -> bool {
    matches!(table.source, model::Source::Sql { .. })
}

/// Rows of text; columns that hold numbers are read as such at the end.
struct Rows {
    names: &'static [&'static str],
    cells: Vec<Vec<Option<String>>>,
}

impl Rows {
    fn new(names: &'static [&'static str]) -> Self {
        Self {
            names,
            cells: vec![Vec::new(); names.len()],
        }
    }

    /// A row; what is not given is null.
    fn push(&mut self, row: &[Option<&str>]) {
        for (index, cells) in self.cells.iter_mut().enumerate() {
            let value = row.get(index).copied().flatten();
            cells.push(value.map(str::to_owned));
        }
    }

    fn table(self) -> DataFusionResult<Arc<dyn TableProvider>> {
        let fields: Vec<Field> = self
            .names
            .iter()
            .map(|name| {
                let data_type = if is_number(name) {
                    DataType::Int32
                } else {
                    DataType::Utf8
                };
                Field::new(*name, data_type, true)
            })
            .collect();
        let columns = self.names.iter().zip(self.cells).map(|(name, cells)| {
            let column: ArrayRef = if is_number(name) {
                let numbers = cells
                    .iter()
                    .map(|cell| cell.as_deref()?.parse::<i32>().ok());
                Arc::new(numbers.collect::<Int32Array>())
            } else {
                Arc::new(cells.into_iter().collect::<StringArray>())
            };
            column
        });
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect())?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

fn is_number(column: &str) -> bool {
    column.ends_with("_position")
        || column.ends_with("_precision")
        || column.ends_with("_scale")
        || column.ends_with("_radix")
        || column.ends_with("_length")
        || column == "position_in_unique_constraint"
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        let empty = EMPTY.iter().map(|(name, _)| *name);
        FILLED.into_iter().chain(empty).map(str::to_owned).collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let rows = match name {
            "columns" => self.columns().await,
            "schemata" => self.schemata(),
            "tables" => self.tables(),
            "views" => self.views(),
            "information_schema_catalog_name" => {
                let mut rows = Rows::new(&["catalog_name"]);
                rows.push(&[Some(&self.listed.catalog.name)]);
                rows
            }
            _ => match EMPTY.iter().find(|(known, _)| *known == name) {
                Some((_, columns)) => Rows::new(columns),
                None => return Ok(None),
            },
        };
        rows.table().map(Some)
    }

    fn table_exist(&self, name: &str) -> bool {
        FILLED.contains(&name) || EMPTY.iter().any(|(known, _)| *known == name)
    }
}
