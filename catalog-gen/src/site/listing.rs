//! Lists of tables and the navigation beside a page.

use std::fmt::Write as _;
use std::ops::Range;

use neurolake_model::Table;

use super::atlas::{Atlas, TableId};
use super::html::{escape, escaped, percent_encode, percent_encoded, table_address};
use super::markdown::summary_html;
use super::schema::column_count;

/// Databases named in the navigation.
const NEAR_DATABASES: usize = 12;
/// Tables named in the navigation. With 100 of them half of a page's bytes would be names.
const NEAR_TABLES: usize = 16;

/// Rows of a listing with summary, kind, owner, freshness and width.
pub(crate) fn table_rows(
    atlas: &Atlas<'_>,
    ids: impl IntoIterator<Item = TableId>,
    root: &str,
    with_database: bool,
) -> String {
    let mut out = String::new();
    for id in ids {
        let (database, table) = atlas.tables[id];
        let address = table_address(root, &database.name, &table.name, "html");
        let _ = write!(out, r#"<tr><th><a href="{address}">"#);
        if with_database {
            let _ = write!(out, "<i>{}.</i>", escaped(&database.name));
        }
        escape(&mut out, &table.name);
        out.push_str("</a>");
        badges(&mut out, table);
        let summary = summary_html(&table.docs, 160);
        if !summary.is_empty() {
            let _ = write!(out, "<p>{summary}</p>");
        }
        let _ = write!(
            out,
            "<td>{}<td>{}<td>{}<td>{}",
            kind(table),
            table.owner.as_deref().map(escaped).unwrap_or_default(),
            table
                .freshness
                .as_deref()
                .map(freshness)
                .unwrap_or_default(),
            columns(table),
        );
        out.push('\n');
    }
    out
}

/// Short rows: name, summary, kind.
pub(crate) fn short_rows(
    atlas: &Atlas<'_>,
    ids: impl IntoIterator<Item = TableId>,
    root: &str,
    letters: usize,
) -> String {
    let mut out = String::new();
    for id in ids {
        let (database, table) = atlas.tables[id];
        let address = table_address(root, &database.name, &table.name, "html");
        let _ = write!(
            out,
            r#"<li><a href="{address}">{}</a>"#,
            escaped(&table.name)
        );
        let _ = write!(out, "<span>{}", summary_html(&table.docs, letters));
        badges(&mut out, table);
        let _ = write!(out, "</span>{}", kind(table));
        out.push('\n');
    }
    out
}

fn badges(out: &mut String, table: &Table) {
    if table.deprecated.is_some() {
        out.push_str(r#" <b class="warn">deprecated</b>"#);
    }
    if table.ingest {
        out.push_str(" <b>takes events</b>");
    }
    if let Some(cfg) = &table.cfg {
        let _ = write!(out, " <b>cfg({})</b>", escaped(cfg));
    }
}

/// The kind of a table as a mark with a color of its own.
pub(crate) fn kind(table: &Table) -> String {
    format!(
        r#"<span class="kind {}">{}</span>"#,
        table.source.kind(),
        table.source.label()
    )
}

/// `≤ 2 s` for `2s`.
pub(crate) fn freshness(text: &str) -> String {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "m" => "min",
        "d" if number == "1" => "day",
        "d" => "days",
        other => other,
    };
    format!("≤ {} {}", escaped(number), escaped(unit))
        .trim_end()
        .to_owned()
}

/// The word is for narrow screens, where the listing has no heading.
fn columns(table: &Table) -> String {
    match column_count(table) {
        0 => String::new(),
        1 => "1<span> column</span>".to_owned(),
        count => format!("{count}<span> columns</span>"),
    }
}

/// Navigation: databases, and the tables of the current one around the current table. It names a
/// bounded number of neighbours so that a page stays small and a new table rewrites few pages.
pub(crate) fn navigation(
    atlas: &Atlas<'_>,
    root: &str,
    database: Option<usize>,
    table: Option<TableId>,
) -> String {
    let mut out = String::with_capacity(4_096);
    out.push_str("<ul>");
    let near = window(
        0..atlas.databases.len(),
        database.unwrap_or(0),
        NEAR_DATABASES,
    );
    let more = near.len() < atlas.databases.len();
    for index in near {
        let entry = &atlas.databases[index];
        let current = database == Some(index);
        let _ = write!(
            out,
            r#"<li><a href="{root}{}/index.html"{}>{}</a>"#,
            percent_encoded(&entry.database.name),
            if current && table.is_none() {
                r#" aria-current="page""#
            } else {
                ""
            },
            escaped(&entry.database.name)
        );
        if current {
            tables(&mut out, atlas, entry.tables.clone(), table);
        }
    }
    if more {
        let _ = write!(out, r#"<li><a href="{root}index.html">All databases</a>"#);
    }
    out.push_str("</ul>");
    out
}

fn tables(out: &mut String, atlas: &Atlas<'_>, all: Range<TableId>, current: Option<TableId>) {
    out.push_str("<ul>");
    let near = window(all.clone(), current.unwrap_or(all.start), NEAR_TABLES);
    let more = near.len() < all.len();
    for id in near {
        let name = &atlas.tables[id].1.name;
        out.push_str(r#"<li><a href=""#);
        percent_encode(out, name);
        out.push_str(r#".html""#);
        if current == Some(id) {
            out.push_str(r#" aria-current="page""#);
        }
        out.push('>');
        escape(out, name);
        out.push_str("</a>");
    }
    if more {
        let _ = write!(
            out,
            r#"<li><a href="index.html">All {} tables</a>"#,
            all.len()
        );
    }
    out.push_str("</ul>");
}

/// At most `most` of `all`, around `center`.
fn window(all: Range<usize>, center: usize, most: usize) -> Range<usize> {
    if all.len() <= most {
        return all;
    }
    let start = center
        .saturating_sub(most / 2)
        .clamp(all.start, all.end - most);
    start..start + most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stay_inside() {
        assert_eq!(window(10..15, 12, 40), 10..15);
        assert_eq!(window(10..99, 10, 4), 10..14);
        assert_eq!(window(10..99, 50, 4), 48..52);
        assert_eq!(window(10..99, 98, 4), 95..99);
    }

    #[test]
    fn freshness_reads_like_a_bound() {
        assert_eq!(freshness("2s"), "≤ 2 s");
        assert_eq!(freshness("1d"), "≤ 1 day");
        assert_eq!(freshness("500ms"), "≤ 500 ms");
    }
}
