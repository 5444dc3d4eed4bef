//! Search over the names of a catalog: tables and columns in one ranked list.
//!
//! The site searches with `site/assets/search.js`, the command line with this module. Both rank
//! alike, to the last tie: a test runs thousands of random queries through both.
//!
//! Read in this order: this file (what is indexed), `query` (the ranking),
//! `pack` (the files that the site loads), `text` (how names and words
//! are compared).

mod pack;
mod query;
mod text;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use neurolake_model::{Catalog, Column, Source, Table};
use serde::Serialize;

use self::text::{Lines, Lists, Squashed, Vocabulary};

/// Everything that a query needs. Hidden tables are left out.
pub struct SearchIndex {
    catalog: String,
    /// Names of tables in the order of the catalog, then distinct column names sorted, then
    /// aliases. The place of a name here is its entry.
    names: Lines,
    table_count: usize,
    /// First entry that is an alias.
    aliases_from: usize,
    column_tables: Lists,
    /// Per alias the table or column that it stands for.
    alias_entries: Vec<u32>,
    /// Per alias of a column the tables where it does so.
    alias_tables: Lists,
    dead_tables: Vec<bool>,
    /// `column * table_count + table` of deprecated columns.
    dead_columns: HashSet<u64>,
    databases: Facet,
    owners: Facet,
    tags: Facet,
    types: Facet,
    /// What `is:` asks for.
    states: Facet,
    database_of: Vec<u32>,
    kinds: Vec<&'static str>,
    /// Place of a table among those that hold the same column: short names first.
    rank: Vec<u32>,
    /// Summary per table, then distinct summaries of columns.
    texts: Lines,
    text_columns: Vec<u32>,
    /// Tables where a column has that summary; empty: all.
    text_tables: Lists,
    squashed: OnceLock<Squashed>,
    vocabulary: OnceLock<Vocabulary>,
}

/// The values of one facet and the tables that have them.
struct Facet {
    values: Lines,
    tables: Lists,
}

/// What a query finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Best first.
    pub hits: Vec<Hit>,
    /// A query that may have been meant; only without hits, and only when something is near.
    pub suggestion: Option<String>,
}

/// A table or a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Name of the database.
    pub database: String,
    /// Name of the table; for a column that stands in many, the one that fits best.
    pub table: String,
    /// Name of the column, dotted when it is nested. `None`: the hit is the table.
    pub column: Option<String>,
    /// Kind of the table's source, such as `delta`.
    pub kind: &'static str,
    /// Whether the table or the column is deprecated.
    pub deprecated: bool,
    /// Why it was found.
    pub tier: Tier,
    /// Comparable only within one answer.
    pub score: i32,
    /// What to highlight in [`Hit::path`]: `[start, end)` in UTF-16 code units, which are bytes as
    /// long as names are ASCII.
    pub ranges: Vec<(usize, usize)>,
    /// How many other tables hold this column and fit as well.
    pub more: usize,
    /// The alias that was found instead of the name.
    pub alias: Option<String>,
    /// The description that was found instead of the name.
    pub text: Option<String>,
}

/// Why something was found. A higher tier outranks a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Only facets were asked for.
    Facet,
    /// Words of its description begin with the words of the query.
    Text,
    /// A typo away.
    Typo,
    /// Equal, beginning or containing when `_` is ignored.
    Squashed,
    /// The words are spread over database, table and column.
    Spread,
    /// The name contains all words in any order.
    Words,
    /// The name contains the query.
    Substring,
    /// A word of the name begins with the query.
    Boundary,
    /// The name begins with the query.
    Prefix,
    /// The name is the query.
    Exact,
}

impl Hit {
    /// `database.table` or `database.table.column`.
    pub fn path(&self) -> String {
        match &self.column {
            Some(column) => format!("{}.{}.{column}", self.database, self.table),
            None => format!("{}.{}", self.database, self.table),
        }
    }

