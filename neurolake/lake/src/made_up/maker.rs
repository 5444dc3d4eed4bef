//! Collects the rows of one table.

use neurolake_model::{Catalog, Column, Table, Type};

use super::cell::{Cell, Row};
use super::guess::{self, DAY, Plan, Rows, Spot};
use super::random::Random;

/// How one table of a lake is made up. Registered with [`crate::recipe!`].
#[derive(Debug)]
pub struct Recipe {
    /// `database.table`
    pub table: &'static str,
    /// Gives the rows.
    pub make: fn(&mut Maker<'_>),
}

inventory::collect!(Recipe);

/// Says how a table of this crate's lake is made up: `recipe!("neural.spikes", spikes)`, where
/// `spikes` is a `fn(&mut Maker<'_>)`. Tables without a recipe are guessed from their declaration.
#[macro_export]
macro_rules! recipe {
    ($table:literal, $make:path) => {
        $crate::__private::submit! {
            $crate::made_up::Recipe { table: $table, make: $make }
        }
    };
}

/// Values of a row or a struct by name: `row! { "channel" => 7, "width" => 0.4 }`.
#[macro_export]
macro_rules! row {
    ($($name:literal => $value:expr),* $(,)?) => {
        vec![$(($name, $crate::made_up::Cell::from($value))),*] as $crate::made_up::Row
    };
}

/// What a [`Recipe`] hands its rows to.
#[derive(Debug)]
pub struct Maker<'a> {
    catalog: &'a Catalog,
    table: &'a Table,
    name: String,
    seed: u64,
    size: f64,
    pub(crate) columns: Vec<Column>,
    plans: Vec<Plan>,
    randoms: Vec<Random>,
    rows: Vec<Vec<Cell>>,
    made: i64,
    pub(crate) commits: Vec<Commit>,
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) checkpoint: bool,
    pub(crate) row_group: Option<usize>,
    pub(crate) problem: Option<String>,
}

/// Rows that become one version of a Delta table; other tables only have their sum.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) at: i64,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Columns that the table doesn't have yet.
    pub(crate) without: &'static [&'static str],
}

impl<'a> Maker<'a> {
    pub(crate) fn new(
        catalog: &'a Catalog,
        database: &str,
        table: &'a Table,
        seed: u64,
        size: f64,
    ) -> Self {
        let mut maker = Self {
            catalog,
            table,
            name: format!("{database}.{}", table.name),
            seed,
            size,
            columns: Vec::new(),
            plans: Vec::new(),
            randoms: Vec::new(),
            rows: Vec::new(),
            made: 0,
            commits: Vec::new(),
            files: Vec::new(),
            checkpoint: false,
            row_group: None,
            problem: None,
        };
        maker.set_columns(table.columns.clone());
        maker
    }

    fn set_columns(&mut self, columns: Vec<Column>) {
        let rows = self.scaled(guess::ROWS);
        self.plans = columns
            .iter()
            .map(|column| Plan::new(self.catalog, self.table, column, rows))
            .collect();
        self.randoms = columns
            .iter()
            .map(|column| Random::new(self.seed, &format!("{}.{}", self.name, column.name)))
            .collect();
        self.columns = columns;
    }

    /// The generator of this name: the same in every table, for things that tables share.
    pub fn random(&self, name: &str) -> Random {
        Random::new(self.seed, name)
    }

    /// A number of rows at size 1, for the size that was asked for; at least 1.
    pub fn scaled(&self, rows: f64) -> i64 {
        ((rows * self.size).round() as i64).max(1)
    }

    /// Columns of a table that declares none, partitions included; all but those are nullable.
    pub fn undeclared(&mut self, columns: &[(&str, Type)]) {
        let columns = columns
            .iter()
            .map(|(name, data_type)| Column {
                name: (*name).to_owned(),
                data_type: data_type.clone(),
                nullable: !self.table.is_partition(name),
                docs: String::new(),
                unit: None,
                pii: false,
                since: None,
                renamed_from: None,
                deprecated: None,
                aliases: Vec::new(),
            })
            .collect();
        self.set_columns(columns);
    }

