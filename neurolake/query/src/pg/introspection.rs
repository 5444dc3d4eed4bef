//! What is listed: the lake's catalog as `pg_catalog` and `information_schema` tell it.
//!
//! Made once for a lake. Columns come from declarations; a table that declares none is opened the
//! first time that it is listed, and is listed without columns while that fails.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::array::{
    ArrayRef, AsArray, Int16Array, Int32Array, RecordBatch, StringArray, new_null_array,
};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemTable, SchemaProvider, TableProvider,
};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SessionState;
use datafusion::logical_expr::TableType;
use datafusion::prelude::SessionContext;
use datafusion_pg_catalog::pg_catalog::context::{PgCatalogContextProvider, Role};
use datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use neurolake_model as model;
use tokio::time::Instant;

use super::information_schema::InformationSchema;
use super::{functions, types};
use crate::access::Access;
use crate::catalog::{DeclaredTable, schema_of, table_type};
use crate::error::{Error, Kind, Result};
use crate::lake::{Lake, Scope, Shared};

pub(super) const PG_CATALOG: &str = "pg_catalog";
const PG_ATTRIBUTE: &str = "pg_attribute";
const PG_CLASS: &str = "pg_class";
const PG_CONSTRAINT: &str = "pg_constraint";
const PG_DESCRIPTION: &str = "pg_description";
/// Who owns everything.
pub(super) const OWNER: &str = "neurolake";
/// How long opening a table may hold up a list of tables.
const OPENING: Duration = Duration::from_secs(3);
/// How long a table that couldn't be opened is not tried again.
const PAUSE: Duration = Duration::from_secs(30);

/// The tables that describe a lake, and a session that knows PostgreSQL's functions.
pub(crate) struct Introspection {
    state: SessionState,
    pg_catalog: Arc<dyn SchemaProvider>,
    information_schema: Arc<dyn SchemaProvider>,
    comments: Arc<Comments>,
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").finish_non_exhaustive()
    }
}

impl Introspection {
    pub(super) async fn new(scope: &Scope) -> Result<Arc<Self>> {
        let shared = &scope.shared;
        let catalog = &scope.access.catalog;
        let listed = Listed::new(scope);
        let mut state = shared.template.state().clone();
        state.register_catalog_list(Arc::new(listed.clone()));
        let options = state.config_mut().options_mut();
        options.catalog.default_catalog.clone_from(&catalog.name);
        let context = SessionContext::new_with_state(state);
        setup_pg_catalog(&context, &catalog.name, Roles).map_err(|error| *error)?;
        let pg_catalog = listed.pg_catalog()?;
        let comments = Arc::new(Comments::read(&context, catalog).await?);
        functions::register_fixed(&context);
        Ok(Arc::new(Self {
            state: context.state(),
            pg_catalog: Arc::new(
                Described::new(pg_catalog, &comments, listed.clone(), context.clone()).await?,
            ),
            information_schema: Arc::new(InformationSchema::new(listed)),
            comments,
        }))
    }

    pub(super) fn state(&self) -> &SessionState {
        &self.state
    }

    pub(super) fn comments(&self) -> &Arc<Comments> {
        &self.comments
    }

    pub(super) fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            PG_CATALOG => Some(Arc::clone(&self.pg_catalog)),
            INFORMATION_SCHEMA => Some(Arc::clone(&self.information_schema)),
            _ => None,
        }
    }
}

/// There is one owner, whom nobody can be.
#[derive(Debug, Clone)]
struct Roles;

#[async_trait]
impl PgCatalogContextProvider for Roles {
    async fn roles(&self) -> Vec<String> {
        vec![OWNER.to_owned()]
    }

    async fn role(&self, name: &str) -> Option<Role> {
        (name == OWNER).then(|| Role {
            name: OWNER.to_owned(),
            is_superuser: false,
            can_login: false,
            can_create_db: false,
            can_create_role: false,
            can_create_user: false,
            can_replication: false,
            grants: Vec::new(),
            inherited_roles: Vec::new(),
        })
    }
}

