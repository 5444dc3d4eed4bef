//! Finding and judging the differences.

use std::collections::BTreeMap;

use neurolake_model::{Argument, Catalog, Column, Deprecation, Source, Table};

use super::widening::{retyped, shape, widens};
use super::{CatalogDiff, Change, ChangeKind as Kind, Detail};

impl CatalogDiff {
    /// Compares two catalogs. The order of columns and the place of declarations don't matter.
    pub fn new(old: &Catalog, new: &Catalog) -> Self {
        let mut diff = Self {
            breaking: false,
            added: 0,
            removed: 0,
            changed: 0,
            changes: catalog(old, new),
        };
        for database in &old.databases {
            if let Some(new) = new.databases.iter().find(|new| new.name == database.name) {
                let mut changes = Changes::of(&database.name);
                changes.docs(&database.docs, &new.docs);
                diff.changes.append(&mut changes.found);
            }
        }
        let (old_tables, new_tables) = (by_name(old), by_name(new));
        for (name, table) in &old_tables {
            let mut changes = Changes::of(name);
            if let Some(new) = new_tables.get(name) {
                changes.table(table, new);
                diff.changed += usize::from(!changes.found.is_empty());
            } else {
                let heir = new_tables.iter().find(|(name, candidate)| {
                    !old_tables.contains_key(*name) && is_same(table, candidate)
                });
                let message = match heir {
                    Some((name, _)) => format!("table removed; `{name}` has the same source"),
                    None => "table removed".into(),
                };
                changes.add(Kind::TableRemoved, true, message);
                diff.removed += 1;
            }
            diff.changes.append(&mut changes.found);
        }
        for name in new_tables
            .keys()
            .filter(|name| !old_tables.contains_key(*name))
        {
            let mut changes = Changes::of(name);
            changes.add(Kind::TableAdded, false, "table added");
            diff.changes.append(&mut changes.found);
            diff.added += 1;
        }
        // Stable: the columns of one kind stay in the order of their declaration.
        diff.changes
            .sort_by(|a, b| a.table.cmp(&b.table).then(a.kind.cmp(&b.kind)));
        diff.breaking = diff.changes.iter().any(|change| change.breaking);
        diff
    }
}

fn catalog(old: &Catalog, new: &Catalog) -> Vec<Change> {
    let mut changes = Changes::of("");
    // Part of every three-part name and of the Postgres door's address.
    changes.text(
        Kind::CatalogRenamed,
        true,
        "catalog renamed",
        &old.name,
        &new.name,
    );
    let (was, is) = (&old.endpoints, &new.endpoints);
    changes.text(
        Kind::EndpointChanged,
        true,
        "HTTP endpoint moved",
        &was.http,
        &is.http,
    );
    changes.optional(
        Kind::EndpointChanged,
        was.postgres.is_some(),
        "Postgres endpoint",
        was.postgres.as_ref(),
        is.postgres.as_ref(),
    );
    changes.text(
        Kind::CatalogChanged,
        false,
        "title changed",
        &old.title,
        &new.title,
    );
    changes.optional(
        Kind::CatalogChanged,
        false,
        "repository",
        old.repository.as_ref(),
        new.repository.as_ref(),
    );
    changes.optional(
        Kind::CatalogChanged,
        false,
        "JupyterHub",
        old.jupyterhub.as_ref(),
        new.jupyterhub.as_ref(),
    );
    changes.docs(&old.docs, &new.docs);
    changes.found
}

fn by_name(catalog: &Catalog) -> BTreeMap<String, &Table> {
    catalog
        .tables()
        .map(|(database, table)| (format!("{}.{}", database.name, table.name), table))
        .collect()
}

/// Whether a table is likely another one under a new name.
fn is_same(old: &Table, new: &Table) -> bool {
    match (&old.source, &new.source) {
        (Source::Function { .. }, Source::Function { .. }) => old.rust_path == new.rust_path,
        (old_source, new_source) => old_source == new_source && old.store == new.store,
    }
}

