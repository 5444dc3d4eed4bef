//! Links in documentation: Rust paths to tables and columns become addresses of the catalog.
//!
//! `table:database.table`, `table:database.table#column`, `database:name`. A path to another item
//! loses its brackets, as nothing in the catalog could show it.

use std::ops::Range;
use std::path::Path;

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag};

/// What a Rust path in a link leads to.
#[derive(Debug, PartialEq)]
pub(crate) enum Target {
    /// An address of the catalog.
    Address(String),
    /// Something that the catalog doesn't show.
    Elsewhere,
    /// Nothing; with the nearest name.
    Nothing(Option<String>),
}

/// A path that leads nowhere.
#[derive(Debug)]
pub(crate) struct Dangling {
    /// As written.
    pub(crate) path: String,
    /// Place in the text.
    pub(crate) range: Range<usize>,
    pub(crate) suggestion: Option<String>,
}

/// The Markdown extensions of rustdoc.
pub(crate) const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS);

/// Rewrites the links of a Markdown text.
pub(crate) fn rewrite(
    markdown: &str,
    resolve: &mut dyn FnMut(&str) -> Target,
) -> (String, Vec<Dangling>) {
    let mut dangling = Vec::new();
    if !markdown.contains('[') {
        return (markdown.to_owned(), dangling);
    }
    let mut replacements: Vec<(Range<usize>, String)> = Vec::new();
    // An undefined reference such as [`Spikes`] is only a link if it looks like a path.
    let mut callback = |broken: BrokenLink<'_>| {
        let path = path_of(&broken.reference)?;
        Some((CowStr::from(path), CowStr::from("")))
    };
    let parser = Parser::new_with_broken_link_callback(markdown, OPTIONS, Some(&mut callback));
    for (event, range) in parser.into_offset_iter() {
        let Event::Start(Tag::Link {
            link_type,
            dest_url,
            ..
        }) = event
        else {
            continue;
        };
        if matches!(link_type, LinkType::Autolink | LinkType::Email) {
            continue;
        }
        let Some(path) = path_of(&dest_url) else {
            continue;
        };
        let is_undefined = matches!(
            link_type,
            LinkType::ReferenceUnknown | LinkType::CollapsedUnknown | LinkType::ShortcutUnknown
        );
        // `[text](word)` may be a relative link; only a path with `::` or a known name counts.
        let target = resolve(&path);
        if !is_undefined && !path.contains("::") && matches!(target, Target::Nothing(_)) {
            continue;
        }
        let text = link_text(&markdown[range.clone()]);
        match target {
            Target::Address(address) => {
                // Readers of the catalog know tables by their names in it, not by their Rust paths.
                let text = match path_of(text) {
                    Some(shown) if shown == path => format!("`{}`", name_of(&path, &address)),
                    _ => text.to_owned(),
                };
                replacements.push((range, format!("[{text}]({address})")));
            }
            Target::Elsewhere => replacements.push((range, text.to_owned())),
            Target::Nothing(suggestion) => dangling.push(Dangling {
                path,
                range,
                suggestion,
            }),
        }
    }
    let mut rewritten = String::with_capacity(markdown.len() + 64);
    let mut end = 0;
    for (range, replacement) in replacements {
        // A link can't hold a link, so ranges never overlap; an image inside of one may.
        if range.start < end {
            continue;
        }
        rewritten.push_str(&markdown[end..range.start]);
        rewritten.push_str(&replacement);
        end = range.end;
    }
    rewritten.push_str(&markdown[end..]);
    (rewritten, dangling)
}

/// What people call the place that an address leads to: a database, `database.table`,
/// `table.column`, or the column alone where it belongs to the table that speaks.
fn name_of(path: &str, address: &str) -> String {
    let name = address.split_once(':').map_or(address, |(_, name)| name);
    match name.split_once('#') {
        Some((_, column)) if path.starts_with("Self::") => column.to_owned(),
        Some((table, column)) => {
            let table = table.split_once('.').map_or(table, |(_, table)| table);
            format!("{table}.{column}")
        }
        None => name.to_owned(),
    }
}

