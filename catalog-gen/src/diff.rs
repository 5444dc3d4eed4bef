//! Schema differences between two catalogs, judged for readers: whoever queries a table by its
//! names or reads its files. A change is breaking if a query that worked may fail, or may quietly
//! answer something else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use neurolake_model::{Argument, Catalog, Column, Database, Deprecation, Source, Table, Type};
use serde::{Deserialize, Serialize};

/// Everything that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogDiff {
    /// Whether any change is breaking.
    pub breaking: bool,
    /// Number of tables that are new.
    pub added: usize,
    /// Number of tables that are gone.
    pub removed: usize,
    /// Number of tables that are in both and differ.
    pub changed: usize,
    /// Sorted by table; within a table in the order in which readers care.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What kind of difference.
    pub kind: ChangeKind,
    /// `database.table`; for a change of a database its name, for one of the catalog an empty text.
    pub table: String,
    /// Path of the column, with points between nested names, or name of the argument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Whether readers may have to act.
    pub breaking: bool,
    /// What happened, in one line of plain text.
    pub message: String,
    /// Both sides, where they say more than the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

/// Both sides of a difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Before; empty if there was nothing.
    pub old: String,
    /// After; empty if there is nothing.
    pub new: String,
}

/// Stable names of the kinds of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name is a sentence")]
pub enum ChangeKind {
    CatalogRenamed,
    EndpointChanged,
    CatalogChanged,
    TableRemoved,
    TableAdded,
    SourceChanged,
    SourceMoved,
    ViewChanged,
    SchemaDeclared,
    SchemaUndeclared,
    ColumnRemoved,
    ColumnRenamed,
    ColumnRetyped,
    ColumnNullable,
    ColumnRequired,
    ColumnAdded,
    UnitChanged,
    PiiChanged,
    ArgumentRemoved,
    ArgumentRetyped,
    ArgumentRequired,
    ArgumentOptional,
    ArgumentAdded,
    PartitionChanged,
    PartitionRetyped,
    SortChanged,
    UniqueChanged,
    FreshnessChanged,
    RustPathChanged,
    CfgChanged,
    Deprecated,
    Undeprecated,
    DeprecationChanged,
    OwnerChanged,
    TagsChanged,
    VisibilityChanged,
    InputsChanged,
    NotebooksChanged,
    ExampleChanged,
    AliasesChanged,
    HistoryChanged,
    DocsChanged,
}

impl ChangeKind {
    /// Whether it is about what people read, not about what queries get.
    pub fn is_documentation(self) -> bool {
        self >= Self::OwnerChanged || self == Self::CatalogChanged
    }
}

impl CatalogDiff {
    /// Compares two catalogs. The order of columns and the place of declarations don't matter.
    pub fn new(old: &Catalog, new: &Catalog) -> Self {
        let mut diff = Self {
            breaking: false,
            added: 0,
            removed: 0,
            changed: 0,
            changes: Vec::new(),
        };
        diff.catalog(old, new);
        diff.databases(old, new);
        let old_tables = by_name(old);
        let new_tables = by_name(new);
        for (name, table) in &old_tables {
            if let Some(new) = new_tables.get(name) {
                let mut changes = Changes::of(name);
                changes.table(table, new);
                if !changes.found.is_empty() {
                    diff.changed += 1;
                    diff.changes.append(&mut changes.found);
                }
            } else {
                diff.removed += 1;
                let heir = new_tables.iter().find(|(name, candidate)| {
                    !old_tables.contains_key(*name) && is_same(table, candidate)
                });
                let message = match heir {
                    Some((name, _)) => format!("table removed; `{name}` has the same source"),
                    None => "table removed".into(),
                };
                let mut changes = Changes::of(name);
                changes.add(ChangeKind::TableRemoved, None, true, message);
                diff.changes.append(&mut changes.found);
            }
        }
        for name in new_tables
            .keys()
            .filter(|name| !old_tables.contains_key(*name))
        {
            diff.added += 1;
            let mut changes = Changes::of(name);
            changes.add(ChangeKind::TableAdded, None, false, "table added".into());
            diff.changes.append(&mut changes.found);
        }
        // Stable: the columns of one kind stay in the order of their declaration.
        diff.changes
            .sort_by(|a, b| a.table.cmp(&b.table).then(a.kind.cmp(&b.kind)));
        diff.breaking = diff.changes.iter().any(|change| change.breaking);
        diff
    }