/// The catalog as a list of databases with tables that nobody reads.
#[derive(Clone)]
pub(super) struct Listed {
    shared: std::sync::Weak<Shared>,
    access: std::sync::Weak<Access>,
    pub(super) catalog: Arc<model::Catalog>,
    pg_catalog: Arc<OnceLock<Arc<dyn SchemaProvider>>>,
    opened: Arc<Mutex<HashMap<(String, String), Opened>>>,
}

/// A table that declares no columns.
enum Opened {
    Schema(SchemaRef),
    Failed(Instant),
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listed").finish_non_exhaustive()
    }
}

impl Listed {
    fn new(scope: &Scope) -> Self {
        Self {
            // The lake keeps what is made of this.
            shared: Arc::downgrade(&scope.shared),
            access: Arc::downgrade(&scope.access),
            catalog: Arc::clone(&scope.access.catalog),
            pg_catalog: Arc::default(),
            opened: Arc::default(),
        }
    }

    fn pg_catalog(&self) -> Result<Arc<dyn SchemaProvider>> {
        let registered = self.pg_catalog.get();
        registered.map(Arc::clone).ok_or_else(|| {
            Error::new(
                Kind::Internal,
                "the catalog of PostgreSQL was not registered",
            )
        })
    }

    fn database(&self, name: &str) -> Option<&model::Database> {
        let databases = &self.catalog.databases;
        databases.iter().find(|database| database.name == name)
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<(String, String), Opened>> {
        // Nothing can panic while the map is held.
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Columns of a table.
    pub(super) async fn columns(&self, database: &str, table: &model::Table) -> SchemaRef {
        if let Some(declared) = schema_of(database, table) {
            return declared;
        }
        let key = (database.to_owned(), table.name.clone());
        match self.opened().get(&key) {
            Some(Opened::Schema(schema)) => return Arc::clone(schema),
            Some(Opened::Failed(at)) if at.elapsed() < PAUSE => return Arc::new(Schema::empty()),
            _ => {}
        }
        let opened = tokio::time::timeout(OPENING, self.open(database, &table.name)).await;
        match opened {
            Ok(Ok(schema)) => {
                self.opened()
                    .insert(key, Opened::Schema(Arc::clone(&schema)));
                schema
            }
            _ => {
                self.opened().insert(key, Opened::Failed(Instant::now()));
                Arc::new(Schema::empty())
            }
        }
    }

    async fn open(&self, database: &str, table: &str) -> Result<SchemaRef> {
        let lake = self.shared.upgrade().zip(self.access.upgrade());
        let (shared, access) =
            lake.ok_or_else(|| Error::new(Kind::Internal, "the lake is closed"))?;
        Lake::over(shared, access).schema(database, table).await
    }
}

impl CatalogProviderList for Listed {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.catalog.name.clone()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == self.catalog.name).then(|| {
            let catalog: Arc<dyn CatalogProvider> = Arc::new(self.clone());
            catalog
        })
    }
}

impl CatalogProvider for Listed {
    fn schema_names(&self) -> Vec<String> {
        let databases = self.catalog.databases.iter();
        let mut names: Vec<String> = databases.map(|database| database.name.clone()).collect();
        names.push(INFORMATION_SCHEMA.to_owned());
        if self.pg_catalog.get().is_some() {
            names.push(PG_CATALOG.to_owned());
        }
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            PG_CATALOG => self.pg_catalog.get().map(Arc::clone),
            INFORMATION_SCHEMA => Some(Arc::new(InformationSchema::new(self.clone()))),
            _ => {
                self.database(name)?;
                Some(Arc::new(ListedDatabase {
                    listed: self.clone(),
                    name: name.to_owned(),
                }))
            }
        }
    }

    fn register_schema(
        &self,
        name: &str,
        schema: Arc<dyn SchemaProvider>,
    ) -> DataFusionResult<Option<Arc<dyn SchemaProvider>>> {
        if name == PG_CATALOG && self.pg_catalog.set(schema).is_ok() {
            return Ok(None);
        }
        Err(DataFusionError::Internal(format!(
            "`{name}` is registered twice"
        )))
    }
}

#[derive(Debug)]
struct ListedDatabase {
    listed: Listed,
    name: String,
}

