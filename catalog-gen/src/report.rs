//! Shows findings: to people as the compiler does, to programs as JSON, to GitHub as annotations.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use neurolake_declare::diagnostic::Severity;
use neurolake_declare::secret;
use serde_json::json;

use crate::reader::{Finding, Place};

/// Renders findings; keeps the files that they point into.
pub struct Reporter {
    root: PathBuf,
    colors: bool,
    files: HashMap<String, Option<String>>,
}

/// Longer lines are generated; an excerpt of one helps nobody.
const MAX_EXCERPT_LINE: usize = 500;

impl Reporter {
    /// For findings in a workspace.
    pub fn new(root: &Path, colors: bool) -> Self {
        Self {
            root: root.to_owned(),
            colors,
            files: HashMap::new(),
        }
    }

    /// The finding as the compiler would show it.
    pub fn human(&mut self, finding: &Finding) -> String {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        for place in finding
            .place
            .iter()
            .chain(finding.related.iter().map(|(p, _)| p))
        {
            self.load(&place.file);
        }
        let code = finding.code.to_string();
        let mut group = Group::with_title(level.primary_title(&finding.message).id(&code));
        if let Some(place) = &finding.place {
            match self.excerpt(place) {
                Some((source, span)) => {
                    let mut snippet = Snippet::source(source)
                        .path(&*place.file)
                        .annotation(AnnotationKind::Primary.span(span));
                    for (other, label) in &finding.related {
                        if other.file == place.file
                            && let Some((_, span)) = self.excerpt(other)
                        {
                            let context = AnnotationKind::Context.span(span);
                            snippet = snippet.annotation(context.label(label));
                        }
                    }
                    group = group.element(snippet);
                }
                None => {
                    group = group.element(
                        Origin::path(&*place.file)
                            .line(place.line as usize)
                            .char_column(place.column as usize),
                    );
                }
            }
            for (other, label) in &finding.related {
                if other.file == place.file {
                    continue;
                }
                if let Some((source, span)) = self.excerpt(other) {
                    let context = AnnotationKind::Context.span(span);
                    let snippet = Snippet::source(source)
                        .path(&*other.file)
                        .annotation(context.label(label));
                    group = group.element(snippet);
                }
            }
        }
        for help in &finding.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if self.colors {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }

    fn load(&mut self, file: &str) {
        if !self.files.contains_key(file) {
            // An excerpt may print a credential, in the lines around the finding too.
            let path = self.root.join(file);
            let is_source = std::fs::metadata(&path)
                .is_ok_and(|metadata| metadata.len() <= crate::reader::scan::MAX_FILE_BYTES);
            let text = is_source
                .then(|| std::fs::read_to_string(&path).ok())
                .flatten()
                .filter(|text| secret::find(text).is_none());
            self.files.insert(file.to_owned(), text);
        }
    }

    /// The file's text and the byte range of a place in it.
    fn excerpt(&self, place: &Place) -> Option<(&str, std::ops::Range<usize>)> {
        let text = self.files.get(&*place.file)?.as_deref()?;
        let start = offset(text, place.line, place.column)?;
        let end = offset(text, place.end_line, place.end_column)?.max(start);
        let line = text[start..].lines().next().unwrap_or_default();
        (line.len() <= MAX_EXCERPT_LINE).then_some((text, start..end))
    }
}

/// Byte offset of a line and column, both from 1.
fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let mut start = 0;
    for _ in 1..line {
        start += text[start..].find('\n')? + 1;
    }
    let rest = text[start..].lines().next().unwrap_or_default();
    let within = rest
        .char_indices()
        .nth(column as usize - 1)
        .map_or(rest.len(), |(at, _)| at);
    Some(start + within)
}

/// The finding as one line of JSON.
pub fn json(finding: &Finding) -> serde_json::Value {
    let place = |place: &Place| {
        json!({
            "file": &*place.file,
            "line": place.line,
            "column": place.column,
            "end_line": place.end_line,
            "end_column": place.end_column,
        })
    };
    json!({
        "code": finding.code.to_string(),
        "severity": severity(finding.severity),
        "message": finding.message,
        "place": finding.place.as_ref().map(place),
        "related": finding.related.iter().map(|(other, label)| {
            json!({ "place": place(other), "label": label })
        }).collect::<Vec<_>>(),
        "help": finding.help,
        "replacement": finding.replacement,
    })
}

/// The finding as a workflow command of GitHub Actions.
pub fn github(finding: &Finding) -> String {
    let escape = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let mut text = finding.message.clone();
    for help in &finding.help {
        text.push_str("\nhelp: ");
        text.push_str(help);
    }
    let place = match &finding.place {
        Some(place) => format!(
            "file={},line={},col={},endLine={},endColumn={},",
            property(&place.file),
            place.line,
            place.column,
            place.end_line,
            place.end_column,
        ),
        None => String::new(),
    };
    format!(
        "::{level} {place}title={}::{}",
        property(&finding.code.to_string()),
        escape(&text)
    )
}

/// The word for a severity.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
