//! Doc comments as the attributes they mean, before anything else reads them.
//!
//! `proc_macro2` turns each line of a doc comment into five tokens with an escaped literal, which
//! `syn` reads and unescapes again: half of the cost of a file of declarations. One attribute with a
//! raw literal for all lines of a comment means the same and costs a fraction. It spans as many
//! lines, so that every other token stays at its place.

/// Source whose doc comments are attributes.
pub(super) struct Rewritten {
    pub(super) text: String,
    /// Of each comment: the line where it begins, and the column behind the end of that line. Both
    /// count from 1, sorted.
    pub(super) ends: Vec<(u32, u32)>,
}

/// Rewrites the `///` comments that stand alone on their lines. Whatever is out of the ordinary
/// stays as it is; `None` where nothing would change.
pub(super) fn rewrite(source: &str) -> Option<Rewritten> {
    if !source.contains("///") || (source.starts_with("#!") && !source.starts_with("#![")) {
        return None;
    }
    let bytes = source.as_bytes();
    let mut rewritten = Rewritten {
        text: String::with_capacity(source.len() + source.len() / 8),
        ends: Vec::new(),
    };
    let (mut at, mut copied) = (0, 0);
    let mut lines = Lines {
        source,
        at: 0,
        number: 1,
    };
    let is_mark = |byte: &u8| matches!(byte, b'/' | b'"' | b'\'');
    while let Some(passed) = bytes[at..].iter().position(is_mark) {
        at += passed;
        at = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => {
                let end = if is_first(source, at) {
                    comment_end(source, at)
                } else {
                    at
                };
                match hashes(&source[at..end]) {
                    Some(hashes) if end > at => {
                        let text = &mut rewritten.text;
                        text.push_str(&source[copied..at]);
                        text.push_str("#[doc=r");
                        text.push_str(hashes);
                        text.push('"');
                        for (index, line) in source[at..end].split('\n').enumerate() {
                            if index > 0 {
                                text.push('\n');
                            }
                            text.push_str(line.trim_start_matches([' ', '\t']).get(3..)?);
                        }
                        text.push('"');
                        text.push_str(hashes);
                        text.push(']');
                        rewritten.ends.push(lines.end_of_line_at(at));
                        copied = end;
                        end
                    }
                    _ => line_end(source, end),
                }
            }
            b'/' if bytes[at..].starts_with(b"/*") => block_comment(bytes, at)?,
            b'"' => string(bytes, at)?,
            b'\'' => quote(source, at)?,
            _ => at + 1,
        };
    }
    if rewritten.ends.is_empty() {
        return None;
    }
    rewritten.text.push_str(&source[copied..]);
    Some(rewritten)
}

/// Whether only white space stands before `at` on its line.
fn is_first(source: &str, at: usize) -> bool {
    let before = source[..at].trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with('\n')
}

/// End of the last line of the doc comment at `at`; `at` where there is none.
fn comment_end(source: &str, at: usize) -> usize {
    let mut end = at;
    let mut rest = &source[at..];
    while rest.starts_with("///") && !rest.starts_with("////") {
        end = line_end(source, source.len() - rest.len());
        rest = source
            .get(end + 1..)
            .unwrap_or_default()
            .trim_start_matches([' ', '\t']);
    }
    end
}

/// The hashes that a raw literal of the comment needs.
fn hashes(comment: &str) -> Option<&'static str> {
    if comment.contains('\r') {
        // It means something else in a literal.
        None
    } else if !comment.contains('"') {
        Some("")
    } else if !comment.contains("\"#") {
        Some("#")
    } else {
        None
    }
}

fn line_end(source: &str, at: usize) -> usize {
    source[at..]
        .find('\n')
        .map_or(source.len(), |length| at + length)
}

/// End of a block comment, which may hold others; documentation in one isn't worth rewriting.
fn block_comment(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at..at + 2)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return Some(at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
}

/// End of the string whose opening quote is at `at`.
fn string(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[..at]
        .iter()
        .rev()
        .take_while(|byte| **byte == b'#')
        .count();
    let before = &bytes[..at - hashes];
    let word = word_before(before);
    match word {
        b"r" | b"br" | b"cr" if !before[..before.len() - word.len()].ends_with(b"'") => {
            let is_close = |at: &usize| {
                let rest = &bytes[at + 1..];
                rest.len() >= hashes && rest[..hashes].iter().all(|byte| *byte == b'#')
            };
            let mut quotes = (at + 1..bytes.len()).filter(|at| bytes[*at] == b'"');
            return Some(quotes.find(is_close)? + 1 + hashes);
        }
        // White space of other scripts may be part of it.
        [.., b'r'] if !word.is_ascii() => return None,
        _ => {}
    }
    let mut at = at;
    loop {
        at += 1;
        match bytes.get(at)? {
            b'\\' => at += 1,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
}

/// End of the character literal at `at`, or of the quote of a lifetime.
fn quote(source: &str, at: usize) -> Option<usize> {
    let mut rest = source[at + 1..].chars();
    match rest.next()? {
        '\\' => {
            rest.next()?;
            let close = rest.as_str().find('\'')?;
            Some(source.len() - rest.as_str().len() + close + 1)
        }
        _ if rest.as_str().starts_with('\'') => Some(source.len() - rest.as_str().len() + 1),
        _ => Some(at + 1),
    }
}

/// The name or number at the end of `bytes`.
fn word_before(bytes: &[u8]) -> &[u8] {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let length = bytes.iter().rev().take_while(|byte| is_word(byte)).count();
    &bytes[bytes.len() - length..]
}

/// Counts lines on the way through a text.
struct Lines<'s> {
    source: &'s str,
    at: usize,
    number: u32,
}

impl Lines<'_> {
    /// Number of the line that holds `at`, and the column behind its end.
    fn end_of_line_at(&mut self, at: usize) -> (u32, u32) {
        self.number += self.source[self.at..at].matches('\n').count() as u32;
        self.at = at;
        let start = self.source[..at]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line = &self.source[start..line_end(self.source, at)];
        let length = if line.is_ascii() {
            line.len()
        } else {
            line.chars().count()
        };
        (self.number, length as u32 + 1)
    }
}
