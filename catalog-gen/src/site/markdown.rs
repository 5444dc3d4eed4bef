//! Documentation: Markdown into HTML and into the Markdown twin of a page.

use std::borrow::Cow;
use std::fmt::Write as _;

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html};

use super::html::{escape, escaped, percent_encode, table_address};

/// Answers whether a table has a page.
pub(crate) trait Tables {
    /// `database.table` is on the site.
    fn has_page(&self, database: &str, table: &str) -> bool;
}

/// Where a text stands, so that its links lead to the right place.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The tables of the site.
    pub(crate) tables: &'a dyn Tables,
    /// From the page to the top folder: empty or `../`.
    pub(crate) root: &'a str,
}

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH
}

/// Most column comments are one plain sentence; parsing them would be half of the cost of a page.
fn is_plain(text: &str) -> bool {
    let special = |byte: u8| {
        matches!(
            byte,
            b'`' | b'*'
                | b'_'
                | b'['
                | b']'
                | b'<'
                | b'>'
                | b'&'
                | b'\\'
                | b'#'
                | b'~'
                | b'|'
                | b'\n'
        )
    };
    text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && !text.bytes().any(special)
}

/// Renders a text. Its headings start at level `top` and skip none, whatever the author began with;
/// with 0 they become bold paragraphs. Raw HTML is dropped; a picture becomes a link, because a page
/// makes no request to other hosts.
pub(crate) fn to_html(text: &str, top: usize, place: Place<'_>) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4 + 16);
    if is_plain(text) {
        let _ = writeln!(out, "<p>{}</p>", escaped(text));
        return out;
    }
    html::push_html(&mut out, events(text, top, place).into_iter());
    out
}

/// Renders a text; without the paragraph around it if there is only one.
pub(crate) fn to_inline_html(text: &str, place: Place<'_>) -> String {
    if is_plain(text) {
        return escaped(text);
    }
    let out = to_html(text, 0, place);
    let inner = out
        .strip_prefix("<p>")
        .and_then(|rest| rest.trim_end().strip_suffix("</p>"))
        .filter(|inner| !inner.contains("<p>"));
    match inner {
        Some(inner) => inner.to_owned(),
        None => out,
    }
}

fn events<'t>(text: &'t str, top: usize, place: Place<'_>) -> Vec<Event<'t>> {
    let mut events = Vec::new();
    // Whether each open link or picture is shown as a link.
    let mut links: Vec<bool> = Vec::new();
    let mut headings = Headings::below(top);
    let mut html_blocks = 0_u32;
    for event in Parser::new_ext(text, options()) {
        match event {
            Event::Html(_) | Event::InlineHtml(_) => {}
            Event::Start(Tag::HtmlBlock) => html_blocks += 1,
            Event::End(TagEnd::HtmlBlock) => html_blocks -= 1,
            _ if html_blocks > 0 => {}
            Event::Start(Tag::Heading { level, .. }) => {
                let level = headings.enter(level);
                events.push(Event::Html(format!("<{level}>").into()));
            }
            Event::End(TagEnd::Heading(_)) => {
                events.push(Event::Html(format!("</{}>\n", headings.last()).into()));
            }
            Event::Start(
                Tag::Link {
                    link_type,
                    dest_url,
                    title,
                    ..
                }
                | Tag::Image {
                    link_type,
                    dest_url,
                    title,
                    ..
                },
            ) => {
                let destination =
                    destination(&dest_url, link_type, place).filter(|_| !links.contains(&true));
                links.push(destination.is_some());
                if let Some(destination) = destination {
                    events.push(Event::Start(Tag::Link {
                        link_type,
                        dest_url: destination.into(),
                        title,
                        id: CowStr::Borrowed(""),
                    }));
                }
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if links.pop() == Some(true) {
                    events.push(Event::End(TagEnd::Link));
                }
            }
            // What may scroll must be reachable by keyboard.
            Event::Start(Tag::CodeBlock(_)) => {
                events.push(Event::Html("<pre tabindex=\"0\"><code>".into()));
            }
            Event::End(TagEnd::CodeBlock) => events.push(Event::Html("</code></pre>\n".into())),
            Event::Start(Tag::Table(alignment)) => {
                events.push(Event::Html(
                    "<div class=\"scroll\" role=\"group\" aria-label=\"Table\" tabindex=\"0\">"
                        .into(),
                ));
                events.push(Event::Start(Tag::Table(alignment)));
            }
            Event::End(TagEnd::Table) => {
                events.push(Event::End(TagEnd::Table));
                events.push(Event::Html("</div>\n".into()));
            }
            other => events.push(other),
        }
    }
    events
}