impl ListedDatabase {
    fn find(&self, table: &str) -> Option<&model::Table> {
        let database = self.listed.database(&self.name)?;
        database.tables.iter().find(|found| found.name == table)
    }
}

#[async_trait]
impl SchemaProvider for ListedDatabase {
    fn table_names(&self) -> Vec<String> {
        let database = self.listed.database(&self.name);
        let tables = database.map_or(&[][..], |database| &database.tables);
        tables.iter().map(|table| table.name.clone()).collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(table) = self.find(name) else {
            return Ok(None);
        };
        let schema = self.listed.columns(&self.name, table).await;
        Ok(Some(Arc::new(DeclaredTable::new(schema, table))))
    }

    async fn table_type(&self, name: &str) -> DataFusionResult<Option<TableType>> {
        Ok(self.find(name).map(table_type))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

/// Documentation of databases (number 0 of its own class), tables (number 0) and columns, by the
/// number that the catalog gives to the object.
#[derive(Debug, Default)]
pub(super) struct Comments {
    of_tables: HashMap<(i32, i32), String>,
    of_databases: HashMap<i32, String>,
    /// Database and name of each table by its number.
    tables: HashMap<i32, (String, String)>,
    /// Numbers of `pg_class` and `pg_namespace` themselves, to which a description belongs.
    classes: (i32, i32),
}

impl Comments {
    /// Numbers are given in the order in which things are listed, so whoever lists a catalog in the
    /// same order, such as another replica, gives the same.
    async fn read(context: &SessionContext, catalog: &model::Catalog) -> Result<Self> {
        let mut comments = Self::default();
        let databases = numbers(
            context,
            "select oid, nspname as first, nspname as second from pg_catalog.pg_namespace",
        )
        .await?;
        let tables = numbers(
            context,
            "select c.oid, n.nspname as first, c.relname as second from pg_catalog.pg_class c \
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace",
        )
        .await?;
        let class = |name: &str| {
            let names = (PG_CATALOG.to_owned(), name.to_owned());
            tables.get(&names).copied().unwrap_or_default()
        };
        comments.classes = (class(PG_CLASS), class("pg_namespace"));
        for database in &catalog.databases {
            let name = database.name.as_str();
            let number = databases.get(&(name.to_owned(), name.to_owned()));
            if let (Some(number), Some(text)) = (number, text(&database.docs)) {
                comments.of_databases.insert(*number, text);
            }
            for table in &database.tables {
                if let Some(number) = tables.get(&(name.to_owned(), table.name.clone())) {
                    comments.add(*number, table);
                    let names = (name.to_owned(), table.name.clone());
                    comments.tables.insert(*number, names);
                }
            }
        }
        Ok(comments)
    }

    fn add(&mut self, number: i32, table: &model::Table) {
        if let Some(text) = text(&table.docs) {
            self.of_tables.insert((number, 0), text);
        }
        for (place, column) in (1..).zip(&table.columns) {
            let docs = text(&column.docs);
            let comment = match (docs, &column.unit) {
                (Some(docs), Some(unit)) => format!("{docs} [{unit}]"),
                (Some(docs), None) => docs,
                (None, Some(unit)) => format!("[{unit}]"),
                (None, None) => continue,
            };
            self.of_tables.insert((number, place), comment);
        }
    }

    /// The number of a table.
    pub(super) fn number(&self, database: &str, table: &str) -> Option<i32> {
        let mut tables = self.tables.iter();
        let found = tables.find(|(_, names)| names.0 == database && names.1 == table);
        found.map(|(number, _)| *number)
    }

    /// Of a table, or of its column with this number.
    pub(super) fn of_table(&self, table: i32, column: i32) -> Option<&str> {
        self.of_tables.get(&(table, column)).map(String::as_str)
    }

    pub(super) fn of_database(&self, database: i32) -> Option<&str> {
        self.of_databases.get(&database).map(String::as_str)
    }

    /// The rows of `pg_description`.
    fn batch(&self, schema: &SchemaRef) -> DataFusionResult<RecordBatch> {
        let mut rows: Vec<(i32, i32, i32, &str)> = Vec::new();
        for ((object, place), text) in &self.of_tables {
            rows.push((*object, self.classes.0, *place, text));
        }
        for (object, text) in &self.of_databases {
            rows.push((*object, self.classes.1, 0, text));
        }
        rows.sort_unstable();
        let columns = schema.fields().iter().map(|field| {
            let column: ArrayRef = match field.name().as_str() {
                "objoid" => Arc::new(rows.iter().map(|row| row.0).collect::<Int32Array>()),
                "classoid" => Arc::new(rows.iter().map(|row| row.1).collect::<Int32Array>()),
                "objsubid" => Arc::new(rows.iter().map(|row| row.2).collect::<Int32Array>()),
                _ => Arc::new(rows.iter().map(|row| Some(row.3)).collect::<StringArray>()),
            };
            datafusion::arrow::compute::cast(&column, field.data_type())
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

fn text(docs: &str) -> Option<String> {
    let docs = docs.trim();
    (!docs.is_empty()).then(|| docs.to_owned())
}

async fn numbers(context: &SessionContext, sql: &str) -> Result<HashMap<(String, String), i32>> {
    let mut numbers = HashMap::new();
    for batch in context.sql(sql).await?.collect().await? {
        let oids = batch.column(0).as_primitive::<Int32Type>();
        let first = batch.column(1).as_string::<i32>();
        let second = batch.column(2).as_string::<i32>();
        for row in 0..batch.num_rows() {
            let names = (first.value(row).to_owned(), second.value(row).to_owned());
            numbers.insert(names, oids.value(row));
        }
    }
    Ok(numbers)
}

/// `pg_catalog` with what its library leaves out.
struct Described {
    inner: Arc<dyn SchemaProvider>,
    descriptions: Arc<dyn TableProvider>,
    listed: Listed,
    /// The tables of every column, by their number.
    tables: HashMap<i32, (String, String)>,
    context: SessionContext,
}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Described").finish_non_exhaustive()
    }
}

impl Described {
    async fn new(
        inner: Arc<dyn SchemaProvider>,
        comments: &Comments,
        listed: Listed,
        context: SessionContext,
    ) -> Result<Self> {
        let empty = inner.table(PG_DESCRIPTION).await?;
        let schema = empty.map_or_else(|| Arc::new(Schema::empty()), |table| table.schema());
        let batch = comments.batch(&schema)?;
        Ok(Self {
            inner,
            descriptions: Arc::new(MemTable::try_new(schema, vec![vec![batch]])?),
            listed,
            tables: comments.tables.clone(),
            context,
        })
    }

    async fn read(&self, name: &str) -> DataFusionResult<Option<RecordBatch>> {
        let Some(table) = self.inner.table(name).await? else {
            return Ok(None);
        };
        let schema = table.schema();
        let batches = self.context.read_table(table)?.collect().await?;
        Ok(Some(concat_batches(&schema, &batches)?))
    }

    /// With columns that nothing here has a value in.
    async fn classes(&self) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(batch) = self.read(PG_CLASS).await? else {
            return Ok(None);
        };
        let list = DataType::new_list(DataType::Utf8, true);
        let mut fields = batch.schema().fields().to_vec();
        let mut columns = batch.columns().to_vec();
        for name in ["relacl", "reloptions"] {
            fields.push(Arc::new(Field::new(name, list.clone(), true)));
            columns.push(new_null_array(&list, batch.num_rows()));
        }
        table(Schema::new(fields), columns).map(Some)
    }

    /// Empty, with numbers of columns as lists: the library has them as text.
    async fn constraints(&self) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(constraints) = self.inner.table(PG_CONSTRAINT).await? else {
            return Ok(None);
        };
        let schema = constraints.schema();
        let fields = schema.fields().iter().map(|field| {
            let item = match field.name().as_str() {
                "conkey" | "confkey" | "confdelsetcols" => DataType::Int16,
                "conpfeqop" | "conppeqop" | "conffeqop" | "conexclop" => DataType::Int32,
                _ => return field.as_ref().clone(),
            };
            Field::new(field.name(), DataType::new_list(item, true), true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let none = RecordBatch::new_empty(Arc::clone(&schema));
        Ok(Some(Arc::new(MemTable::try_new(schema, vec![vec![none]])?)))
    }

    /// With the types of lists and numbers of digits.
    async fn attributes(&self) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(batch) = self.read(PG_ATTRIBUTE).await? else {
            return Ok(None);
        };
        let mut types = Types::of(&batch)?;
        let mut schemas: HashMap<i32, Option<SchemaRef>> = HashMap::new();
        for row in 0..batch.num_rows() {
            let (number, place) = types.column(row);
            let schema = match schemas.entry(number) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(self.columns(number).await),
            };
            let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
            let field = schema
                .as_ref()
                .and_then(|schema| schema.fields().get(place));
            if let Some(field) = field {
                types.set(row, field.data_type());
            }
        }
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| types.replacing(field, column));
        let columns = columns.collect::<DataFusionResult<Vec<_>>>()?;
        table(schema.as_ref().clone(), columns).map(Some)
    }

    /// Columns of one of the lake's tables.
    async fn columns(&self, number: i32) -> Option<SchemaRef> {
        let (database, table) = self.tables.get(&number)?;
        let found = self.listed.database(database)?;
        let found = found.tables.iter().find(|found| found.name == *table)?;
        Some(self.listed.columns(database, found).await)
    }
}

fn table(schema: Schema, columns: Vec<ArrayRef>) -> DataFusionResult<Arc<dyn TableProvider>> {
    let schema = Arc::new(schema);
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// Columns of `pg_attribute` that say what a column holds.
struct Types {
    tables: Vec<i32>,
    places: Vec<i16>,
    numbers: Vec<i32>,
    sizes: Vec<i16>,
    modifiers: Vec<i32>,
    dimensions: Vec<i32>,
}

impl Types {
    fn of(batch: &RecordBatch) -> DataFusionResult<Self> {
        let integers = |name: &str| -> DataFusionResult<Vec<i32>> {
            let column = batch
                .column_by_name(name)
                .map(|column| cast(column, &DataType::Int32));
            let column = column.transpose()?;
            Ok(column.map_or_else(Vec::new, |column| {
                column.as_primitive::<Int32Type>().values().to_vec()
            }))
        };
        let small = |name: &str| -> DataFusionResult<Vec<i16>> {
            let values = integers(name)?.into_iter();
            Ok(values
                .map(|value| i16::try_from(value).unwrap_or(-1))
                .collect())
        };
        Ok(Self {
            tables: integers("attrelid")?,
            places: small("attnum")?,
            numbers: integers("atttypid")?,
            sizes: small("attlen")?,
            modifiers: integers("atttypmod")?,
            dimensions: integers("attndims")?,
        })
    }

    fn column(&self, row: usize) -> (i32, i16) {
        (self.tables[row], self.places[row])
    }

    fn set(&mut self, row: usize, data_type: &DataType) {
        let named = types::named(data_type);
        self.numbers[row] = types::oid(&named);
        self.sizes[row] = types::size(&named);
        self.modifiers[row] = types::modifier(data_type);
        self.dimensions[row] = i32::from(named.short.starts_with('_'));
    }

    fn replacing(&self, field: &Field, column: &ArrayRef) -> DataFusionResult<ArrayRef> {
        let column: ArrayRef = match field.name().as_str() {
            "atttypid" => Arc::new(Int32Array::from(self.numbers.clone())),
            "attlen" => Arc::new(Int16Array::from(self.sizes.clone())),
            "atttypmod" => Arc::new(Int32Array::from(self.modifiers.clone())),
            "attndims" => Arc::new(Int32Array::from(self.dimensions.clone())),
            _ => Arc::clone(column),
        };
        Ok(cast(&column, field.data_type())?)
    }
}

#[async_trait]
impl SchemaProvider for Described {
    fn table_names(&self) -> Vec<String> {
        self.inner.table_names()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        match name {
            PG_DESCRIPTION => Ok(Some(Arc::clone(&self.descriptions))),
            PG_CLASS => self.classes().await,
            PG_ATTRIBUTE => self.attributes().await,
            PG_CONSTRAINT => self.constraints().await,
            name => self.inner.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.inner.table_exist(name)
    }
}
