//! A made-up catalog of any size: the same tables as Rust source ([`Workspace::files`]) and as a
//! model ([`Workspace::catalog`]), so that what the parser finds can be compared and what only
//! needs a catalog needs no parsing.
//!
//! Names are composed from a few hundred words of brain interfaces and manufacturing, so that they
//! repeat as real ones do: 10,000 tables of 20 columns have about 11,000 distinct column names.
//! The same numbers give the same bytes everywhere.

mod source;
mod words;

use std::collections::BTreeSet;

use neurolake_model::{
    Catalog, Column, Database, Deprecation, Endpoints, FORMAT_VERSION, Input, Location, Partition,
    Partitioning, Source, Table, Type, Value,
};

use self::words::{
    ACTIONS, DATABASES, EVENTS, KEYS, MEASURES, OBJECTS, OWNERS, QUALIFIERS, STATISTICS, TAGS,
    UNITS,
};

/// The catalog's name, also in SQL.
pub const CATALOG: &str = "synthetic";
const TABLES_PER_DATABASE: usize = 125;
const DATABASES_PER_PACKAGE: usize = 25;
/// Distinct column names beside [`KEYS`]; not all are used in small catalogs.
const COLUMN_NAMES: usize = 11_400;
/// A database knows only so many of them: names repeat more among neighbours.
const COLUMN_NAMES_PER_DATABASE: usize = 620;

/// A made-up workspace.
pub struct Workspace {
    databases: Vec<DatabaseSpec>,
}

struct DatabaseSpec {
    name: String,
    package: usize,
    docs: String,
    /// A folder of files instead of a single file.
    split: bool,
    tables: Vec<TableSpec>,
}

/// A table; `declared` holds what the declaration says, without what the reader derives.
struct TableSpec {
    declared: Table,
    /// Index of the file in a split database.
    part: usize,
    replacement: Option<usize>,
}

/// xorshift64*: a few lines instead of a dependency, and the same on every platform.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// Small numbers far more often than large ones, as names are used.
    fn skewed(&mut self, limit: usize) -> usize {
        let one = self.below(limit);
        let two = self.below(limit);
        one * two / limit
    }
}

/// The workspace's tables as a model; see [`Workspace::catalog`].
pub fn catalog(tables: usize, columns: usize, seed: u64) -> Catalog {
    Workspace::new(tables, columns, seed).catalog()
}

impl Workspace {
    /// Makes up that many tables with that many columns each.
    pub fn new(tables: usize, columns: usize, seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let count = tables
            .div_ceil(TABLES_PER_DATABASE)
            .max(if tables >= 4 { 2 } else { 1 });
        let pool = column_names(&mut random);
        let mut names: Vec<String> = database_names(count);
        names.sort();
        let databases = names.into_iter().enumerate().map(|(place, name)| {
            let own = tables * (place + 1) / count - tables * place / count;
            let local: Vec<&str> = (0..COLUMN_NAMES_PER_DATABASE)
                .map(|_| pool[random.below(pool.len())].as_str())
                .collect();
            let package = place / DATABASES_PER_PACKAGE;
            let split = place % 4 == 3;
            database(&mut random, name, package, split, &local, own, columns)
        });
        Self {
            databases: databases.collect(),
        }
    }

    /// The files of the workspace with their paths. `neurolake` is the path of the crate of that
    /// name; without it a version is required.
    pub fn files(&self, neurolake: Option<&str>) -> Vec<(String, String)> {
        source::files(self, neurolake)
    }

    /// What a reader of [`Workspace::files`] should find.
    pub fn catalog(&self) -> Catalog {
        let databases = self.databases.iter().map(|database| {
            let lines = source::lines(database);
            let mut tables: Vec<Table> = database
                .tables
                .iter()
                .zip(lines)
                .map(|(spec, line)| {
                    let mut table = spec.declared.clone();
                    table.location = Location {
                        file: database.file_of(spec),
                        line,
                    };
                    table.rust_path = database.rust_path_of(spec);
                    table
                })
                .collect();
            tables.sort_by(|a, b| a.name.cmp(&b.name));
            Database {
                name: database.name.clone(),
                docs: database.docs.clone(),
                location: Location {
                    file: database.file(),
                    line: 1,
                },
                tables,
            }
        });
        Catalog {
            format_version: FORMAT_VERSION,
            name: CATALOG.into(),
            title: "Synthetic lake".into(),
            docs: source::CATALOG_DOCS.into(),
            repository: None,
            jupyterhub: None,
            endpoints: Endpoints::default(),
            databases: databases.collect(),
        }
    }