/// Keeps the outline of a page valid: levels of the author's headings into levels of the page.
struct Headings {
    top: usize,
    /// Author's levels of the headings that are open, outermost first.
    open: Vec<HeadingLevel>,
}

impl Headings {
    fn below(top: usize) -> Self {
        Self {
            top,
            open: Vec::new(),
        }
    }

    fn enter(&mut self, level: HeadingLevel) -> &'static str {
        self.open.retain(|open| *open < level);
        self.open.push(level);
        self.last()
    }

    /// Element of the heading entered last.
    fn last(&self) -> &'static str {
        const ELEMENTS: [&str; 5] = ["h2", "h3", "h4", "h5", "h6"];
        if self.top == 0 {
            return "p";
        }
        ELEMENTS[(self.top - 2 + self.open.len().saturating_sub(1)).min(4)]
    }
}

/// Where a link of a text leads; `None` where it must not lead anywhere.
fn destination(url: &str, kind: LinkType, place: Place<'_>) -> Option<String> {
    if kind == LinkType::Email {
        return Some(url.to_owned());
    }
    if let Some(target) = url.strip_prefix("table:") {
        return table_destination(target, "html", place);
    }
    let scheme = url
        .find(':')
        .filter(|colon| !url[..*colon].contains(['/', '?', '#']));
    match scheme {
        None => Some(url.to_owned()),
        Some(colon) => ["http", "https", "mailto"]
            .iter()
            .any(|allowed| url[..colon].eq_ignore_ascii_case(allowed))
            .then(|| url.to_owned()),
    }
}

/// `target` is `database.table` or `database.table#column`.
fn table_destination(target: &str, extension: &str, place: Place<'_>) -> Option<String> {
    let (name, column) = match target.split_once('#') {
        Some((name, column)) => (name, Some(column)),
        None => (target, None),
    };
    let (database, table) = name.split_once('.')?;
    if !place.tables.has_page(database, table) {
        return None;
    }
    let mut address = table_address(place.root, database, table, extension);
    if let Some(column) = column.filter(|_| extension == "html") {
        address.push_str("#c-");
        percent_encode(&mut address, column);
    }
    Some(address)
}