    fn catalog(&mut self, old: &Catalog, new: &Catalog) {
        let mut changes = Changes::of("");
        // Part of every three-part name and of the Postgres door's address.
        changes.text(
            ChangeKind::CatalogRenamed,
            true,
            "catalog renamed",
            &old.name,
            &new.name,
        );
        for (name, old, new) in [
            ("HTTP", &old.endpoints.http, &new.endpoints.http),
            ("Postgres", &old.endpoints.postgres, &new.endpoints.postgres),
        ] {
            let message = format!("{name} endpoint moved");
            changes.text(ChangeKind::EndpointChanged, true, &message, old, new);
        }
        let kind = ChangeKind::CatalogChanged;
        changes.text(kind, false, "title changed", &old.title, &new.title);
        changes.optional(kind, false, "repository", &old.repository, &new.repository);
        changes.optional(kind, false, "JupyterHub", &old.jupyterhub, &new.jupyterhub);
        changes.docs(None, &old.docs, &new.docs);
        self.changes.append(&mut changes.found);
    }

    fn databases(&mut self, old: &Catalog, new: &Catalog) {
        for database in &old.databases {
            if let Some(new) = new.databases.iter().find(|new| new.name == database.name) {
                let mut changes = Changes::of(&database.name);
                changes.docs(None, &database.docs, &new.docs);
                self.changes.append(&mut changes.found);
            }
        }
    }
}

fn by_name(catalog: &Catalog) -> BTreeMap<String, &Table> {
    let name = |database: &Database, table: &Table| format!("{}.{}", database.name, table.name);
    catalog
        .tables()
        .map(|(database, table)| (name(database, table), table))
        .collect()
}

/// Whether a table is likely another one under a new name.
fn is_same(old: &Table, new: &Table) -> bool {
    match (&old.source, &new.source) {
        (Source::Function { .. }, Source::Function { .. }) => old.rust_path == new.rust_path,
        (old_source, new_source) => old_source == new_source && old.store == new.store,
    }
}

/// Renderings.
impl CatalogDiff {
    /// The one line that says it all, such as `1 table added, 2 changed; 1 breaking change`.
    pub fn summary(&self) -> String {
        if self.changes.is_empty() {
            return "no changes".into();
        }
        let counts = [
            (self.added, "added"),
            (self.removed, "removed"),
            (self.changed, "changed"),
        ];
        let mut parts: Vec<String> = Vec::new();
        for (count, verb) in counts.into_iter().filter(|(count, _)| *count > 0) {
            parts.push(match (parts.is_empty(), count) {
                (true, 1) => format!("1 table {verb}"),
                (true, _) => format!("{count} tables {verb}"),
                (false, _) => format!("{count} {verb}"),
            });
        }
        if parts.is_empty() {
            parts.push("no table changed".into());
        }
        let breaking = self.changes.iter().filter(|change| change.breaking).count();
        let breaking = match breaking {
            0 => "nothing breaks".to_owned(),
            1 => "1 breaking change".to_owned(),
            count => format!("{count} breaking changes"),
        };
        format!("{}; {breaking}", parts.join(", "))
    }