/// The changes of one table, while they are found.
struct Changes {
    table: String,
    /// The column or argument that is looked at.
    column: Option<String>,
    /// Whether clients send rows to the table, before and after.
    takes_events: bool,
    found: Vec<Change>,
}

impl Changes {
    fn of(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            column: None,
            takes_events: false,
            found: Vec::new(),
        }
    }

    fn at(&mut self, column: &str) -> &mut Self {
        self.column = Some(column.to_owned());
        self
    }

    fn add(&mut self, kind: Kind, breaking: bool, message: impl Into<String>) {
        self.found.push(Change {
            kind,
            table: self.table.clone(),
            column: self.column.clone(),
            breaking,
            message: message.into(),
            detail: None,
        });
    }

    /// Adds a change if both sides differ.
    fn text(
        &mut self,
        kind: Kind,
        breaking: bool,
        message: impl Into<String>,
        old: &str,
        new: &str,
    ) {
        if old != new {
            self.add(kind, breaking, message);
            if let Some(change) = self.found.last_mut() {
                change.detail = Some(Detail {
                    old: old.to_owned(),
                    new: new.to_owned(),
                });
            }
        }
    }

    /// `what` is a noun: it is added, removed or changed.
    fn optional(
        &mut self,
        kind: Kind,
        breaking: bool,
        what: &str,
        old: Option<&String>,
        new: Option<&String>,
    ) {
        let text = |side: Option<&String>| side.cloned().unwrap_or_default();
        let message = format!("{what} {}", verb(old.is_none(), new.is_none()));
        self.text(kind, breaking, message, &text(old), &text(new));
    }

    fn list(&mut self, kind: Kind, breaking: bool, message: &str, old: &[String], new: &[String]) {
        self.text(kind, breaking, message, &old.join(", "), &new.join(", "));
    }

    /// Documents are too long for both sides of them to help.
    fn docs(&mut self, old: &str, new: &str) {
        if old != new {
            let of = self
                .column
                .as_ref()
                .map_or_else(String::new, |column| format!(" of `{column}`"));
            let verb = verb(old.is_empty(), new.is_empty());
            self.add(
                Kind::DocsChanged,
                false,
                format!("documentation{of} {verb}"),
            );
        }
    }

    fn table(&mut self, old: &Table, new: &Table) {
        self.takes_events = old.ingest && new.ingest;
        self.source(old, new);
        self.schema(old, new);
        self.column = None;
        self.layout(old, new);
        self.column = None;
        match (old.ingest, new.ingest) {
            (true, false) => self.add(Kind::IngestChanged, true, "takes no events any more"),
            (false, true) => self.add(Kind::IngestChanged, false, "takes events"),
            _ => {}
        }
        self.text(
            Kind::RustPathChanged,
            false,
            "Rust path changed",
            &old.rust_path,
            &new.rust_path,
        );
        self.optional(
            Kind::FreshnessChanged,
            false,
            "freshness",
            old.freshness.as_ref(),
            new.freshness.as_ref(),
        );
        self.optional(
            Kind::CfgChanged,
            false,
            "`cfg`",
            old.cfg.as_ref(),
            new.cfg.as_ref(),
        );
        self.optional(
            Kind::OwnerChanged,
            false,
            "owner",
            old.owner.as_ref(),
            new.owner.as_ref(),
        );
        self.list(
            Kind::TagsChanged,
            false,
            "tags changed",
            &old.tags,
            &new.tags,
        );
        match (old.hidden, new.hidden) {
            (false, true) => self.add(Kind::VisibilityChanged, false, "hidden from the site"),
            (true, false) => self.add(Kind::VisibilityChanged, false, "shown on the site"),
            _ => {}
        }
        let inputs = |table: &Table| -> Vec<String> {
            table.inputs.iter().map(ToString::to_string).collect()
        };
        self.list(
            Kind::InputsChanged,
            false,
            "inputs changed",
            &inputs(old),
            &inputs(new),
        );
        if old.notebooks != new.notebooks {
            self.add(Kind::NotebooksChanged, false, "notebooks changed");
        }
        if old.example != new.example {
            self.add(Kind::ExampleChanged, false, "example values changed");
        }
        self.list(
            Kind::AliasesChanged,
            false,
            "aliases changed",
            &old.aliases,
            &new.aliases,
        );
        self.deprecation("table", old.deprecated.as_ref(), new.deprecated.as_ref());
        self.docs(&old.docs, &new.docs);
    }

    /// Clients read Delta and Parquet files by their address, and copied code holds it: they would
    /// go on reading a copy that nobody writes to. All other sources are reached by the table's
    /// name alone.
    fn source(&mut self, old: &Table, new: &Table) {
        let direct = matches!(old.source, Source::Delta { .. } | Source::Parquet { .. });
        match (&old.source, &new.source) {
            (Source::Delta { uri: old }, Source::Delta { uri: new }) => {
                self.text(Kind::SourceMoved, true, "files moved", old, new);
            }
            (
                Source::Parquet {
                    uri: old,
                    partitioning: was,
                },
                Source::Parquet {
                    uri: new,
                    partitioning: is,
                },
            ) => {
                let layout = |side| format!("{side:?}").to_lowercase();
                self.text(Kind::SourceMoved, true, "files moved", old, new);
                self.text(
                    Kind::SourceChanged,
                    true,
                    "layout of partitions changed",
                    &layout(was),
                    &layout(is),
                );
            }
            (Source::Postgres { relation: old }, Source::Postgres { relation: new }) => {
                self.text(Kind::SourceMoved, false, "relation changed", old, new);
            }
            (Source::Sql { query: old }, Source::Sql { query: new }) => {
                self.text(Kind::ViewChanged, false, "statement changed", old, new);
            }
            (Source::Function { arguments: old }, Source::Function { arguments: new }) => {
                self.arguments(old, new);
                self.column = None;
            }
            (
                Source::Sheet {
                    spreadsheet: was, ..
                },
                Source::Sheet {
                    spreadsheet: is, ..
                },
            ) => {
                self.text(Kind::SourceMoved, false, "spreadsheet changed", was, is);
                if was == is && old.source != new.source {
                    self.add(
                        Kind::SourceChanged,
                        false,
                        "cells or refresh of the sheet changed",
                    );
                }
            }
            (was, is) => {
                self.text(
                    Kind::SourceChanged,
                    direct,
                    "source is of another kind",
                    was.label(),
                    is.label(),
                );
            }
        }
        self.optional(
            Kind::SourceMoved,
            direct,
            "store",
            old.store.as_ref(),
            new.store.as_ref(),
        );
    }

    /// A caller passes values, so an argument may take more than before, never less.
    fn arguments(&mut self, old: &[Argument], new: &[Argument]) {
        for old in old {
            let name = &old.name;
            self.at(name);
            let Some(new) = new.iter().find(|new| new.name == *name) else {
                self.add(
                    Kind::ArgumentRemoved,
                    true,
                    format!("argument `{name}` removed"),
                );
                continue;
            };
            let breaking = !widens(&old.data_type, &new.data_type);
            let verb = if breaking {
                "has another type"
            } else {
                "widened"
            };
            let (was, is) = retyped(&old.data_type, &new.data_type);
            self.text(
                Kind::ArgumentRetyped,
                breaking,
                format!("argument `{name}` {verb}"),
                &was,
                &is,
            );
            match (old.required, new.required) {
                (false, true) => {
                    self.add(
                        Kind::ArgumentRequired,
                        true,
                        format!("argument `{name}` became required"),
                    );
                }
                (true, false) => {
                    self.add(
                        Kind::ArgumentOptional,
                        false,
                        format!("argument `{name}` became optional"),
                    );
                }
                _ => {}
            }
        }
        for new in new {
            if !old.iter().any(|old| old.name == new.name) {
                let kind = if new.required { "required" } else { "optional" };
                let message = format!("{kind} argument `{}` added ({})", new.name, new.data_type);
                self.at(&new.name)
                    .add(Kind::ArgumentAdded, new.required, message);
            }
        }
    }

    fn schema(&mut self, old: &Table, new: &Table) {
        match (old.columns.len(), new.columns.len()) {
            // The columns were there before, only nobody had written them down; or they still are.
            (0, 0) => {}
            (0, count) => {
                let columns = if count == 1 { "column" } else { "columns" };
                self.add(
                    Kind::SchemaDeclared,
                    false,
                    format!("schema declared ({count} {columns})"),
                );
            }
            (_, 0) => {
                let message = "schema no longer declared; it is read from the source";
                self.add(Kind::SchemaUndeclared, false, message);
            }
            _ => self.columns("", &old.columns, &new.columns),
        }
    }

    fn columns(&mut self, parent: &str, old: &[Column], new: &[Column]) {
        let mut matched = vec![false; new.len()];
        for column in old {
            let path = format!("{parent}{}", column.name);
            let same = new.iter().position(|new| new.name == column.name);
            let renamed = || {
                new.iter().position(|new| {
                    // A name that was there before was not given to this column.
                    new.renamed_from.as_ref() == Some(&column.name)
                        && !old.iter().any(|old| old.name == new.name)
                })
            };
            let Some(at) = same.or_else(renamed) else {
                self.at(&path).add(
                    Kind::ColumnRemoved,
                    true,
                    format!("column `{path}` removed"),
                );
                continue;
            };
            matched[at] = true;
            let new_path = format!("{parent}{}", new[at].name);
            if same.is_none() {
                // Queries name the old column; `renamed_from` only serves readers of old files.
                let message = format!("column `{path}` renamed to `{new_path}`");
                self.at(&path).add(Kind::ColumnRenamed, true, message);
            }
            self.column(&new_path, column, &new[at]);
        }
        for (column, _) in new.iter().zip(matched).filter(|(_, matched)| !matched) {
            let path = format!("{parent}{}", column.name);
            let message = format!("column `{path}` added ({})", column.data_type);
            // Events without it are refused from now on.
            let required = self.takes_events && !column.nullable;
            let message = if required {
                message + "; events need it"
            } else {
                message
            };
            self.at(&path).add(Kind::ColumnAdded, required, message);
        }
    }

    fn column(&mut self, path: &str, old: &Column, new: &Column) {
        let (old_fields, new_fields) = (old.data_type.fields(), new.data_type.fields());
        if !old_fields.is_empty() && !new_fields.is_empty() {
            self.columns(&format!("{path}."), old_fields, new_fields);
        }
        self.at(path);
        // The fields of nested types are compared above, here only the shape around them.
        let (was, is) = (shape(&old.data_type), shape(&new.data_type));
        if was != is {
            let breaking = !widens(&was, &is);
            let verb = if breaking {
                "has another type"
            } else {
                "widened"
            };
            let (was, is) = retyped(&old.data_type, &new.data_type);
            self.text(
                Kind::ColumnRetyped,
                breaking,
                format!("column `{path}` {verb}"),
                &was,
                &is,
            );
        }
        match (old.nullable, new.nullable) {
            // Typed rows cannot hold a null, and comparisons, `not in` and joins silently drop
            // rows that have one.
            (false, true) => self.add(
                Kind::ColumnNullable,
                true,
                format!("column `{path}` may now be null"),
            ),
            (true, false) => {
                let message = if self.takes_events {
                    format!("column `{path}` is never null now; events need it")
                } else {
                    format!("column `{path}` is never null now")
                };
                self.add(Kind::ColumnRequired, self.takes_events, message);
            }
            _ => {}
        }
        // Under another unit the same numbers mean something else. Writing a unit down for the
        // first time, or no longer, changes no number.
        let breaking = old.unit.is_some() && new.unit.is_some();
        let unit = format!("unit of `{path}`");
        self.optional(
            Kind::UnitChanged,
            breaking,
            &unit,
            old.unit.as_ref(),
            new.unit.as_ref(),
        );
        if old.pii != new.pii {
            let verb = if new.pii { "is now" } else { "is no longer" };
            self.add(
                Kind::PiiChanged,
                false,
                format!("column `{path}` {verb} marked as personal data"),
            );
        }
        self.deprecation(
            &format!("column `{path}`"),
            old.deprecated.as_ref(),
            new.deprecated.as_ref(),
        );
        self.list(
            Kind::AliasesChanged,
            false,
            &format!("aliases of `{path}` changed"),
            &old.aliases,
            &new.aliases,
        );
        let renamed = old.name != new.name;
        if old.since != new.since || (!renamed && old.renamed_from != new.renamed_from) {
            self.add(
                Kind::HistoryChanged,
                false,
                format!("history of `{path}` changed"),
            );
        }
        self.docs(&old.docs, &new.docs);
    }

    fn deprecation(&mut self, what: &str, old: Option<&Deprecation>, new: Option<&Deprecation>) {
        match (old, new) {
            (None, Some(new)) => {
                let instead = new.replacement.as_ref();
                let instead = instead.map_or_else(String::new, |table| format!("; use `{table}`"));
                self.add(
                    Kind::Deprecated,
                    false,
                    format!("{what} deprecated{instead}"),
                );
            }
            (Some(_), None) => self.add(
                Kind::Undeprecated,
                false,
                format!("{what} no longer deprecated"),
            ),
            (Some(old), Some(new)) if old != new => {
                self.add(
                    Kind::DeprecationChanged,
                    false,
                    format!("deprecation of {what} changed"),
                );
            }
            _ => {}
        }
    }

    fn layout(&mut self, old: &Table, new: &Table) {
        let names = |table: &Table| -> Vec<String> {
            table
                .partition_by
                .iter()
                .map(|partition| partition.name.clone())
                .collect()
        };
        // Files lie elsewhere, and a filter that read one folder may now read them all.
        self.list(
            Kind::PartitionChanged,
            true,
            "partitions changed",
            &names(old),
            &names(new),
        );
        self.list(
            Kind::SortChanged,
            false,
            "sort order changed",
            &old.sort_by,
            &new.sort_by,
        );
        // What identifies a row still does so together with more columns, but not the reverse: of
        // the old columns alone there may now be several rows.
        let kept = old.unique_by.is_empty()
            || (!new.unique_by.is_empty()
                && new
                    .unique_by
                    .iter()
                    .all(|name| old.unique_by.contains(name)));
        self.list(
            Kind::UniqueChanged,
            !kept,
            "identity of rows changed",
            &old.unique_by,
            &new.unique_by,
        );
        for was in &old.partition_by {
            let name = &was.name;
            // Where both sides declare the column, it has told already.
            if old.column(name).is_some() && new.column(name).is_some() {
                continue;
            }
            let is = new.partition_by.iter().find(|is| is.name == *name);
            if let (Some(was), Some(is)) = (&was.data_type, is.and_then(|is| is.data_type.as_ref()))
            {
                let breaking = !widens(was, is);
                let message = format!("partition `{name}` has another type");
                self.at(name).text(
                    Kind::PartitionRetyped,
                    breaking,
                    message,
                    &was.to_string(),
                    &is.to_string(),
                );
            }
        }
    }
}

fn verb(was_nothing: bool, is_nothing: bool) -> &'static str {
    match (was_nothing, is_nothing) {
        (true, _) => "added",
        (_, true) => "removed",
        _ => "changed",
    }
}
