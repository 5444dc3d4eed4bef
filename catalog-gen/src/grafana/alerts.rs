//! Rules that watch tables: rows that stop coming, and rows that don't fit.

use neurolake_model::{Database, Source, Table, Type, dead_letters};
use serde::Serialize;

use super::panels::time_column;
use super::statements::younger_than;
use super::uid;

/// How many times as old as declared the newest row may become. One late batch is no incident.
const PATIENCE: u64 = 3;
/// How far back refused rows are counted. Longer than rules wait, so that none goes unseen.
const REFUSED_WITHIN: &str = "15 minutes";

/// What a rule watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Watch {
    /// It fires when there is no row.
    Freshness,
    /// It fires when there is one.
    DeadLetters,
}

/// One rule.
#[derive(Debug, Serialize)]
pub(super) struct Rule {
    pub(super) uid: String,
    pub(super) watch: Watch,
    pub(super) table: String,
    pub(super) owner: Option<String>,
    /// How old the newest row may be, as declared.
    freshness: Option<String>,
    /// A statement whose only value is a number of rows.
    pub(super) sql: String,
    /// The age that is watched, such as `6 seconds`.
    pub(super) age: String,
}

/// The rules of one table.
pub(super) fn rules(catalog: &str, database: &Database, table: &Table) -> Vec<Rule> {
    if table.deprecated.is_some() {
        return Vec::new();
    }
    let rule = |watch, name, sql, age: String| Rule {
        uid: uid(&[catalog, &database.name, &table.name, name]),
        watch,
        table: table.name.clone(),
        owner: table.owner.clone(),
        freshness: table.freshness.clone(),
        sql,
        age,
    };
    let fresh = freshness(table).map(|(time, age)| {
        let sql = younger_than(&database.name, &table.name, time, &age);
        rule(Watch::Freshness, "freshness", sql, age)
    });
    let refused = dead_letters::of(table).map(|letters| {
        let age = REFUSED_WITHIN.to_owned();
        let sql = younger_than(&database.name, &letters.name, dead_letters::RECEIVED, &age);
        rule(Watch::DeadLetters, "dead_letters", sql, age)
    });
    fresh.into_iter().chain(refused).collect()
}

/// The column to watch and the age that is too old. A day as a time is too coarse for that, and what
/// is computed from other tables is as fresh as they are.
fn freshness(table: &Table) -> Option<(&str, String)> {
    if matches!(table.source, Source::Sql { .. } | Source::Function { .. }) {
        return None;
    }
    let (time, data_type) = time_column(table)?;
    if *data_type != Type::Timestamp {
        return None;
    }
    let age = interval(table.freshness.as_deref()?)?;
    Some((time, age))
}

/// `2s` is `6 seconds`.
fn interval(freshness: &str) -> Option<String> {
    let unit = freshness.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = freshness.strip_suffix(unit)?.parse().ok()?;
    let unit = match unit {
        "ms" => "milliseconds",
        "s" => "seconds",
        "m" => "minutes",
        "h" => "hours",
        "d" => "days",
        _ => return None,
    };
    Some(format!("{} {unit}", number.checked_mul(PATIENCE)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_becomes_an_interval() {
        assert_eq!(interval("2s").as_deref(), Some("6 seconds"));
        assert_eq!(interval("500ms").as_deref(), Some("1500 milliseconds"));
        assert_eq!(interval("7d").as_deref(), Some("21 days"));
        assert_eq!(interval("soon"), None);
        assert_eq!(interval(&format!("{}s", u64::MAX)), None);
    }
}