    /// [`Hit::path`] in pieces, each with whether it is to be highlighted.
    pub fn segments(&self) -> Vec<(String, bool)> {
        let mut segments: Vec<(String, bool)> = Vec::new();
        let mut at = 0;
        for c in self.path().chars() {
            let marked = self
                .ranges
                .iter()
                .any(|&(start, end)| (start..end).contains(&at));
            match segments.last_mut() {
                Some((text, last)) if *last == marked => text.push(c),
                _ => segments.push((c.to_string(), marked)),
            }
            at += c.len_utf16();
        }
        segments
    }
}

impl SearchIndex {
    /// Indexes all tables that are not hidden.
    pub fn build(catalog: &Catalog) -> Self {
        let mut collected = Collected::default();
        let tables: Vec<_> = catalog
            .tables()
            .filter(|(_, table)| !table.hidden)
            .collect();
        for (place, (database, table)) in (0..).zip(&tables) {
            collected
                .databases
                .entry(&database.name)
                .or_default()
                .push(place);
            collected
                .types
                .entry(table.source.kind())
                .or_default()
                .push(place);
            if let Some(owner) = &table.owner {
                collected.owners.entry(owner).or_default().push(place);
            }
            for tag in &table.tags {
                push_once(collected.tags.entry(tag).or_default(), place);
            }
            let states = [
                ("deprecated", table.deprecated.is_some()),
                ("ingest", table.ingest),
            ];
            for (state, _) in states.into_iter().filter(|(_, holds)| *holds) {
                collected.states.entry(state).or_default().push(place);
            }
            collected.columns_of(place, table);
        }

        let mut columns = collected.columns;
        columns.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let table_count = tables.len();
        let aliases_from = table_count + columns.len();
        let mut aliases: Vec<(&str, u32, Vec<u32>)> = Vec::new();
        for (place, (_, table)) in (0..).zip(&tables) {
            for alias in &table.aliases {
                aliases.push((alias, place, Vec::new()));
            }
        }
        let mut dead_columns = HashSet::new();
        let mut text_columns = Vec::new();
        let mut text_tables = Lists::default();
        let mut texts: Vec<String> = tables
            .iter()
            .map(|(_, table)| text::plain(&table.summary()))
            .collect();
        for (column, facts) in (0_u32..).zip(&columns) {
            for (&alias, tables) in &facts.aliases {
                aliases.push((alias, table_count as u32 + column, tables.clone()));
            }
            dead_columns.extend(
                facts
                    .deprecated
                    .iter()
                    .map(|&table| u64::from(column) * table_count as u64 + u64::from(table)),
            );
            for (docs, tables) in &facts.docs {
                texts.push(text::plain(&neurolake_model::catalog::summary(docs)));
                text_columns.push(column);
                let everywhere = tables.len() == facts.tables.len();
                text_tables.push(if everywhere { &[] } else { tables });
            }
        }

        let names = tables
            .iter()
            .map(|(_, table)| table.name.as_str())
            .chain(columns.iter().map(|column| column.name.as_ref()))
            .chain(aliases.iter().map(|(name, ..)| *name));
        let names = Lines::of_names(names);
        let mut by_length: Vec<usize> = (0..table_count).collect();
        by_length.sort_by(|&a, &b| {
            names
                .units(a)
                .cmp(&names.units(b))
                .then_with(|| text::compare(names.folded(a), names.folded(b)))
                .then(a.cmp(&b))
        });
        let mut rank = vec![0; table_count];
        for (place, table) in (0..).zip(by_length) {
            rank[table] = place;
        }

        let databases = Facet::new(&collected.databases);
        let types = Facet::new(&collected.types);
        Self {
            catalog: text::fold(&catalog.name),
            column_tables: columns
                .iter()
                .map(|facts| facts.tables.as_slice())
                .collect(),
            alias_entries: aliases.iter().map(|(_, entry, _)| *entry).collect(),
            alias_tables: aliases
                .iter()
                .map(|(.., tables)| tables.as_slice())
                .collect(),
            dead_tables: tables
                .iter()
                .map(|(_, table)| table.deprecated.is_some())
                .collect(),
            dead_columns,
            database_of: databases.of_tables(table_count),
            kinds: tables
                .iter()
                .map(|(_, table)| table.source.kind())
                .collect(),
            databases,
            owners: Facet::new(&collected.owners),
            tags: Facet::new(&collected.tags),
            types,
            states: Facet::new(&collected.states),
            rank,
            texts: Lines::of_texts(texts.iter().map(String::as_str)),
            text_columns,
            text_tables,
            names,
            table_count,
            aliases_from,
            squashed: OnceLock::new(),
            vocabulary: OnceLock::new(),
        }
    }
}