    /// Breaking changes, other changes for readers, documentation.
    fn sections(&self) -> [(&'static str, Vec<&Change>); 3] {
        let select =
            |wanted: fn(&Change) -> bool| self.changes.iter().filter(|c| wanted(c)).collect();
        [
            ("Breaking", select(|c| c.breaking)),
            (
                "Compatible",
                select(|c| !c.breaking && !c.kind.is_documentation()),
            ),
            (
                "Documentation",
                select(|c| !c.breaking && c.kind.is_documentation()),
            ),
        ]
    }

    /// For a terminal, without colours.
    pub fn to_text(&self) -> String {
        let mut out = self.summary();
        out.push('\n');
        for (title, changes) in self.sections() {
            if changes.is_empty() {
                continue;
            }
            let _ = write!(out, "\n{title}\n");
            let mut last = None;
            for change in changes {
                if last != Some(&change.table) {
                    let _ = writeln!(out, "  {}", change.subject());
                    last = Some(&change.table);
                }
                let _ = write!(out, "    {}", change.message);
                if let Some(Detail { old, new }) = change.short_detail() {
                    let _ = write!(out, ": {} -> {}", or_none(old), or_none(new));
                }
                out.push('\n');
            }
        }
        out
    }

    /// A comment for a pull request.
    pub fn to_markdown(&self) -> String {
        let mut out = format!("**Catalog: {}**\n", self.summary());
        for (title, changes) in self.sections() {
            if changes.is_empty() {
                continue;
            }
            let folded = title == "Documentation";
            let _ = if folded {
                write!(
                    out,
                    "\n<details><summary>{title}: {}</summary>\n",
                    changes.len()
                )
            } else {
                write!(out, "\n### {title}\n")
            };
            out.push_str("\n| table | change | |\n| - | - | - |\n");
            let mut last = None;
            for change in changes {
                let subject = if last == Some(&change.table) {
                    String::new()
                } else {
                    code(change.subject())
                };
                last = Some(&change.table);
                let detail =
                    change
                        .short_detail()
                        .map_or_else(String::new, |Detail { old, new }| {
                            format!("{} → {}", code(or_none(old)), code(or_none(new)))
                        });
                let message = cell(&change.message);
                let _ = writeln!(out, "| {subject} | {message} | {detail} |");
            }
            if folded {
                out.push_str("\n</details>\n");
            }
        }
        out
    }
}

impl Change {
    fn subject(&self) -> &str {
        if self.table.is_empty() {
            "catalog"
        } else {
            &self.table
        }
    }

