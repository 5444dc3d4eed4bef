//! Which panels the dashboard of a table has: chosen from types, units and documentation alone.

use std::collections::BTreeSet;

use neurolake_model::{Catalog, Column, Database, Table, Type};
use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use serde::Serialize;

use crate::site::summary_text;

use super::statements::{Statements, can_be_in_macro, can_be_written};
use super::units::grafana_unit;
use super::variables::{self, Variable, VariableKind};

/// Panels of columns that are open; the others wait in a row, and ask for nothing until it is opened.
const OPEN: usize = 6;
/// Grafana's grid is 24 wide.
const FULL: u32 = 24;
const ACROSS: u32 = 3;
const DESCRIPTION: usize = 500;

/// What a dashboard shows; how it looks is up to the templates.
#[derive(Debug, Serialize)]
pub(super) struct Dashboard {
    /// Beginning of the range of time, such as `now-24h`.
    pub(super) from: &'static str,
    /// Shortest span of time that a point stands for.
    pub(super) interval: &'static str,
    pub(super) variables: Vec<Variable>,
    pub(super) panels: Vec<Panel>,
}

impl Dashboard {
    /// Keeps panels whose template is wanted.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&str) -> bool) {
        for panel in &mut self.panels {
            panel.panels.retain(|inner| is_wanted(inner.template));
        }
        self.panels.retain(|panel| {
            let is_empty_row = panel.kind == Kind::More && panel.panels.is_empty();
            is_wanted(panel.template) && !is_empty_row
        });
    }
}

/// One panel, or a row of them.
#[derive(Debug, Serialize)]
pub(super) struct Panel {
    pub(super) id: u32,
    pub(super) kind: Kind,
    /// The template that draws it: `panel-{template}.json.j2`.
    template: &'static str,
    pub(super) title: String,
    pub(super) description: String,
    unit: String,
    pub(super) sql: String,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    /// Panels of a row.
    panels: Vec<Panel>,
}

/// What a panel is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// How many rows there are.
    Rows,
    /// Smallest, mean and largest number.
    Number,
    /// The same over the elements of lists.
    Elements,
    /// In how many rows a flag is set.
    Share,
    /// By how much a counter grew.
    Counter,
    /// Rows by value.
    Values,
    /// Rows as they are.
    Newest,
    /// A row that is closed.
    More,
}

impl Kind {
    fn template(self) -> &'static str {
        match self {
            Self::Newest => "table",
            Self::More => "row",
            _ => "timeseries",
        }
    }

    /// What a reader has to know besides the documentation of the column.
    fn note(self) -> &'static str {
        match self {
            Self::Elements => "Over all elements of the lists.",
            Self::Share => "Share of the rows in which it is true.",
            Self::Counter => "Increase; a counter that was set back counts from 0.",
            Self::Values => "Rows by value.",
            Self::Rows => "Number of rows in each span of time.",
            Self::Number | Self::Newest | Self::More => "",
        }
    }

    /// `None`: SQL has nothing to draw for it, or it would be of no use.
    fn of(table: &Table, column: &Column, keys: &BTreeSet<String>) -> Option<Self> {
        if !is_shown(column) {
            return None;
        }
        match &column.data_type {
            Type::Bool => Some(Self::Share),
            Type::String => lists_values(&column.docs).then_some(Self::Values),
            Type::List { item, .. } => {
                // Lists of bare integers are mostly references to other rows.
                let is_measured = !item.is_integer() || column.unit.is_some();
                (is_number(item) && is_measured).then_some(Self::Elements)
            }
            number if is_number(number) => {
                if is_key(table, column, keys) {
                    None
                } else if number.is_integer() && column.name.ends_with("_total") {
                    Some(Self::Counter)
                } else {
                    Some(Self::Number)
                }
            }
            _ => None,
        }
    }
}

