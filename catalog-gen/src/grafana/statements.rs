//! SQL of panels and alerts: standard functions and Grafana's macros only, so that PostgreSQL and
//! DataFusion both run it.
//!
//! Grafana edits statements as text before they are sent. `$name`, `${name}` and `[[name]]` are
//! variables wherever they stand, also within quotes, and the arguments of a macro end at the first
//! `)`. [`can_be_written`] and [`can_be_in_macro`] say which names survive that.

use std::fmt::Write as _;

use neurolake_model::{Database, Table};

use crate::snippets::sql_name;

use super::variables::{Variable, VariableKind};

/// Rows in the panel of the newest.
const NEWEST: u32 = 100;

/// Whether Grafana leaves the name as it is.
pub(super) fn can_be_written(name: &str) -> bool {
    !name.contains('$') && !name.contains("[[")
}

/// Whether the name may also be the argument of a macro.
pub(super) fn can_be_in_macro(name: &str) -> bool {
    can_be_written(name) && !name.contains([')', ','])
}

/// Makes the statements of one table.
pub(super) struct Statements<'a> {
    table: String,
    time: String,
    variables: &'a [Variable],
}

impl<'a> Statements<'a> {
    pub(super) fn new(
        database: &Database,
        table: &Table,
        time: &str,
        variables: &'a [Variable],
    ) -> Self {
        Self {
            table: qualified(&database.name, &table.name),
            time: sql_name(time).into_owned(),
            variables,
        }
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> String {
        self.over_time("count(*) as \"rows\"")
    }

    /// Values of a column of numbers.
    pub(super) fn number(&self, column: &str) -> String {
        self.over_time(&summary(&sql_name(column)))
    }

    /// In how many of the rows a flag is set.
    pub(super) fn share(&self, column: &str) -> String {
        let column = sql_name(column);
        self.over_time(&format!(
            "avg(case when {column} then 1.0 when not {column} then 0.0 end) as \"true\""
        ))
    }

    /// Rows by the value of a text.
    pub(super) fn values(&self, column: &str) -> String {
        format!(
            "select\n  {},\n  coalesce({}, 'null') as \"metric\",\n  count(*) as \"rows\"\n{}\ngroup by 1, 2\norder by 1, 2",
            self.group(),
            sql_name(column),
            self.source("")
        )
    }

    /// By how much a counter grew. Each of `keys` counts for itself, and begins anew after a restart.
    pub(super) fn counter(&self, column: &str, keys: &[&str]) -> String {
        let keys: Vec<_> = keys.iter().map(|key| sql_name(key)).collect();
        let partition = if keys.is_empty() {
            String::new()
        } else {
            format!("partition by {} ", keys.join(", "))
        };
        let column = sql_name(column);
        format!(
            "select\n  $__timeGroupAlias(\"time\", $__interval),\n  \
             sum(case when reading < earlier then reading else reading - earlier end) as \"increase\"\n\
             from (\n  select\n    {time} as \"time\",\n    {column} as reading,\n    \
             lag({column}) over ({partition}order by {time}) as earlier\n{source}\n) as steps\n\
             group by 1\norder by 1",
            time = self.time,
            source = self.source("  "),
        )
    }

    /// All elements of a column of lists of numbers.
    pub(super) fn elements(&self, column: &str) -> String {
        format!(
            "select\n  $__timeGroupAlias(\"time\", $__interval),\n  {}\nfrom (\n  select {} as \"time\", \
             unnest({}) as element\n{}\n) as elements\ngroup by 1\norder by 1",
            summary("element"),
            self.time,
            sql_name(column),
            self.source("  "),
        )
    }

    /// Rows as they are, the newest first. No columns: all.
    pub(super) fn newest(&self, columns: &[&str]) -> String {
        let columns: Vec<_> = columns.iter().map(|column| sql_name(column)).collect();
        let columns = if columns.is_empty() {
            "*".to_owned()
        } else {
            columns.join(", ")
        };
        format!(
            "select {columns}\n{}\norder by {} desc\nlimit {NEWEST}",
            self.source(""),
            self.time
        )
    }

    /// Values that a variable offers: those of the time that is shown.
    pub(super) fn choices(&self, column: &str) -> String {
        let column = sql_name(column);
        format!(
            "select distinct {column} from {} where $__timeFilter({}) order by 1",
            self.table, self.time
        )
    }

    fn over_time(&self, values: &str) -> String {
        format!(
            "select\n  {},\n  {values}\n{}\ngroup by 1\norder by 1",
            self.group(),
            self.source("")
        )
    }

    fn group(&self) -> String {
        format!("$__timeGroupAlias({}, $__interval)", self.time)
    }

    /// `from` and `where`.
    fn source(&self, indent: &str) -> String {
        let mut text = format!(
            "{indent}from {}\n{indent}where $__timeFilter({})",
            self.table, self.time
        );
        for variable in self.variables {
            let column = sql_name(&variable.name);
            let name = &variable.name;
            // The format says how values are quoted: without one, that depends on Grafana's version
            // and on how many values are chosen.
            let condition = match variable.kind {
                VariableKind::Choice { .. } => format!("{column} in (${{{name}:sqlstring}})"),
                VariableKind::Argument { .. } => format!("{column} = ${{{name}:sqlstring}}"),
            };
            let _ = write!(text, "\n{indent}  and {condition}");
        }
        text
    }
}

/// How many rows of a table are younger than `age`, an interval of SQL. What an alert asks doesn't
/// depend on a range of time that somebody looks at, so there are no macros in it.
pub(super) fn younger_than(database: &str, table: &str, time: &str, age: &str) -> String {
    format!(
        "select count(*) as \"rows\" from {} where {} > now() - interval '{age}'",
        qualified(database, table),
        sql_name(time)
    )
}

fn qualified(database: &str, table: &str) -> String {
    format!("{}.{}", sql_name(database), sql_name(table))
}

fn summary(value: &str) -> String {
    format!("min({value}) as \"min\",\n  avg({value}) as \"avg\",\n  max({value}) as \"max\"")
}