/// The text with its links to tables leading to Markdown twins.
pub(crate) fn to_twin<'t>(text: &'t str, place: Place<'_>) -> Cow<'t, str> {
    if !text.contains("](table:") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("](table:") {
        let target_at = at + "](table:".len();
        let Some(length) = rest[target_at..].find(')') else {
            break;
        };
        out.push_str(&rest[..at + 2]);
        let target = &rest[target_at..target_at + length];
        match table_destination(target, "md", place) {
            Some(address) => out.push_str(&address),
            None => out.push_str(target),
        }
        rest = &rest[target_at + length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Plain text of a text's first paragraph, at most `limit` characters.
pub(crate) fn summary_text(docs: &str, limit: usize) -> String {
    shorten(docs, limit, |out, text, _| out.push_str(text))
}

/// First paragraph as HTML without links or emphasis, at most `limit` characters of text.
pub(crate) fn summary_html(docs: &str, limit: usize) -> String {
    shorten(docs, limit, |out, text, is_code| {
        if is_code {
            out.push_str("<code>");
            escape(out, text);
            out.push_str("</code>");
        } else {
            escape(out, text);
        }
    })
}

fn shorten(docs: &str, limit: usize, mut push: impl FnMut(&mut String, &str, bool)) -> String {
    let summary = neurolake_model::catalog::summary(docs);
    let mut out = String::with_capacity(summary.len());
    let mut left = limit;
    for event in Parser::new_ext(&summary, options()) {
        let (text, is_code) = match &event {
            Event::Text(text) => (text.as_ref(), false),
            Event::Code(text) => (text.as_ref(), true),
            Event::SoftBreak | Event::HardBreak => (" ", false),
            _ => continue,
        };
        let length = text.chars().count();
        if length <= left {
            push(&mut out, text, is_code);
            left -= length;
            continue;
        }
        let cut = text
            .char_indices()
            .nth(left)
            .map_or(text.len(), |(index, _)| index);
        let cut = text[..cut]
            .rfind(' ')
            .unwrap_or(if is_code { 0 } else { cut });
        push(
            &mut out,
            text[..cut].trim_end_matches([' ', ',', ';', ':']),
            is_code,
        );
        out.push('…');
        break;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Only(&'static str, &'static str);

    impl Tables for Only {
        fn has_page(&self, database: &str, table: &str) -> bool {
            (database, table) == (self.0, self.1)
        }
    }

    const TABLES: Only = Only("neural", "spikes");

    fn html(text: &str) -> String {
        to_html(
            text,
            2,
            Place {
                tables: &TABLES,
                root: "../",
            },
        )
    }

    #[test]
    fn links_to_tables_and_columns_lead_to_pages() {
        assert_eq!(
            html("[`Spikes`](table:neural.spikes#a.b)").trim(),
            r#"<p><a href="../neural/spikes.html#c-a.b"><code>Spikes</code></a></p>"#
        );
        assert_eq!(html("[gone](table:neural.gone)").trim(), "<p>gone</p>");
    }

    #[test]
    fn nothing_in_a_comment_can_run_or_load() {
        for text in [
            "a <script>alert(1)</script> b",
            "<div onclick=x>\n\nhello\n\n</div>",
            "[x](javascript:alert(1))",
            "[x]( JaVaScRiPt:alert(1))",
            "<javascript:alert(1)>",
            "[x](data:text/html,y)",
            "![x](https://example.org/pixel.png)",
            "[![x](https://example.org/a.png)](https://example.org/)",
        ] {
            let html = html(text);
            for forbidden in [
                "<script",
                "onclick",
                "\"javascript:",
                "\"data:",
                "<img",
                "<div",
            ] {
                assert!(
                    !html.to_lowercase().contains(forbidden),
                    "{text} gave {html}"
                );
            }
            assert!(html.matches("<a ").count() <= 1, "{text} gave {html}");
        }
    }

    #[test]
    fn headings_stay_below_those_of_the_page_and_skip_no_level() {
        assert_eq!(
            html("## A\n\n##### B\n\n### C\n\n# D"),
            "<h2>A</h2>\n<h3>B</h3>\n<h3>C</h3>\n<h2>D</h2>\n"
        );
    }

    #[test]
    fn twins_link_to_twins() {
        let place = Place {
            tables: &TABLES,
            root: "../",
        };
        assert_eq!(
            to_twin(
                "see [`S`](table:neural.spikes#ts), [x](https://example.org).",
                place
            ),
            "see [`S`](../neural/spikes.md), [x](https://example.org)."
        );
    }

    #[test]
    fn summaries_are_cut_between_words() {
        assert_eq!(
            summary_html("One `a<b` two three", 12),
            "One <code>a&lt;b</code> two…"
        );
        assert_eq!(
            summary_text("[One](x) *two*\nthree\n\nfour", 99),
            "One two three"
        );
    }
}
