//! The files that the site loads. Both are scripts that set a global, so that they load from
//! `file://` too.
//!
//! What repeats is written once: 200,000 columns of 10,000 tables are some 11,000 names with lists
//! of tables. Texts are joined by newlines, which costs a browser less than parsing arrays.

use serde::Serialize;

use super::text::Lists;
use super::{Facet, SearchIndex};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    version: u32,
    catalog: &'a str,
    tables: &'a str,
    columns: &'a str,
    column_tables: String,
    aliases: &'a str,
    alias_entries: String,
    alias_tables: String,
    deprecated: String,
    deprecated_columns: String,
    facets: Facets<'a>,
}

#[derive(Serialize)]
struct Facets<'a> {
    db: Values<'a>,
    owner: Values<'a>,
    tag: Values<'a>,
    r#type: Values<'a>,
    is: Values<'a>,
}

#[derive(Serialize)]
struct Values<'a> {
    names: &'a str,
    tables: String,
}

#[derive(Serialize)]
struct Text<'a> {
    texts: &'a str,
    columns: String,
    tables: String,
}

impl SearchIndex {
    /// `assets/search-index.js`: the names.
    pub fn to_js(&self) -> String {
        let dead = (0..).zip(&self.dead_tables).filter(|(_, dead)| **dead);
        let mut dead_columns: Vec<u64> = self.dead_columns.iter().copied().collect();
        dead_columns.sort_unstable();
        script(
            "neurolakeIndex",
            &Index {
                version: 1,
                catalog: &self.catalog,
                tables: self.names.lines(0, self.table_count),
                columns: self.names.lines(self.table_count, self.aliases_from),
                column_tables: pack_all(&self.column_tables),
                aliases: self.names.lines(self.aliases_from, self.names.len()),
                alias_entries: pack_each(&self.alias_entries),
                alias_tables: pack_all(&self.alias_tables),
                deprecated: pack(dead.map(|(table, _)| table)),
                deprecated_columns: pack(dead_columns.into_iter()),
                facets: Facets {
                    db: values(&self.databases),
                    owner: values(&self.owners),
                    tag: values(&self.tags),
                    r#type: values(&self.types),
                    is: values(&self.states),
                },
            },
        )
    }

    /// `assets/search-text.js`: summaries of tables and columns.
    pub fn text_js(&self) -> String {
        script(
            "neurolakeText",
            &Text {
                texts: &self.texts.original,
                columns: pack_each(&self.text_columns),
                tables: pack_all(&self.text_tables),
            },
        )
    }
}

fn script(name: &str, value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("strings and numbers are JSON");
    format!("globalThis.{name}={json};\n")
}

fn values(facet: &Facet) -> Values<'_> {
    Values {
        names: &facet.values.original,
        tables: pack_all(&facet.tables),
    }
}

fn pack_all(lists: &Lists) -> String {
    lists
        .iter()
        .map(|list| pack(list.iter().map(|&value| u64::from(value))))
        .collect()
}

fn pack_each(values: &[u32]) -> String {
    values
        .iter()
        .map(|&value| pack([u64::from(value)].into_iter()))
        .collect()
}

/// Gaps between ascending numbers in little-endian digits: a digit from `]` on continues a number,
/// one from `#` on ends it, a blank ends the list. All are plain ASCII that no string escapes.
fn pack(values: impl Iterator<Item = u64>) -> String {
    const ENDING: u64 = 57;
    const CONTINUING: u64 = 34;
    let digit = |first: u8, value: u64| char::from(first + value as u8);
    let mut packed = String::new();
    let mut next = 0;
    for value in values {
        let mut gap = value - next;
        next = value + 1;
        while gap >= ENDING {
            packed.push(digit(b']', gap % CONTINUING));
            gap /= CONTINUING;
        }
        packed.push(digit(b'#', gap));
    }
    packed.push(' ');
    packed
}

#[cfg(test)]
mod tests {
    use super::pack;

    #[test]
    fn numbers_become_plain_characters() {
        assert_eq!(pack([].into_iter()), " ");
        assert_eq!(pack([0, 1, 58].into_iter()), "##[ ");
        assert_eq!(pack([57].into_iter()), "t$ ");
        let all = pack((0..5000).map(|n| n * n));
        assert!(
            all.bytes()
                .all(|b| matches!(b, b' ' | b'#'..=b'[' | b']'..=b'~')),
            "{all}"
        );
    }
}