/// The Rust path in a link's destination, without backticks, disambiguators and parentheses.
fn path_of(destination: &str) -> Option<String> {
    let mut path = destination.trim().trim_matches('`').trim();
    for prefix in [
        "struct@",
        "fn@",
        "function@",
        "mod@",
        "module@",
        "field@",
        "type@",
    ] {
        path = path.strip_prefix(prefix).unwrap_or(path);
    }
    path = path.strip_suffix("()").unwrap_or(path);
    let is_path = !path.is_empty()
        && path.trim_start_matches("::").split("::").all(|segment| {
            let segment = segment.strip_prefix("r#").unwrap_or(segment);
            segment.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && segment.chars().all(|c| c.is_alphanumeric() || c == '_')
        });
    is_path.then(|| path.to_owned())
}

/// What stands between the first pair of brackets.
fn link_text(link: &str) -> &str {
    let mut depth = 0_usize;
    let mut in_code = false;
    for (at, character) in link.char_indices() {
        match character {
            '`' => in_code = !in_code,
            '[' if !in_code => depth += 1,
            ']' if !in_code => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return &link[1..at];
                }
            }
            _ => {}
        }
    }
    link
}

/// Where a part of a doc comment that begins in `line` stands in its file. The comment lost its
/// markers and its indentation, and other attributes may stand between its lines, so the part is
/// looked for in the source.
pub(crate) fn place(
    docs: &str,
    part: &Range<usize>,
    line: u32,
    file: &Path,
) -> Option<super::finding::Range> {
    let source = std::fs::read_to_string(file).ok()?;
    let part_text = docs[part.clone()].lines().next()?;
    let before = &docs[..part.start];
    let skipped_lines = before.matches('\n').count();
    let same_line = before.rsplit('\n').next().unwrap_or_default();
    let earlier_in_line = same_line.matches(part_text).count();
    let lines = source
        .lines()
        .enumerate()
        .skip(line as usize - 1 + skipped_lines);
    let (at, column) = lines.take(MAX_LINES_APART).find_map(|(at, text)| {
        let (byte, _) = text.match_indices(part_text).nth(earlier_in_line)?;
        Some((at, text[..byte].chars().count()))
    })?;
    let number = |value: usize| u32::try_from(value + 1).unwrap_or(u32::MAX);
    Some(super::finding::Range {
        line: number(at),
        column: number(column),
        end_line: number(at),
        end_column: number(column + part_text.chars().count()),
    })
}

/// More attributes than this between two lines of documentation are nobody's style.
const MAX_LINES_APART: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(path: &str) -> Target {
        match path {
            "Spikes" | "crate::neural::Spikes" => Target::Address("table:neural.spikes".into()),
            "Spikes::ts" => Target::Address("table:neural.spikes#ts".into()),
            "String" => Target::Elsewhere,
            _ => Target::Nothing(None),
        }
    }

    #[test]
    fn rewrites_every_form_of_link() {
        for (before, after) in [
            (
                "see [`Spikes`].",
                "see [`neural.spikes`](table:neural.spikes).",
            ),
            (
                "[Spikes::ts] is",
                "[`spikes.ts`](table:neural.spikes#ts) is",
            ),
            (
                "[the *spikes*](crate::neural::Spikes)",
                "[the *spikes*](table:neural.spikes)",
            ),
            ("[a][Spikes] b", "[a](table:neural.spikes) b"),
            (
                "[a]\n\n[a]: crate::neural::Spikes",
                "[a](table:neural.spikes)\n\n[a]: crate::neural::Spikes",
            ),
            ("a [`String`] of", "a `String` of"),
            (
                "[site](https://example.com) [x](other.md) [1] `v[i]`",
                "[site](https://example.com) [x](other.md) [1] `v[i]`",
            ),
            ("- [x] done", "- [x] done"),
            ("plain \\[uV\\]", "plain \\[uV\\]"),
        ] {
            let (text, dangling) = rewrite(before, &mut resolve);
            assert_eq!(text, after);
            assert!(dangling.is_empty(), "{before}: {dangling:?}");
        }
    }

    #[test]
    fn a_path_to_nothing_is_dangling() {
        let (_, dangling) = rewrite("power in [uV] per [bin](crate::x::Bin)", &mut resolve);
        let paths: Vec<_> = dangling.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(paths, ["uV", "crate::x::Bin"]);
        assert_eq!(dangling[0].range, 9..13);
    }
}
