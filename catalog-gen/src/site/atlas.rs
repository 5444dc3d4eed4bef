//! The catalog as the site needs it: visible tables in one list, who reads whom, who shares columns,
//! and the groups by owner, tag and format.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use neurolake_model::{Catalog, Database, Input, Table};

use super::html::percent_encoded;
use super::markdown::Tables;

/// Position of a table in [`Atlas::tables`].
pub(crate) type TableId = usize;

/// Most tables that may share a column before it says nothing about them.
const COMMON_COLUMN: usize = 64;

/// Tables named together on the page of another one.
const RELATED: usize = 6;

/// See the module.
pub(crate) struct Atlas<'a> {
    pub(crate) catalog: &'a Catalog,
    /// Tables with a page, in the order of the document.
    pub(crate) tables: Vec<(&'a Database, &'a Table)>,
    /// Databases with a page: the visible tables of each are a range of `tables`.
    pub(crate) databases: Vec<DatabaseEntry<'a>>,
    pub(crate) owners: Group<'a>,
    pub(crate) tags: Group<'a>,
    pub(crate) formats: Group<'a>,
    pub(crate) deprecated: Vec<TableId>,
    /// For each table, the tables that read it, sorted.
    pub(crate) readers: Vec<Vec<Input>>,
    ids: HashMap<(&'a str, &'a str), TableId>,
    holders: HashMap<&'a str, Vec<TableId>>,
}

/// A database and its visible tables.
pub(crate) struct DatabaseEntry<'a> {
    pub(crate) database: &'a Database,
    pub(crate) tables: std::ops::Range<TableId>,
}

/// Tables by the value of one property.
pub(crate) struct Group<'a> {
    /// What the property is called: `Owner`.
    pub(crate) title: &'static str,
    /// Folder of its pages.
    pub(crate) folder: String,
    /// Sorted by label.
    pub(crate) facets: Vec<Facet<'a>>,
}

/// One value of a property.
pub(crate) struct Facet<'a> {
    pub(crate) label: &'a str,
    /// File name without extension; unique in its group.
    pub(crate) slug: String,
    pub(crate) tables: Vec<TableId>,
}

/// A table that shares columns with another one.
pub(crate) struct Related<'a> {
    pub(crate) id: TableId,
    /// In the order of the other table's declaration.
    pub(crate) columns: Vec<&'a str>,
}

impl Tables for Atlas<'_> {
    fn has_page(&self, database: &str, table: &str) -> bool {
        self.ids.contains_key(&(database, table))
    }
}

