//! Sources: which keys make one, and which keys belong to which.

use neurolake_model::{Partitioning, Source};
use proc_macro2::Span;

use crate::arguments::Argument;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics, SpanRange};

/// Keys that name a source.
const SOURCES: &[&str] = &["delta", "parquet", "postgres", "sheet", "sql"];

/// Keys that mean something for one kind of source only.
const COMPANIONS: &[(&str, &[&str])] = &[
    ("partitioning", &["parquet"]),
    ("tab", &["sheet"]),
    ("range", &["sheet"]),
    ("header_row", &["sheet"]),
    ("refresh", &["sheet"]),
    ("store", &["delta", "parquet", "postgres", "sheet"]),
    ("partition_by", &["delta", "parquet"]),
    ("sort_by", &["delta", "parquet"]),
    ("ingest", &["delta"]),
    ("rows", &["function"]),
];

/// A value with its place.
type Text = (String, SpanRange);

/// The keys of this module, collected from the arguments.
#[derive(Default)]
pub(crate) struct SourceKeys {
    /// Key, value and place of the key.
    sources: Vec<(String, Option<Text>, Span)>,
    companions: Vec<(String, Span)>,
    partitioning: Option<Partitioning>,
    tab: Option<String>,
    range: Option<String>,
    header_row: Option<u32>,
    refresh: Option<String>,
    pub(crate) store: Option<String>,
    /// Where `ingest` stands.
    pub(crate) ingest: Option<Span>,
    /// Whether a key that wasn't understood may have been the source.
    pub(crate) is_uncertain: bool,
}

impl SourceKeys {
    /// Takes an argument if it is about the source.
    pub(crate) fn take(&mut self, argument: &Argument, diagnostics: &mut Diagnostics) -> bool {
        let key = argument.key.as_str();
        if SOURCES.contains(&key) {
            let value = argument.string(diagnostics);
            self.sources
                .push((key.to_owned(), value, argument.key_span));
            return true;
        }
        if COMPANIONS.iter().any(|(companion, _)| *companion == key) {
            self.companions.push((key.to_owned(), argument.key_span));
        }
        let text =
            |diagnostics: &mut Diagnostics| argument.string(diagnostics).map(|(text, _)| text);
        match key {
            "partitioning" => {
                self.partitioning = argument
                    .word(&["hive", "directory", "none"], diagnostics)
                    .map(|word| match word {
                        "hive" => Partitioning::Hive,
                        "directory" => Partitioning::Directory,
                        _ => Partitioning::None,
                    });
            }
            "tab" => self.tab = text(diagnostics),
            "range" => self.range = text(diagnostics),
            "ingest" => {
                argument.flag(
                    "write `ingest` alone, as in `#[table(delta = \"...\", ingest)]`, or remove it",
                    diagnostics,
                );
                self.ingest = Some(argument.key_span);
            }
            "header_row" => self.header_row = argument.positive(diagnostics),
            "refresh" => self.refresh = duration(argument, diagnostics),
            "store" => {
                self.store = argument.string(diagnostics).and_then(|(name, span)| {
                    if crate::names::is_valid_table_name(&name.replace('-', "_")) {
                        return Some(name);
                    }
                    diagnostics.push(
                        Diagnostic::new(
                            Code::Name,
                            span,
                            format!("`{name}` can't be the name of a store"),
                        )
                        .help("a store is named in lower case, such as `imaging`; its address and credentials are configured outside of the source"),
                    );
                    None
                });
            }
            _ => return false,
        }
        true
    }

    /// Puts the source together. `is_function`: the item itself is the source.
    pub(crate) fn finish(
        self,
        is_function: bool,
        partitioned: bool,
        at: SpanRange,
        diagnostics: &mut Diagnostics,
    ) -> Option<Source> {
        if is_function {
            for (key, _, span) in &self.sources {
                diagnostics.push(
                    Diagnostic::new(
                        Code::TwoSources,
                        *span,
                        format!("a table function is a source itself, found `{key}` too"),
                    )
                    .help("remove the key, or put it on a struct"),
                );
            }
            self.check_companions("function", diagnostics);
            return None;
        }
        if self.sources.is_empty() && self.is_uncertain {
            return None;
        }
        let [(kind, value, _)] = self.sources.as_slice() else {
            diagnostics.push(match self.sources.get(1) {
                Some((key, _, span)) => Diagnostic::new(
                    Code::TwoSources,
                    *span,
                    format!("a table has one source, found `{key}` after `{}`", self.sources[0].0),
                )
                .help("declare two tables, and a view over both"),
                None => Diagnostic::new(Code::NoSource, at, "the table has no source").help(
                    "say where the rows are: `delta = \"...\"`, `parquet = \"...\"`, `postgres = \"...\"`, `sheet = \"...\"` or `sql = \"...\"`",
                ),
            });
            return None;
        };
        self.check_companions(kind, diagnostics);
        let (text, span) = value.clone()?;
        match kind.as_str() {
            "delta" | "parquet" => {
                if let Err(diagnostic) = check_uri(kind, &text, span) {
                    diagnostics.push(*diagnostic);
                    return None;
                }
                let uri = text.trim_end_matches('/').to_owned();
                if kind == "delta" {
                    return Some(Source::Delta { uri });
                }
                let partitioning = match self.partitioning {
                    Some(partitioning) => partitioning,
                    None if partitioned => Partitioning::Hive,
                    None => Partitioning::None,
                };
                if partitioned == (partitioning == Partitioning::None) {
                    let (message, help) = if partitioned {
                        (
                            "partition columns without partitioning",
                            "remove `partition_by(...)`, or say `partitioning = hive`",
                        )
                    } else {
                        (
                            "partitioning without partition columns",
                            "name them: `partition_by(implant_id: i32, day: Date)`",
                        )
                    };
                    diagnostics.push(Diagnostic::new(Code::Partitioning, at, message).help(help));
                }
                Some(Source::Parquet { uri, partitioning })
            }
            "postgres" => {
                if let Err(diagnostic) = check_relation(&text, span) {
                    diagnostics.push(*diagnostic);
                }
                if self.store.is_none() && !self.companions.iter().any(|(key, _)| key == "store") {
                    diagnostics.push(
                        Diagnostic::new(
                            Code::MissingKey,
                            span,
                            "`postgres` needs `store`, the name of the connection",
                        )
                        .help("add `store = \"lab\"`; its address and credentials are configured outside of the source"),
                    );
                }
                Some(Source::Postgres { relation: text })
            }
            "sheet" => {
                if !is_spreadsheet_id(&text) {
                    let id = text
                        .split_once("/d/")
                        .and_then(|(_, rest)| rest.split('/').next())
                        .filter(|id| is_spreadsheet_id(id));
                    let diagnostic =
                        Diagnostic::new(Code::Sheet, span, "expected the id of a spreadsheet");
                    diagnostics.push(match id {
                        Some(id) => diagnostic
                            .help(format!("write `sheet = \"{id}\"`"))
                            .replace_with(format!("\"{id}\"")),
                        None => diagnostic.help(
                            "it stands between `/d/` and `/edit` in the address of the sheet",
                        ),
                    });
                }
                Some(Source::Sheet {
                    spreadsheet: text,
                    tab: self.tab,
                    range: self.range,
                    header_row: self.header_row.unwrap_or(1),
                    refresh: self.refresh,
                })
            }
            _ => Some(Source::Sql { query: text }),
        }
    }