/// The column that says when a row happened: a timestamp, or else a day by which the table is
/// partitioned. A table without one has no dashboard.
pub(super) fn time_column(table: &Table) -> Option<(&str, &Type)> {
    let timestamps = || {
        let columns = table.columns.iter().filter(|column| is_shown(column));
        columns.filter(|c| c.data_type == Type::Timestamp && can_be_in_macro(&c.name))
    };
    let is_sorted = |column: &&Column| table.sort_by.contains(&column.name);
    let column = timestamps()
        .find(is_sorted)
        .or_else(|| timestamps().find(|column| !column.nullable))
        .or_else(|| timestamps().next());
    if let Some(column) = column {
        return Some((&column.name, &column.data_type));
    }
    table.partition_by.iter().find_map(|partition| {
        let data_type = table.filter_type(&partition.name)?;
        let is_day = *data_type == Type::Date && can_be_in_macro(&partition.name);
        let is_shown = table.column(&partition.name).is_none_or(is_shown);
        (is_day && is_shown).then_some((partition.name.as_str(), data_type))
    })
}

/// The dashboard of a table; `None` where nothing can be shown over time. `keys` are those of the
/// catalog, see [`keys`].
pub(super) fn dashboard(
    database: &Database,
    table: &Table,
    keys: &BTreeSet<String>,
) -> Option<Dashboard> {
    let (time, time_type) = time_column(table)?;
    let mut variables = variables::variables(table)?;
    let statements = Statements::new(database, table, time, &[]);
    for variable in &mut variables {
        if let VariableKind::Choice { sql, .. } = &mut variable.kind {
            *sql = statements.choices(&variable.name);
        }
    }
    let statements = Statements::new(database, table, time, &variables);
    let panels = panels(table, time, &statements, keys);
    let is_day = *time_type == Type::Date;
    Some(Dashboard {
        from: if is_day { "now-90d" } else { from(table) },
        interval: if is_day { "1d" } else { "1s" },
        panels,
        variables,
    })
}

/// Whether [`dashboard`] makes one.
pub(super) fn has_dashboard(table: &Table) -> bool {
    time_column(table).is_some() && variables::variables(table).is_some()
}

/// The fresher the rows of a table, the less of them is looked at.
fn from(table: &Table) -> &'static str {
    let freshness = table.freshness.as_deref();
    match freshness.map(|text| text.trim_start_matches(|c: char| c.is_ascii_digit())) {
        Some("ms" | "s") => "now-15m",
        Some("m") => "now-24h",
        _ => "now-30d",
    }
}

/// Names of columns that identify rows somewhere: wherever else such a name stands, it refers to them.
pub(super) fn keys(catalog: &Catalog) -> BTreeSet<String> {
    let names = catalog.tables().flat_map(|(_, table)| {
        let partitions = table.partition_by.iter().map(|by| &by.name);
        table.unique_by.iter().chain(partitions)
    });
    names.cloned().collect()
}

fn panels(
    table: &Table,
    time: &str,
    statements: &Statements<'_>,
    keys: &BTreeSet<String>,
) -> Vec<Panel> {
    let mut layout = Layout::default();
    layout.put(Kind::Rows, "Rows", "", None, statements.rows());
    let mut columns = table
        .columns
        .iter()
        .filter_map(|column| Some((column, Kind::of(table, column, keys)?)));
    let keys = counter_keys(table, time);
    let put = |layout: &mut Layout, (column, kind): (&Column, Kind)| {
        let name = column.name.as_str();
        let sql = match kind {
            Kind::Share => statements.share(name),
            Kind::Counter => statements.counter(name, &keys),
            Kind::Values => statements.values(name),
            Kind::Elements => statements.elements(name),
            _ => statements.number(name),
        };
        layout.put(kind, name, &column.docs, column.unit.as_deref(), sql);
    };
    for column in columns.by_ref().take(OPEN) {
        put(&mut layout, column);
    }
    if let Some(columns) = shown_columns(table) {
        let newest = statements.newest(&columns);
        layout.put(Kind::Newest, "Newest rows", "", None, newest);
    }
    let mut more = layout.row();
    for column in columns {
        put(&mut more, column);
    }
    layout.close(more);
    layout.panels
}

/// Scalars, which every client can read; `None` if there are none. Of a table whose columns are only
/// known when it is read, all: an empty list.
fn shown_columns(table: &Table) -> Option<Vec<&str>> {
    let columns = table.columns.iter().filter(|column| {
        is_shown(column) && column.data_type.is_scalar() && column.data_type != Type::Binary
    });
    let names: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    (table.columns.is_empty() || !names.is_empty()).then_some(names)
}