impl Facet {
    fn new(values: &BTreeMap<&str, Vec<u32>>) -> Self {
        Self {
            values: Lines::of_names(values.keys().copied()),
            tables: values.values().map(Vec::as_slice).collect(),
        }
    }

    fn of_tables(&self, table_count: usize) -> Vec<u32> {
        let mut of_tables = vec![0; table_count];
        for value in 0..self.values.len() {
            for &table in self.tables.get(value) {
                of_tables[table as usize] = value as u32;
            }
        }
        of_tables
    }
}

#[derive(Default)]
struct Collected<'a> {
    databases: BTreeMap<&'a str, Vec<u32>>,
    owners: BTreeMap<&'a str, Vec<u32>>,
    tags: BTreeMap<&'a str, Vec<u32>>,
    types: BTreeMap<&'a str, Vec<u32>>,
    states: BTreeMap<&'a str, Vec<u32>>,
    places: HashMap<Cow<'a, str>, usize>,
    columns: Vec<ColumnFacts<'a>>,
}

#[derive(Default)]
struct ColumnFacts<'a> {
    name: Cow<'a, str>,
    tables: Vec<u32>,
    deprecated: Vec<u32>,
    aliases: BTreeMap<&'a str, Vec<u32>>,
    docs: BTreeMap<&'a str, Vec<u32>>,
}

impl<'a> Collected<'a> {
    /// Also what can be filtered without being a declared column: partitions and arguments.
    fn columns_of(&mut self, place: u32, table: &'a Table) {
        for column in &table.columns {
            self.column(place, column.name.as_str().into(), column);
        }
        let arguments = match &table.source {
            Source::Function { arguments } => arguments.as_slice(),
            _ => &[],
        };
        let partitions = table.partition_by.iter().map(|partition| &partition.name);
        for name in partitions.chain(arguments.iter().map(|argument| &argument.name)) {
            push_once(&mut self.facts(name.into()).tables, place);
        }
    }

    fn facts(&mut self, name: Cow<'a, str>) -> &mut ColumnFacts<'a> {
        let place = *self.places.entry(name).or_insert_with_key(|name| {
            self.columns.push(ColumnFacts {
                name: name.clone(),
                ..ColumnFacts::default()
            });
            self.columns.len() - 1
        });
        &mut self.columns[place]
    }

    fn column(&mut self, place: u32, path: Cow<'a, str>, column: &'a Column) {
        for field in column.data_type.fields() {
            self.column(place, format!("{path}.{}", field.name).into(), field);
        }
        let facts = self.facts(path);
        push_once(&mut facts.tables, place);
        if column.deprecated.is_some() {
            push_once(&mut facts.deprecated, place);
        }
        for alias in column.aliases.iter().chain(&column.renamed_from) {
            push_once(facts.aliases.entry(alias).or_default(), place);
        }
        if !column.docs.is_empty() {
            push_once(facts.docs.entry(&column.docs).or_default(), place);
        }
    }
}

fn push_once(tables: &mut Vec<u32>, place: u32) {
    if tables.last() != Some(&place) {
        tables.push(place);
    }
}