    fn check_companions(&self, kind: &str, diagnostics: &mut Diagnostics) {
        for (key, span) in &self.companions {
            let kinds = COMPANIONS
                .iter()
                .find(|(companion, _)| companion == key)
                .map_or(&[][..], |(_, kinds)| kinds);
            if !kinds.contains(&kind) {
                let kinds: Vec<_> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
                let (message, help) = if key == "ingest" {
                    (
                        format!("a `{kind}` table can't take events"),
                        "events are committed to a Delta table: declare it with `delta = \"...\"`, or remove `ingest`".to_owned(),
                    )
                } else {
                    (
                        format!("`{key}` means nothing for a `{kind}` table"),
                        format!("it belongs to {}", kinds.join(", ")),
                    )
                };
                diagnostics
                    .push(Diagnostic::new(Code::KeyOfOtherSource, *span, message).help(help));
            }
        }
    }

    /// Every key that this module takes, for suggestions.
    pub(crate) fn keys() -> impl Iterator<Item = &'static str> + Clone {
        let companions = COMPANIONS.iter().map(|(key, _)| *key);
        SOURCES.iter().copied().chain(companions)
    }
}

const SCHEMES: &[&str] = &[
    "s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl", "file", "http", "https",
    "memory",
];

fn check_uri(kind: &str, uri: &str, span: SpanRange) -> Result<(), Box<Diagnostic>> {
    let wrong = |message: String| Diagnostic::new(Code::Uri, span, message);
    if uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Box::new(
            wrong(format!("the address of `{kind}` holds white space"))
                .help("encode a blank as `%20`"),
        ));
    }
    if uri.contains('*') {
        return Err(Box::new(
            wrong(format!("the address of `{kind}` holds a `*`"))
                .help("name the root folder; every file below it belongs to the table"),
        ));
    }
    if uri.contains('?') || uri.contains('#') {
        return Err(Box::new(
            wrong(format!(
                "the address of `{kind}` holds options behind `?` or `#`"
            ))
            .help("configure them for a store, and name it: `store = \"...\"`"),
        ));
    }
    if let Some((scheme, rest)) = uri.split_once("://") {
        if !SCHEMES.contains(&scheme) {
            return Err(Box::new(
                wrong(format!("unknown scheme `{scheme}`"))
                    .expected_one_of(scheme, SCHEMES.iter().copied()),
            ));
        }
        // `file:///path`: the host is empty, the path is not.
        if rest.is_empty() || (scheme != "file" && rest.starts_with('/')) {
            return Err(Box::new(
                wrong(format!("the address of `{kind}` names no bucket or host"))
                    .help(format!("write `{scheme}://bucket/path`")),
            ));
        }
    }
    Ok(())
}

fn check_relation(relation: &str, span: SpanRange) -> Result<(), Box<Diagnostic>> {
    let parts: Vec<_> = relation.split('.').collect();
    let plain = parts.len() == 2
        && parts.iter().all(|part| {
            !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "/:;'\"".contains(c))
        });
    if plain {
        return Ok(());
    }
    Err(Box::new(
        Diagnostic::new(
            Code::Relation,
            span,
            "expected a schema and a name, as in `public.animals`",
        )
        .help("the connection is named by `store`"),
    ))
}

fn is_spreadsheet_id(text: &str) -> bool {
    text.len() >= 10
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The value as a length of time: digits and one of `ms`, `s`, `m`, `h`, `d`.
pub(crate) fn duration(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<String> {
    let (text, span) = argument.string(diagnostics)?;
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let number = digits.parse::<u32>().unwrap_or(0);
    if number > 0 && matches!(unit, "ms" | "s" | "m" | "h" | "d") {
        return Some(text);
    }
    diagnostics.push(
        Diagnostic::new(
            Code::Duration,
            span,
            format!("`{}` is a length of time, found `{text}`", argument.key),
        )
        .help("write a whole number and a unit: `500ms`, `2s`, `15m`, `24h`, `7d`"),
    );
    None
}