    /// Both sides where they fit on a line: a statement's are better read in the source.
    fn short_detail(&self) -> Option<&Detail> {
        let fits = |text: &str| text.len() <= 120 && !text.contains('\n');
        self.detail
            .as_ref()
            .filter(|detail| fits(&detail.old) && fits(&detail.new))
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A code span, in which nothing is markup and nobody is mentioned.
fn code(text: &str) -> String {
    format!("`{}`", cell(&text.replace('`', "'")))
}

/// The changes of one table, while they are found.
struct Changes {
    table: String,
    found: Vec<Change>,
}

impl Changes {
    fn of(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            found: Vec::new(),
        }
    }

    fn push(
        &mut self,
        kind: ChangeKind,
        column: Option<&str>,
        breaking: bool,
        message: String,
        detail: Option<(String, String)>,
    ) {
        self.found.push(Change {
            kind,
            table: self.table.clone(),
            column: column.map(str::to_owned),
            breaking,
            message,
            detail: detail.map(|(old, new)| Detail { old, new }),
        });
    }

    fn add(&mut self, kind: ChangeKind, column: Option<&str>, breaking: bool, message: String) {
        self.push(kind, column, breaking, message, None);
    }

    fn text(&mut self, kind: ChangeKind, breaking: bool, message: &str, old: &str, new: &str) {
        if old != new {
            let detail = Some((old.to_owned(), new.to_owned()));
            self.push(kind, None, breaking, message.to_owned(), detail);
        }
    }

    /// `what` is a noun: it is added, removed or changed.
    fn optional(
        &mut self,
        kind: ChangeKind,
        breaking: bool,
        what: &str,
        old: &Option<String>,
        new: &Option<String>,
    ) {
        let verb = match (old, new) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let (old, new) = (old.as_deref().unwrap_or(""), new.as_deref().unwrap_or(""));
        self.text(kind, breaking, &format!("{what} {verb}"), old, new);
    }

    fn list(
        &mut self,
        kind: ChangeKind,
        breaking: bool,
        message: &str,
        old: &[String],
        new: &[String],
    ) {
        self.text(kind, breaking, message, &old.join(", "), &new.join(", "));
    }

    /// Documents are too long for both sides of them to help.
    fn docs(&mut self, column: Option<&str>, old: &str, new: &str) {
        if old != new {
            let verb = match (old.is_empty(), new.is_empty()) {
                (true, _) => "added",
                (_, true) => "removed",
                _ => "changed",
            };
            let message = match column {
                Some(column) => format!("documentation of `{column}` {verb}"),
                None => format!("documentation {verb}"),
            };
            self.add(ChangeKind::DocsChanged, column, false, message);
        }
    }

    fn table(&mut self, old: &Table, new: &Table) {
        self.source(old, new);
        self.schema(old, new);
        self.layout(old, new);
        self.text(
            ChangeKind::RustPathChanged,
            false,
            "Rust path changed",
            &old.rust_path,
            &new.rust_path,
        );
        self.optional(
            ChangeKind::FreshnessChanged,
            false,
            "freshness",
            &old.freshness,
            &new.freshness,
        );
        self.optional(ChangeKind::CfgChanged, false, "`cfg`", &old.cfg, &new.cfg);
        self.optional(
            ChangeKind::OwnerChanged,
            false,
            "owner",
            &old.owner,
            &new.owner,
        );
        self.list(
            ChangeKind::TagsChanged,
            false,
            "tags changed",
            &old.tags,
            &new.tags,
        );
        if old.hidden != new.hidden {
            let message = if new.hidden {
                "hidden from the site"
            } else {
                "shown on the site"
            };
            self.add(ChangeKind::VisibilityChanged, None, false, message.into());
        }
        let names = |table: &Table| {
            table
                .inputs
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        self.list(
            ChangeKind::InputsChanged,
            false,
            "inputs changed",
            &names(old),
            &names(new),
        );
        if old.notebooks != new.notebooks {
            self.add(
                ChangeKind::NotebooksChanged,
                None,
                false,
                "notebooks changed".into(),
            );
        }
        if old.example != new.example {
            self.add(
                ChangeKind::ExampleChanged,
                None,
                false,
                "example values changed".into(),
            );
        }
        self.list(
            ChangeKind::AliasesChanged,
            false,
            "aliases changed",
            &old.aliases,
            &new.aliases,
        );
        self.deprecation(None, old.deprecated.as_ref(), new.deprecated.as_ref());
        self.docs(None, &old.docs, &new.docs);
    }

    /// Clients read Delta and Parquet files by their address, and copied code holds it: they would
    /// go on reading a copy that nobody writes to. All other sources are reached by the table's
    /// name alone.
    fn source(&mut self, old: &Table, new: &Table) {
        let is_direct =
            |table: &Table| matches!(table.source, Source::Delta { .. } | Source::Parquet { .. });
        let direct = is_direct(old);
        let (old_store, new_store) = (&old.store, &new.store);
        if old.source.kind() != new.source.kind() {
            self.text(
                ChangeKind::SourceChanged,
                direct,
                "source is of another kind",
                old.source.label(),
                new.source.label(),
            );
        } else {
            match (&old.source, &new.source) {
                (Source::Delta { uri: old }, Source::Delta { uri: new }) => {
                    self.text(ChangeKind::SourceMoved, true, "files moved", old, new);
                }
                (
                    Source::Parquet {
                        uri: old,
                        partitioning: old_layout,
                    },
                    Source::Parquet {
                        uri: new,
                        partitioning: new_layout,
                    },
                ) => {
                    self.text(ChangeKind::SourceMoved, true, "files moved", old, new);
                    let name = |layout| format!("{layout:?}").to_lowercase();
                    self.text(
                        ChangeKind::SourceChanged,
                        true,
                        "layout of partitions changed",
                        &name(old_layout),
                        &name(new_layout),
                    );
                }
                (Source::Postgres { relation: old }, Source::Postgres { relation: new }) => {
                    self.text(ChangeKind::SourceMoved, false, "relation changed", old, new);
                }
                (Source::Sql { query: old }, Source::Sql { query: new }) => {
                    self.text(
                        ChangeKind::ViewChanged,
                        false,
                        "statement changed",
                        old,
                        new,
                    );
                }
                (Source::Function { arguments: old }, Source::Function { arguments: new }) => {
                    self.arguments(old, new)
                }
                (
                    old @ Source::Sheet {
                        spreadsheet: was, ..
                    },
                    new @ Source::Sheet {
                        spreadsheet: is, ..
                    },
                ) if old != new => {
                    self.text(
                        ChangeKind::SourceMoved,
                        false,
                        "spreadsheet changed",
                        was,
                        is,
                    );
                    if was == is {
                        self.add(
                            ChangeKind::SourceChanged,
                            None,
                            false,
                            "cells or refresh of the sheet changed".into(),
                        );
                    }
                }
                _ => {}
            }
        }
        self.optional(
            ChangeKind::SourceMoved,
            direct,
            "store",
            old_store,
            new_store,
        );
    }

    /// A caller passes values, so an argument is judged the other way round than a column: it may
    /// take more than before, never less.
    fn arguments(&mut self, old: &[Argument], new: &[Argument]) {
        for argument in old {
            let name = argument.name.as_str();
            let Some(new) = new.iter().find(|new| new.name == name) else {
                self.add(
                    ChangeKind::ArgumentRemoved,
                    Some(name),
                    true,
                    format!("argument `{name}` removed"),
                );
                continue;
            };
            if argument.data_type != new.data_type {
                let breaking = !widens(&argument.data_type, &new.data_type);
                let detail = (argument.data_type.to_string(), new.data_type.to_string());
                self.push(
                    ChangeKind::ArgumentRetyped,
                    Some(name),
                    breaking,
                    format!("argument `{name}` has another type"),
                    Some(detail),
                );
            }
            match (argument.required, new.required) {
                (false, true) => self.add(
                    ChangeKind::ArgumentRequired,
                    Some(name),
                    true,
                    format!("argument `{name}` became required"),
                ),
                (true, false) => self.add(
                    ChangeKind::ArgumentOptional,
                    Some(name),
                    false,
                    format!("argument `{name}` became optional"),
                ),
                _ => {}
            }
        }
        for argument in new {
            if !old.iter().any(|old| old.name == argument.name) {
                let kind = if argument.required {
                    "required"
                } else {
                    "optional"
                };
                let message = format!("{kind} argument `{}` added", argument.name);
                self.add(
                    ChangeKind::ArgumentAdded,
                    Some(&argument.name),
                    argument.required,
                    message,
                );
            }
        }
    }

    fn schema(&mut self, old: &Table, new: &Table) {
        match (old.columns.is_empty(), new.columns.is_empty()) {
            // The columns were there before, only nobody had written them down, or still are.
            (true, false) => {
                let message = format!("schema declared ({} columns)", new.columns.len());
                self.add(ChangeKind::SchemaDeclared, None, false, message);
            }
            (false, true) => {
                let message = "schema no longer declared; it is read from the source".into();
                self.add(ChangeKind::SchemaUndeclared, None, false, message);
            }
            _ => self.columns("", &old.columns, &new.columns),
        }
    }

    fn columns(&mut self, parent: &str, old: &[Column], new: &[Column]) {
        let mut matched = vec![false; new.len()];
        for column in old {
            let path = format!("{parent}{}", column.name);
            let same = new.iter().position(|new| new.name == column.name);
            // A name that is still there was not given away.
            let renamed = || {
                let is_heir = |new: &Column| {
                    new.renamed_from.as_ref() == Some(&column.name)
                        && !old.iter().any(|old| old.name == new.name)
                };
                new.iter().position(is_heir)
            };
            let Some(at) = same.or_else(renamed) else {
                self.add(
                    ChangeKind::ColumnRemoved,
                    Some(&path),
                    true,
                    format!("column `{path}` removed"),
                );
                continue;
            };
            matched[at] = true;
            if same.is_none() {
                // Queries name the old column; only readers of old files are served by it.
                let message = format!("column `{path}` renamed to `{parent}{}`", new[at].name);
                self.add(ChangeKind::ColumnRenamed, Some(&path), true, message);
            }
            self.column(&format!("{parent}{}", new[at].name), column, &new[at]);
        }
        for (column, _) in new.iter().zip(matched).filter(|(_, matched)| !matched) {
            let path = format!("{parent}{}", column.name);
            let message = format!("column `{path}` added ({})", column.data_type);
            self.add(ChangeKind::ColumnAdded, Some(&path), false, message);
        }
    }

    fn column(&mut self, path: &str, old: &Column, new: &Column) {
        let nested = !old.data_type.fields().is_empty() && !new.data_type.fields().is_empty();
        if nested {
            self.columns(
                &format!("{path}."),
                old.data_type.fields(),
                new.data_type.fields(),
            );
        }
        // Of nested types only the shape is compared here, their fields are compared above.
        let (was, is) = (shape(&old.data_type), shape(&new.data_type));
        if was != is {
            let compatible = widens(&was, &is);
            let verb = if compatible {
                "widened"
            } else {
                "has another type"
            };
            let detail = Some(retyped(&old.data_type, &new.data_type));
            self.push(
                ChangeKind::ColumnRetyped,
                Some(path),
                !compatible,
                format!("column `{path}` {verb}"),
                detail,
            );
        }
        match (old.nullable, new.nullable) {
            // Typed rows cannot hold a null, and comparisons, `not in` and joins silently drop
            // rows that have one.
            (false, true) => self.add(
                ChangeKind::ColumnNullable,
                Some(path),
                true,
                format!("column `{path}` may now be null"),
            ),
            (true, false) => self.add(
                ChangeKind::ColumnRequired,
                Some(path),
                false,
                format!("column `{path}` is never null now"),
            ),
            _ => {}
        }
        if old.unit != new.unit {
            // The same numbers mean something else. Writing a unit down, or no longer, changes no
            // number.
            let breaking = old.unit.is_some() && new.unit.is_some();
            let text = |unit: &Option<String>| unit.clone().unwrap_or_default();
            let detail = Some((text(&old.unit), text(&new.unit)));
            self.push(
                ChangeKind::UnitChanged,
                Some(path),
                breaking,
                format!("unit of `{path}` changed"),
                detail,
            );
        }
        if old.pii != new.pii {
            let message = if new.pii {
                "is now marked as personal data"
            } else {
                "is no longer marked as personal data"
            };
            self.add(
                ChangeKind::PiiChanged,
                Some(path),
                false,
                format!("column `{path}` {message}"),
            );
        }
        self.deprecation(Some(path), old.deprecated.as_ref(), new.deprecated.as_ref());
        if old.aliases != new.aliases {
            self.add(
                ChangeKind::AliasesChanged,
                Some(path),
                false,
                format!("aliases of `{path}` changed"),
            );
        }
        let renamed = old.name != new.name;
        if old.since != new.since || (!renamed && old.renamed_from != new.renamed_from) {
            self.add(
                ChangeKind::HistoryChanged,
                Some(path),
                false,
                format!("history of `{path}` changed"),
            );
        }
        self.docs(Some(path), &old.docs, &new.docs);
    }

    fn deprecation(
        &mut self,
        column: Option<&str>,
        old: Option<&Deprecation>,
        new: Option<&Deprecation>,
    ) {
        let what = column.map_or_else(|| "table".to_owned(), |column| format!("column `{column}`"));
        match (old, new) {
            (None, Some(new)) => {
                let message = match &new.replacement {
                    Some(replacement) => format!("{what} deprecated; use `{replacement}`"),
                    None => format!("{what} deprecated"),
                };
                self.add(ChangeKind::Deprecated, column, false, message);
            }
            (Some(_), None) => self.add(
                ChangeKind::Undeprecated,
                column,
                false,
                format!("{what} no longer deprecated"),
            ),
            (Some(old), Some(new)) if old != new => {
                self.add(
                    ChangeKind::DeprecationChanged,
                    column,
                    false,
                    format!("deprecation of {what} changed"),
                );
            }
            _ => {}
        }
    }

    fn layout(&mut self, old: &Table, new: &Table) {
        let names = |table: &Table| {
            table
                .partition_by
                .iter()
                .map(|p| p.name.clone())
                .collect::<Vec<_>>()
        };
        // Files lie elsewhere, and a filter that read one folder may read them all.
        self.list(
            ChangeKind::PartitionChanged,
            true,
            "partitions changed",
            &names(old),
            &names(new),
        );
        for partition in &old.partition_by {
            let new_type = new
                .partition_by
                .iter()
                .find(|p| p.name == partition.name)
                .and_then(|p| p.data_type.as_ref());
            // A declared column has told it already.
            let told =
                old.column(&partition.name).is_some() && new.column(&partition.name).is_some();
            if let (Some(was), Some(is), false) = (&partition.data_type, new_type, told)
                && was != is
            {
                let name = partition.name.as_str();
                let detail = Some((was.to_string(), is.to_string()));
                self.push(
                    ChangeKind::PartitionRetyped,
                    Some(name),
                    !widens(was, is),
                    format!("partition `{name}` has another type"),
                    detail,
                );
            }
        }
        self.list(
            ChangeKind::SortChanged,
            false,
            "sort order changed",
            &old.sort_by,
            &new.sort_by,
        );
        // What identifies a row still does so together with more columns, but not with fewer.
        let kept = old.unique_by.is_empty()
            || (!new.unique_by.is_empty()
                && new
                    .unique_by
                    .iter()
                    .all(|name| old.unique_by.contains(name)));
        self.list(
            ChangeKind::UniqueChanged,
            !kept,
            "identity of rows changed",
            &old.unique_by,
            &new.unique_by,
        );
    }
}

/// The type without the fields of its structs and without nested nullability of them.
fn shape(data_type: &Type) -> Type {
    match data_type {
        Type::Struct { .. } => Type::Struct { fields: Vec::new() },
        Type::List { item, nullable } => Type::List {
            item: Box::new(shape(item)),
            nullable: *nullable,
        },
        Type::Map {
            key,
            value,
            nullable,
        } => Type::Map {
            key: Box::new(shape(key)),
            value: Box::new(shape(value)),
            nullable: *nullable,
        },
        data_type => data_type.clone(),
    }
}

/// Both types for people, with the nullability of elements where it differs.
fn retyped(old: &Type, new: &Type) -> (String, String) {
    fn nullable(data_type: &Type) -> Option<bool> {
        match data_type {
            Type::List { nullable, .. } | Type::Map { nullable, .. } => Some(*nullable),
            _ => None,
        }
    }
    let differs = nullable(old) != nullable(new);
    let name = |data_type: &Type| match nullable(data_type) {
        Some(true) if differs => format!("{data_type} with null elements"),
        _ => data_type.to_string(),
    };
    (name(old), name(new))
}

/// Whether every value of `old` is one of `new`, and expressions over it mean what they meant. An
/// integer that becomes a float doesn't qualify: it divides and prints in another way. Nor does a
/// date that becomes a timestamp: it no longer equals its day.
fn widens(old: &Type, new: &Type) -> bool {
    fn integer(data_type: &Type) -> Option<(bool, u8)> {
        Some(match data_type {
            Type::Int8 => (true, 8),
            Type::Int16 => (true, 16),
            Type::Int32 => (true, 32),
            Type::Int64 => (true, 64),
            Type::UInt8 => (false, 8),
            Type::UInt16 => (false, 16),
            Type::UInt32 => (false, 32),
            Type::UInt64 => (false, 64),
            _ => return None,
        })
    }
    if let (Some((old_signed, old_bits)), Some((new_signed, new_bits))) =
        (integer(old), integer(new))
    {
        return if old_signed == new_signed {
            old_bits <= new_bits
        } else {
            new_signed && old_bits < new_bits
        };
    }
    match (old, new) {
        (Type::Float32, Type::Float64) => true,
        (
            Type::Decimal {
                precision: old_precision,
                scale: old_scale,
            },
            Type::Decimal {
                precision: new_precision,
                scale: new_scale,
            },
        ) => {
            old_scale <= new_scale
                && old_precision.saturating_sub(*old_scale)
                    <= new_precision.saturating_sub(*new_scale)
        }
        (
            Type::List {
                item: old,
                nullable: old_nullable,
            },
            Type::List {
                item: new,
                nullable: new_nullable,
            },
        ) => widens(old, new) && (*old_nullable || !*new_nullable),
        (
            Type::Map {
                key: old_key,
                value: old,
                nullable: old_nullable,
            },
            Type::Map {
                key: new_key,
                value: new,
                nullable: new_nullable,
            },
        ) => widens(old_key, new_key) && widens(old, new) && (*old_nullable || !*new_nullable),
        (old, new) => old == new,
    }
}