/// Nobody's personal data goes on a screen, and nothing that should no longer be used.
fn is_shown(column: &Column) -> bool {
    !column.pii && column.deprecated.is_none() && can_be_written(&column.name)
}

/// What a counter belongs to: that which identifies a row together with its time.
fn counter_keys<'a>(table: &'a Table, time: &str) -> Vec<&'a str> {
    let unique = table.unique_by.iter().map(String::as_str);
    let keys: Vec<&str> = if table.unique_by.iter().any(|name| name == time) {
        unique.filter(|name| *name != time).collect()
    } else {
        let partitions = table.partition_by.iter().map(|by| by.name.as_str());
        partitions
            .filter(|name| table.filter_type(name) != Some(&Type::Date))
            .collect()
    };
    keys.into_iter()
        .filter(|name| can_be_written(name))
        .collect()
}

/// Whether a number is a name: its mean would mean nothing.
fn is_key(table: &Table, column: &Column, keys: &BTreeSet<String>) -> bool {
    let name = &column.name;
    let is_count = column.data_type.is_integer() && column.unit.is_none();
    table.is_partition(name)
        || table.unique_by.contains(name)
        || name == "id"
        || name.ends_with("_id")
        || (is_count && (keys.contains(name) || links_elsewhere(table, &column.docs)))
}

/// Whether the documentation leads to another table, as that of a foreign key does.
fn links_elsewhere(table: &Table, docs: &str) -> bool {
    let mut targets = docs.split("](table:").skip(1).map(|rest| {
        let target = rest.split([')', '#']).next().unwrap_or_default();
        target.rsplit('.').next().unwrap_or_default()
    });
    targets.any(|target| target != table.name)
}

/// Whether the first paragraph names values, such as `` `move`, `click` or `release` ``: then there
/// are few. Code in links names columns.
fn lists_values(docs: &str) -> bool {
    let summary = neurolake_model::catalog::summary(docs);
    let mut in_link = false;
    let mut values = 0;
    for event in Parser::new(&summary) {
        match event {
            Event::Start(Tag::Link { .. }) => in_link = true,
            Event::End(TagEnd::Link) => in_link = false,
            Event::Code(_) if !in_link => values += 1,
            _ => {}
        }
    }
    values >= 2
}

fn is_number(data_type: &Type) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            Type::Float32 | Type::Float64 | Type::Decimal { .. }
        )
}

/// Places panels in rows from left to right.
#[derive(Debug, Default)]
struct Layout {
    panels: Vec<Panel>,
    x: u32,
    y: u32,
    height: u32,
    last_id: u32,
}

impl Layout {
    fn put(&mut self, kind: Kind, title: &str, docs: &str, unit: Option<&str>, sql: String) {
        let (width, height) = match kind {
            Kind::Rows => (FULL, 6),
            Kind::Newest => (FULL, 10),
            _ => (FULL / ACROSS, 8),
        };
        if self.x + width > FULL {
            self.x = 0;
            self.y += self.height;
        }
        self.last_id += 1;
        let docs = summary_text(docs, DESCRIPTION);
        self.panels.push(Panel {
            id: self.last_id,
            kind,
            template: kind.template(),
            title: title.to_owned(),
            description: [docs.as_str(), kind.note()]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join(" "),
            unit: match kind {
                Kind::Share => "percentunit".to_owned(),
                _ => grafana_unit(unit),
            },
            sql,
            x: self.x,
            y: self.y,
            width,
            height,
            panels: Vec::new(),
        });
        self.x += width;
        self.height = height;
    }

    /// A row below everything; panels go in until [`Self::close`].
    fn row(&self) -> Self {
        Self {
            y: self.y + self.height + 1,
            last_id: self.last_id + 1,
            ..Self::default()
        }
    }

    fn close(&mut self, row: Self) {
        if row.panels.is_empty() {
            return;
        }
        self.panels.push(Panel {
            id: self.last_id + 1,
            kind: Kind::More,
            template: Kind::More.template(),
            title: "More columns".to_owned(),
            description: String::new(),
            unit: String::new(),
            sql: String::new(),
            x: 0,
            y: self.y + self.height,
            width: FULL,
            height: 1,
            panels: row.panels,
        });
    }
}