    /// Adds a row. Columns it doesn't name are guessed.
    pub fn row(&mut self, row: Row) {
        let spot = Spot {
            row: self.made,
            day: day_of(&row),
        };
        let mut row = row;
        let mut cells = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let (plan, random) = (&self.plans[index], &mut self.randoms[index]);
            let given = row.iter().position(|(name, _)| *name == column.name);
            cells.push(match given {
                Some(given) => {
                    let (name, cell) = row.swap_remove(given);
                    match plan.complete(cell, random, spot) {
                        Ok(cell) => cell,
                        Err(problem) => {
                            self.problem = Some(format!("{name}: {problem}"));
                            Cell::Null
                        }
                    }
                }
                None => plan.value(random, spot),
            });
        }
        if let Some((unknown, _)) = row.first() {
            self.problem = Some(format!("there is no column `{unknown}`"));
        }
        self.made += 1;
        self.rows.push(cells);
    }

    /// Ends a commit: rows added since the last one become one version of a Delta table.
    pub fn commit(&mut self, at: &str) {
        self.commit_without(at, &[]);
    }

    /// As [`Maker::commit`], of a time when the table had fewer columns.
    pub fn commit_without(&mut self, at: &str, columns: &'static [&'static str]) {
        let rows = std::mem::take(&mut self.rows);
        self.commits.push(Commit {
            at: guess::time(at),
            rows,
            without: columns,
        });
    }

    /// Writes a checkpoint behind the last version.
    pub fn checkpoint(&mut self) {
        self.checkpoint = true;
    }

    /// Rows of a row group; few for tables in which a filter should skip most of a file.
    pub fn row_group(&mut self, rows: usize) {
        self.row_group = Some(rows);
    }

    /// A file that a blob of the table points at.
    pub fn file(&mut self, uri: String, content: Vec<u8>) -> Cell {
        let media_type = match uri.rsplit('.').next() {
            Some("png") => "image/png",
            Some("jpg") => "image/jpeg",
            Some("tif") => "image/tiff",
            Some("pdf") => "application/pdf",
            Some("edf") => "application/edf",
            _ => "application/octet-stream",
        };
        let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
        let cell = blob(&uri, media_type, size);
        self.files.push((uri, content));
        cell
    }

    /// Rows guessed from the declaration.
    pub(crate) fn guess(&mut self) {
        if self.columns.is_empty() {
            self.invent_columns();
        }
        let rows = Rows::new(self.table, &self.columns);
        for row in 0..self.scaled(guess::ROWS).max(24) {
            let (fixed, day) = rows.fixed(row);
            let spot = Spot { row, day };
            let mut cells: Vec<Cell> = self
                .plans
                .iter()
                .zip(&mut self.randoms)
                .map(|(plan, random)| plan.value(random, spot))
                .collect();
            for (index, cell) in fixed {
                cells[index] = cell;
            }
            self.rows.push(cells);
        }
    }

    /// A table that declares nothing gets its partitions and the columns of its example, a time
    /// and a value.
    fn invent_columns(&mut self) {
        let mut columns: Vec<(&str, Type)> = self
            .table
            .partition_by
            .iter()
            .map(|partition| {
                let data_type = partition.data_type.clone().unwrap_or(Type::String);
                (partition.name.as_str(), data_type)
            })
            .collect();
        for (name, value) in &self.table.example {
            if !columns.iter().any(|(known, _)| known == name) {
                columns.push((name, type_of(value)));
            }
        }
        for (name, data_type) in [("ts", Type::Timestamp), ("value", Type::Float64)] {
            if !columns.iter().any(|(known, _)| *known == name) {
                columns.push((name, data_type));
            }
        }
        self.undeclared(&columns);
    }

    /// Rows behind the last commit become one, too.
    pub(crate) fn finish(&mut self) {
        if !self.rows.is_empty() || self.commits.is_empty() {
            let last = self.commits.last().map_or(0, |commit| commit.at);
            let rows = std::mem::take(&mut self.rows);
            self.commits.push(Commit {
                at: guess::time("2026-03-01T20:00:00Z").max(last + DAY),
                rows,
                without: &[],
            });
        }
    }
}

fn day_of(row: &Row) -> i64 {
    let dates = row
        .iter()
        .filter(|(name, _)| name.ends_with("date") || name.ends_with("_on") || *name == "day");
    for (_, cell) in dates {
        match cell {
            Cell::Int(days) => return *days,
            Cell::Text(text) => return guess::day(text),
            _ => {}
        }
    }
    guess::day("2026-03-01")
}

fn type_of(value: &neurolake_model::Value) -> Type {
    use neurolake_model::Value;
    match value {
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int64,
        Value::Float(_) => Type::Float64,
        Value::Date(_) => Type::Date,
        Value::Timestamp(_) => Type::Timestamp,
        _ => Type::String,
    }
}

/// A reference to a file.
pub fn blob(uri: &str, media_type: &str, bytes: i64) -> Cell {
    Cell::Fields(vec![uri.into(), media_type.into(), bytes.into()])
}