    fn packages(&self) -> usize {
        self.databases
            .iter()
            .map(|database| database.package + 1)
            .max()
            .unwrap_or(1)
    }
}

fn package_name(package: usize) -> String {
    format!("lake-{:02}", package + 1)
}

impl DatabaseSpec {
    fn folder(&self) -> String {
        format!("{}/src", package_name(self.package))
    }

    fn file(&self) -> String {
        format!("{}/{}.rs", self.folder(), self.name)
    }

    fn file_of(&self, table: &TableSpec) -> String {
        if self.split {
            format!("{}/{}/part_{}.rs", self.folder(), self.name, table.part)
        } else {
            self.file()
        }
    }

    fn rust_path_of(&self, table: &TableSpec) -> String {
        let package = package_name(self.package).replace('-', "_");
        let item = source::camel(&table.declared.name);
        if self.split {
            format!("{package}::{}::part_{}::{item}", self.name, table.part)
        } else {
            format!("{package}::{}::{item}", self.name)
        }
    }
}

fn database_names(count: usize) -> Vec<String> {
    (0..count)
        .map(|place| {
            let name = DATABASES[place % DATABASES.len()];
            match place / DATABASES.len() {
                0 => name.to_owned(),
                round => format!("{name}_{}", QUALIFIERS[round % QUALIFIERS.len()]),
            }
        })
        .collect()
}

fn column_names(random: &mut Random) -> Vec<String> {
    let mut names = BTreeSet::new();
    while names.len() < COLUMN_NAMES {
        let object = random.pick(OBJECTS);
        let measure = random.pick(MEASURES);
        let unit = UNITS[random.below(UNITS.len())].0;
        let name = match random.below(8) {
            0 => format!("{object}_{measure}"),
            1 => format!("{object}_{measure}_{unit}"),
            2 => format!("{measure}_{}_{unit}", random.pick(STATISTICS)),
            3 => format!(
                "{}_{measure}_{}",
                random.pick(QUALIFIERS),
                random.pick(STATISTICS)
            ),
            4 => format!("{object}_{}_count", random.pick(EVENTS)),
            5 => format!("is_{object}_{}", random.pick(ACTIONS)),
            6 => format!("{object}_{}_at", random.pick(ACTIONS)),
            _ => format!("{object}_{measure}_{}", random.pick(STATISTICS)),
        };
        names.insert(name);
    }
    // From the sorted set to an order without meaning: the first are used most.
    let mut names: Vec<String> = names.into_iter().collect();
    for place in (1..names.len()).rev() {
        names.swap(place, random.below(place + 1));
    }
    names
}

fn database(
    random: &mut Random,
    name: String,
    package: usize,
    split: bool,
    local: &[&str],
    count: usize,
    columns: usize,
) -> DatabaseSpec {
    let mut names = BTreeSet::new();
    while names.len() < count {
        names.insert(table_name(random));
    }
    let mut tables: Vec<TableSpec> = Vec::with_capacity(count);
    for (place, table) in names.into_iter().enumerate() {
        let declared = declare(random, &name, &table, local, columns);
        tables.push(TableSpec {
            declared,
            part: place / 25,
            replacement: None,
        });
    }
    for place in 0..count {
        let other = random.below(count);
        let near = !split || tables[place].part == tables[other].part;
        if place == other || !near {
            continue;
        }
        if random.one_in(12) {
            view(random, &name, place, other, &mut tables);
        } else if random.one_in(8) {
            tables[place].declared.inputs = vec![input(&name, &tables[other].declared.name)];
        }
        if random.one_in(30) {
            tables[place].replacement = Some(other);
            let replacement = input(&name, &tables[other].declared.name);
            tables[place].declared.deprecated = Some(Deprecation {
                since: Some("2026-02-01".into()),
                note: format!("Use [`{replacement}`](table:{replacement})."),
                replacement: Some(replacement),
            });
        }
    }
    for TableSpec { declared, .. } in &mut tables {
        let is_live = declared.freshness.as_deref() == Some("2s");
        let is_delta = matches!(declared.source, Source::Delta { .. });
        declared.ingest = is_live && is_delta && !declared.columns.is_empty();
    }
    let docs = format!(
        "Everything about {}, one table per kind of record.",
        name.replace('_', " ")
    );
    DatabaseSpec {
        name,
        package,
        docs,
        split,
        tables,
    }
}

