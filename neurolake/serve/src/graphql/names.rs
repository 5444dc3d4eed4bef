//! What tables and columns are called in GraphQL, where a name is made of letters, digits and `_`.
//!
//! The table `spikes` of the database `neural` is the field `neural_spikes`, as in Hasura. A name that
//! is taken gets a number; names that a table needs for its types are taken with it.

use std::collections::{HashMap, HashSet};

use neurolake_model::Catalog;

/// Ends of the names that belong to a table besides its own.
const ENDS: [&str; 10] = [
    AGGREGATE,
    AGGREGATE_FIELDS,
    ARGUMENTS,
    AVERAGES,
    CONDITION,
    DEVIATIONS,
    EXTREMES,
    ORDER,
    COLUMN_NAMES,
    SUMS,
];

/// End of the field, and of its type, that answers with aggregates.
pub(crate) const AGGREGATE: &str = "_aggregate";
pub(crate) const AGGREGATE_FIELDS: &str = "_aggregate_fields";
pub(crate) const ARGUMENTS: &str = "_args";
pub(crate) const AVERAGES: &str = "_avg_fields";
pub(crate) const CONDITION: &str = "_bool_exp";
pub(crate) const DEVIATIONS: &str = "_stddev_fields";
pub(crate) const EXTREMES: &str = "_min_max_fields";
pub(crate) const ORDER: &str = "_order_by";
pub(crate) const COLUMN_NAMES: &str = "_select_column";
pub(crate) const SUMS: &str = "_sum_fields";

/// Type of the fields that a query begins with.
pub(crate) const QUERY: &str = "query_root";
/// Type of the directions of an order.
pub(crate) const DIRECTION: &str = "order_by";

/// Names that are used once.
#[derive(Default)]
pub(crate) struct Taken(HashSet<String>);

impl Taken {
    /// The name, or where it is taken the name with a number.
    pub(crate) fn take(&mut self, name: &str) -> String {
        self.take_all(name, &[])
    }

    /// Takes a name together with all that begin with it and end so.
    pub(crate) fn take_all(&mut self, name: &str, ends: &[&str]) -> String {
        let is_free = |candidate: &str| {
            let others = ends.iter().map(|end| format!("{candidate}{end}"));
            !self.0.contains(candidate) && !others.into_iter().any(|name| self.0.contains(&name))
        };
        let mut candidate = name.to_owned();
        let mut number = 2;
        while !is_free(&candidate) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        let others = ends.iter().map(|end| format!("{candidate}{end}"));
        self.0.extend(others);
        self.0.insert(candidate.clone());
        candidate
    }
}

/// A name as GraphQL can say it.
pub(crate) fn sayable(name: &str) -> String {
    let said = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let said: String = name.chars().map(said).collect();
    // Names that begin with two are GraphQL's own.
    let plain = said.trim_start_matches('_');
    if plain.len() == said.len()
        && !plain.is_empty()
        && !plain.starts_with(|c: char| c.is_numeric())
    {
        return said;
    }
    format!("_{plain}")
}

/// What a field of the query asks of its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Rows,
    Aggregate,
}

/// All tables by the names of their fields.
pub(crate) struct Names {
    /// In the order of the catalog: database, table, name.
    tables: Vec<(usize, usize, String)>,
    by_name: HashMap<String, usize>,
}

impl Names {
    pub(crate) fn new(catalog: &Catalog) -> Self {
        let mut taken = Taken::default();
        taken.take(QUERY);
        taken.take(DIRECTION);
        let mut names = Self {
            tables: Vec::new(),
            by_name: HashMap::new(),
        };
        for (outer, database) in catalog.databases.iter().enumerate() {
            for (inner, table) in database.tables.iter().enumerate() {
                let name = sayable(&format!("{}_{}", database.name, table.name));
                let name = taken.take_all(&name, &ENDS);
                names.by_name.insert(name.clone(), names.tables.len());
                names.tables.push((outer, inner, name));
            }
        }
        names
    }

    pub(crate) fn len(&self) -> usize {
        self.tables.len()
    }

    /// Places in the catalog of a table's database and of the table in it, and its name.
    pub(crate) fn table(&self, table: usize) -> (usize, usize, &str) {
        let (outer, inner, name) = &self.tables[table];
        (*outer, *inner, name)
    }

    /// The table that a field of the query is about.
    pub(crate) fn find(&self, field: &str) -> Option<(usize, About)> {
        if let Some(table) = self.by_name.get(field) {
            return Some((*table, About::Rows));
        }
        let table = self.by_name.get(field.strip_suffix(AGGREGATE)?)?;
        Some((*table, About::Aggregate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_one_that_can_be_said() {
        for (name, said) in [
            ("spikes", "spikes"),
            ("Total ($)", "Total____"),
            ("2nd", "_2nd"),
            ("_own", "_own"),
            ("__index_level_0__", "_index_level_0__"),
            ("\u{e9}t\u{e9}", "_t_"),
            ("", "_"),
            ("__", "_"),
        ] {
            assert_eq!(sayable(name), said, "{name}");
        }
    }

    #[test]
    fn a_name_and_the_names_of_its_types_are_taken_together() {
        let catalog = serde_json::json!({
            "format_version": 1, "name": "lake",
            "databases": [
                database("a", &["b_c", "d", "d_aggregate"]),
                database("a_b", &["c"]),
                database("query", &["root"]),
            ],
        });
        let catalog: Catalog = serde_json::from_value(catalog).expect("a catalog");
        let names = Names::new(&catalog);
        let all: Vec<&str> = (0..names.len()).map(|table| names.table(table).2).collect();
        assert_eq!(
            all,
            ["a_b_c", "a_d", "a_d_aggregate_2", "a_b_c_2", "query_root_2"]
        );
        assert_eq!(names.find("a_d"), Some((1, About::Rows)));
        assert_eq!(names.find("a_d_aggregate"), Some((1, About::Aggregate)));
        assert_eq!(names.find("a_b_c_2"), Some((3, About::Rows)));
        assert_eq!(names.find("a"), None);
    }

    fn database(name: &str, tables: &[&str]) -> serde_json::Value {
        let location = serde_json::json!({"file": "src/lib.rs", "line": 1});
        let tables: Vec<_> = tables
            .iter()
            .map(|table| {
                serde_json::json!({
                    "name": table, "source": {"kind": "delta", "uri": "/nowhere"},
                    "rust_path": table, "location": location,
                })
            })
            .collect();
        serde_json::json!({"name": name, "location": location, "tables": tables})
    }
}
