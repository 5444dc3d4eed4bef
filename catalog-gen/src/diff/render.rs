//! A difference as text for people: in a terminal and on a pull request.

use std::fmt::Write as _;

use super::{CatalogDiff, Change, Detail};

impl CatalogDiff {
    /// The one line that says it all, such as `1 table added, 2 changed; 1 breaking change`.
    pub fn summary(&self) -> String {
        if self.changes.is_empty() {
            return "no changes".into();
        }
        let counts = [
            (self.added, "added"),
            (self.removed, "removed"),
            (self.changed, "changed"),
        ];
        let mut parts: Vec<String> = Vec::new();
        for (count, verb) in counts.into_iter().filter(|(count, _)| *count > 0) {
            parts.push(match (parts.is_empty(), count) {
                (true, 1) => format!("1 table {verb}"),
                (true, _) => format!("{count} tables {verb}"),
                (false, _) => format!("{count} {verb}"),
            });
        }
        if parts.is_empty() {
            parts.push("no table changed".into());
        }
        let breaking = self.changes.iter().filter(|change| change.breaking).count();
        let breaking = match breaking {
            0 => "nothing breaks".to_owned(),
            1 => "1 breaking change".to_owned(),
            count => format!("{count} breaking changes"),
        };
        format!("{}; {breaking}", parts.join(", "))
    }

    /// Breaking changes, other changes for readers, documentation.
    fn sections(&self) -> [(&'static str, Vec<&Change>); 3] {
        let select =
            |wanted: fn(&Change) -> bool| self.changes.iter().filter(|c| wanted(c)).collect();
        [
            ("Breaking", select(|c| c.breaking)),
            (
                "Compatible",
                select(|c| !c.breaking && !c.kind.is_documentation()),
            ),
            (
                "Documentation",
                select(|c| !c.breaking && c.kind.is_documentation()),
            ),
        ]
    }

    /// For a terminal, without colours.
    pub fn to_text(&self) -> String {
        let mut out = self.summary();
        out.push('\n');
        for (title, changes) in self.sections() {
            if changes.is_empty() {
                continue;
            }
            let _ = write!(out, "\n{title}\n");
            let mut last = None;
            for change in changes {
                if last != Some(&change.table) {
                    let _ = writeln!(out, "  {}", change.subject());
                    last = Some(&change.table);
                }
                let _ = write!(out, "    {}", change.message);
                if let Some(Detail { old, new }) = change.short_detail() {
                    let _ = write!(out, ": {} -> {}", or_none(old), or_none(new));
                }
                out.push('\n');
            }
        }
        out
    }

    /// A comment for a pull request.
    pub fn to_markdown(&self) -> String {
        let mut out = format!("**Catalog: {}**\n", self.summary());
        for (title, changes) in self.sections() {
            if changes.is_empty() {
                continue;
            }
            let folded = title == "Documentation";
            let _ = if folded {
                write!(
                    out,
                    "\n<details><summary>{title}: {}</summary>\n",
                    changes.len()
                )
            } else {
                write!(out, "\n### {title}\n")
            };
            out.push_str("\n| table | change | |\n| - | - | - |\n");
            let mut last = None;
            for change in changes {
                let subject = if last == Some(&change.table) {
                    String::new()
                } else {
                    code(change.subject())
                };
                last = Some(&change.table);
                let detail =
                    change
                        .short_detail()
                        .map_or_else(String::new, |Detail { old, new }| {
                            format!("{} → {}", code(or_none(old)), code(or_none(new)))
                        });
                let message = cell(&change.message);
                let _ = writeln!(out, "| {subject} | {message} | {detail} |");
            }
            if folded {
                out.push_str("\n</details>\n");
            }
        }
        out
    }
}

impl Change {
    fn subject(&self) -> &str {
        if self.table.is_empty() {
            "catalog"
        } else {
            &self.table
        }
    }

    /// Both sides where they fit on a line: a statement's are better read in the source.
    fn short_detail(&self) -> Option<&Detail> {
        let fits = |text: &str| text.len() <= 120 && !text.contains('\n');
        self.detail
            .as_ref()
            .filter(|detail| fits(&detail.old) && fits(&detail.new))
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A code span, in which nothing is markup and nobody is mentioned.
fn code(text: &str) -> String {
    format!("`{}`", cell(&text.replace('`', "'")))
}