fn input(database: &str, table: &str) -> Input {
    Input {
        database: database.into(),
        table: table.into(),
    }
}

fn table_name(random: &mut Random) -> String {
    let object = random.pick(OBJECTS);
    let event = random.pick(EVENTS);
    match random.below(6) {
        0 => format!("{object}_{event}"),
        1 => format!("{}_{object}_{event}", random.pick(QUALIFIERS)),
        2 => format!("{object}_{}_{event}", random.pick(MEASURES)),
        3 => format!(
            "{}_{}_by_{object}",
            random.pick(QUALIFIERS),
            random.pick(MEASURES)
        ),
        4 => format!("{object}_{}_{}", random.pick(ACTIONS), event),
        _ => format!(
            "{}_{object}_{}",
            random.pick(ACTIONS),
            random.pick(MEASURES)
        ),
    }
}

fn declare(random: &mut Random, database: &str, name: &str, local: &[&str], count: usize) -> Table {
    let words = name.replace('_', " ");
    let mut columns: Vec<Column> = Vec::with_capacity(count);
    let mut taken = BTreeSet::new();
    let keys = (2 + random.below(4)).min(count);
    while columns.len() < keys {
        // The first two keys stand almost everywhere.
        let key = if columns.len() < 2 && !random.one_in(10) {
            KEYS[columns.len()]
        } else {
            KEYS[random.skewed(KEYS.len())]
        };
        if taken.insert(key) {
            columns.push(column(random, key));
        }
    }
    while columns.len() < count {
        let name = local[random.skewed(local.len())];
        if taken.insert(name) {
            columns.push(column(random, name));
        }
        if taken.len() >= KEYS.len() + local.len() / 2 {
            break;
        }
    }
    let uri = format!(
        "s3://{}/{database}/{name}",
        if random.one_in(4) { "archive" } else { "lake" }
    );
    let (source, store) = match random.below(20) {
        0..15 => (Source::Delta { uri }, None),
        15..17 => (
            Source::Parquet {
                uri,
                partitioning: Partitioning::None,
            },
            None,
        ),
        17..19 => (
            Source::Postgres {
                relation: format!("{database}.{name}"),
            },
            Some("lab".to_owned()),
        ),
        _ => (
            Source::Sheet {
                spreadsheet: format!("1{:013x}{:013x}", random.next(), random.next()),
                tab: Some("Data".into()),
                range: None,
                header_row: 1,
                refresh: Some("10m".into()),
            },
            None,
        ),
    };
    let files = matches!(source, Source::Delta { .. } | Source::Parquet { .. });
    let mut partition_by = Vec::new();
    if files && let Some(first) = columns.first().filter(|_| !random.one_in(3)) {
        partition_by.push(Partition {
            name: first.name.clone(),
            data_type: Some(first.data_type.clone()),
        });
    }
    let source = match source {
        Source::Parquet { uri, .. } if !partition_by.is_empty() => Source::Parquet {
            uri,
            partitioning: Partitioning::Hive,
        },
        other => other,
    };
    let example = columns
        .iter()
        .take(2)
        .filter_map(|column| Some((column.name.clone(), example_of(random, &column.data_type)?)));
    let example = example.collect();
    let tags: BTreeSet<&str> = (0..random.below(4)).map(|_| random.pick(TAGS)).collect();
    Table {
        name: name.into(),
        docs: format!(
            "{}: {} as the {} pipeline writes them.\n\nLate rows may arrive for a day.",
            sentence(&words),
            random.pick(EVENTS),
            database.replace('_', " "),
        ),
        source,
        store,
        columns,
        partition_by,
        sort_by: Vec::new(),
        unique_by: Vec::new(),
        owner: (!random.one_in(8)).then(|| random.pick(OWNERS).to_owned()),
        tags: tags.into_iter().map(str::to_owned).collect(),
        freshness: random
            .one_in(2)
            .then(|| random.pick(&["2s", "15m", "24h", "7d"]).to_owned()),
        inputs: Vec::new(),
        notebooks: Vec::new(),
        example,
        deprecated: None,
        aliases: if random.one_in(40) {
            vec![
                name.split('_')
                    .filter_map(|word| word.chars().next())
                    .collect(),
            ]
        } else {
            Vec::new()
        },
        hidden: false,
        ingest: false,
        cfg: None,
        rust_path: String::new(),
        location: Location::default(),
    }
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn column(random: &mut Random, name: &str) -> Column {
    let last = name.rsplit('_').next().unwrap_or(name);
    let unit = UNITS
        .iter()
        .find(|(suffix, _)| *suffix == last)
        .map(|(_, unit)| (*unit).to_owned());
    let data_type = match last {
        "id" => Type::Int64,
        "date" | "day" => Type::Date,
        "at" | "ts" => Type::Timestamp,
        "count" => Type::Int32,
        "name" | "serial" | "site" | "label" | "status" | "version" | "operator" => Type::String,
        "cost" => Type::Decimal {
            precision: 12,
            scale: 2,
        },
        "image" => Type::Blob,
        "waveform" | "spectrum" => Type::List {
            item: Box::new(Type::Float32),
            nullable: false,
        },
        _ if name.starts_with("is_") => Type::Bool,
        _ => Type::Float64,
    };
    Column {
        name: name.into(),
        nullable: !KEYS.contains(&name) && random.one_in(3),
        docs: column_docs(name, unit.as_deref()),
        unit,
        pii: matches!(name, "subject_name" | "operator"),
        data_type,
        since: None,
        renamed_from: None,
        deprecated: None,
        aliases: Vec::new(),
    }
}

/// One text per name, as where teams share their columns.
fn column_docs(name: &str, unit: Option<&str>) -> String {
    let words = name.replace('_', " ");
    match (name.len() % 3, unit) {
        (_, Some(unit)) => format!("{} as recorded, in {unit}.", sentence(&words)),
        (0, None) => format!("{} of this row.", sentence(&words)),
        (1, None) => format!("The {words}, as the device reports it."),
        _ => format!("{}; checked when written.", sentence(&words)),
    }
}

fn example_of(random: &mut Random, data_type: &Type) -> Option<Value> {
    Some(match data_type {
        Type::Int64 | Type::Int32 => {
            Value::Int(i64::try_from(1 + random.below(400)).expect("below 401"))
        }
        Type::Date => Value::Date(format!("2026-03-{:02}", 1 + random.below(28))),
        Type::Timestamp => {
            Value::Timestamp(format!("2026-03-{:02}T09:30:00Z", 1 + random.below(28)))
        }
        Type::String => Value::String(format!("A{:04}", random.below(10_000))),
        Type::Bool => Value::Bool(true),
        _ => return None,
    })
}

/// Turns a table into a view over two others that share a key with it.
fn view(random: &mut Random, database: &str, place: usize, other: usize, tables: &mut [TableSpec]) {
    let is_view = |table: &TableSpec| matches!(table.declared.source, Source::Sql { .. });
    if is_view(&tables[other]) || is_view(&tables[place]) {
        return;
    }
    let from = tables[other].declared.clone();
    let taken = 3.max(random.below(from.columns.len().max(1)));
    let columns: Vec<Column> = from.columns.iter().take(taken).cloned().collect();
    let Some(first) = columns.first() else { return };
    let listed: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let query = format!(
        "select {} from {database}.{} where {} is not null",
        listed.join(", "),
        from.name,
        first.name
    );
    let example = from
        .example
        .iter()
        .filter(|(name, _)| listed.contains(&name.as_str()));
    let example = example.cloned().collect();
    let table = &mut tables[place].declared;
    table.source = Source::Sql { query };
    table.store = None;
    table.partition_by = Vec::new();
    table.example = example;
    table.columns = columns;
    table.inputs = vec![input(database, &from.name)];
}