impl<'a> Atlas<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        let mut tables = Vec::new();
        let mut databases = Vec::new();
        for database in &catalog.databases {
            let first = tables.len();
            tables.extend(
                database
                    .tables
                    .iter()
                    .filter(|table| !table.hidden)
                    .map(|table| (database, table)),
            );
            if tables.len() > first {
                databases.push(DatabaseEntry {
                    database,
                    tables: first..tables.len(),
                });
            }
        }

        let mut ids = HashMap::with_capacity(tables.len());
        let mut holders: HashMap<&str, Vec<TableId>> = HashMap::new();
        let mut owners: BTreeMap<&str, Vec<TableId>> = BTreeMap::new();
        let mut tags: BTreeMap<&str, Vec<TableId>> = BTreeMap::new();
        let mut formats: BTreeMap<&str, (&str, Vec<TableId>)> = BTreeMap::new();
        let mut deprecated = Vec::new();
        for (id, (database, table)) in tables.iter().enumerate() {
            ids.insert((database.name.as_str(), table.name.as_str()), id);
            for column in &table.columns {
                holders.entry(&column.name).or_default().push(id);
            }
            if let Some(owner) = &table.owner {
                owners.entry(owner).or_default().push(id);
            }
            for tag in &table.tags {
                tags.entry(tag).or_default().push(id);
            }
            formats
                .entry(table.source.kind())
                .or_insert((table.source.label(), Vec::new()))
                .1
                .push(id);
            if table.deprecated.is_some() {
                deprecated.push(id);
            }
        }

        let mut readers = vec![Vec::new(); tables.len()];
        for (input, outputs) in catalog.outputs() {
            if let Some(id) = ids.get(&(input.database.as_str(), input.table.as_str())) {
                readers[*id] = outputs;
            }
        }
        let formats = formats
            .into_iter()
            .map(|(kind, (label, tables))| Facet {
                label,
                slug: kind.to_owned(),
                tables,
            })
            .collect();
        Self {
            catalog,
            readers,
            owners: Group::new(catalog, "Owner", "owners", slugged(owners)),
            tags: Group::new(catalog, "Tag", "tags", slugged(tags)),
            formats: Group::new(catalog, "Format", "formats", formats),
            tables,
            databases,
            deprecated,
            ids,
            holders,
        }
    }

    /// Position of the database that holds a table.
    pub(crate) fn database_index(&self, id: TableId) -> usize {
        self.databases
            .partition_point(|entry| entry.tables.end <= id)
    }

    /// Tables that share the rarest columns with this one, best first. A column that stands in a
    /// quarter of all tables is no hint and costs time, so it doesn't count.
    pub(crate) fn related(&self, id: TableId) -> Vec<Related<'a>> {
        let common = (self.tables.len() / 4).clamp(6, COMMON_COLUMN);
        let columns: Vec<(&str, &[TableId])> = self.tables[id]
            .1
            .columns
            .iter()
            .filter_map(|column| {
                Some((
                    column.name.as_str(),
                    self.holders.get(column.name.as_str())?.as_slice(),
                ))
            })
            .filter(|(_, holders)| holders.len() <= common)
            .collect();
        let mut shared: Vec<(TableId, f64)> = Vec::new();
        for (_, holders) in &columns {
            let weight = 1.0 / f64::from(u32::try_from(holders.len()).unwrap_or(u32::MAX));
            let others = holders.iter().filter(|other| **other != id);
            shared.extend(others.map(|other| (*other, weight)));
        }
        shared.sort_unstable_by_key(|(other, _)| *other);
        shared.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        shared.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        shared.truncate(RELATED);
        shared
            .into_iter()
            .map(|(other, _)| Related {
                id: other,
                columns: columns
                    .iter()
                    .filter(|(_, holders)| holders.binary_search(&other).is_ok())
                    .map(|(column, _)| *column)
                    .collect(),
            })
            .collect()
    }
}

/// A folder of the site. A database may be called like it: then the folder gives way, with a character
/// that no database has.
pub(crate) fn free_folder(catalog: &Catalog, folder: &str) -> String {
    let taken = catalog
        .databases
        .iter()
        .any(|database| database.name == folder);
    format!("{folder}{}", if taken { "-" } else { "" })
}

impl<'a> Group<'a> {
    fn new(catalog: &Catalog, title: &'static str, folder: &str, facets: Vec<Facet<'a>>) -> Self {
        Self {
            title,
            folder: free_folder(catalog, folder),
            facets,
        }
    }

    /// Address of a value's page from the top folder. Not for formats, which are sorted by file name.
    pub(crate) fn address(&self, label: &str) -> Option<String> {
        let at = self
            .facets
            .binary_search_by_key(&label, |facet| facet.label)
            .ok()?;
        let slug = percent_encoded(&self.facets[at].slug);
        Some(format!("{}/{slug}.html", self.folder))
    }
}

fn slugged(groups: BTreeMap<&str, Vec<TableId>>) -> Vec<Facet<'_>> {
    let mut taken = BTreeSet::new();
    let mut facets = Vec::with_capacity(groups.len());
    for (label, tables) in groups {
        let base = slug(label);
        let mut slug = base.clone();
        let mut number = 1;
        while !taken.insert(slug.clone()) {
            number += 1;
            slug = format!("{base}-{number}");
        }
        facets.push(Facet {
            label,
            slug,
            tables,
        });
    }
    facets
}

fn slug(label: &str) -> String {
    let mut slug = String::with_capacity(label.len());
    for c in label.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "other" } else { slug }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_never_share_a_file() {
        let groups = ["A b", "a  B!", "a-b-2", "!!"].map(|label| (label, Vec::new()));
        let slugs: Vec<_> = slugged(groups.into()).into_iter().map(|f| f.slug).collect();
        assert_eq!(slugs, ["other", "a-b", "a-b-2", "a-b-2-2"]);
    }
}
