//! How deeply the text of a document is nested, before a parser that recurses is let near it.

/// Brackets inside of brackets: more than people and tools write, less than a stack holds.
pub(crate) const DEEPEST: usize = 64;

/// Whether brackets are nested deeper than [`DEEPEST`]. Brackets in strings and comments count for
/// nothing.
pub(crate) fn is_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        match letter {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
        rest = match letter {
            '#' => rest.find(['\n', '\r']).map_or("", |end| &rest[end..]),
            '"' => after_string(rest),
            _ => &rest[letter.len_utf8()..],
        };
    }
    false
}

/// What follows the string that the text begins with.
fn after_string(text: &str) -> &str {
    let quote = if text.starts_with("\"\"\"") {
        "\"\"\""
    } else {
        "\""
    };
    let mut rest = &text[quote.len()..];
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(quote) {
            return after;
        }
        let skipped = match letter {
            '\\' if quote == "\"" => rest.chars().take(2).map(char::len_utf8).sum(),
            '\\' if rest[1..].starts_with(quote) => 1 + quote.len(),
            // A string of one line ends there at the latest; the parser will say so.
            '\n' if quote == "\"" => return rest,
            _ => letter.len_utf8(),
        };
        rest = &rest[skipped..];
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_where_they_nest() {
        for (text, expected) in [
            ("{".repeat(64), false),
            ("{".repeat(65), true),
            ("[".repeat(65), true),
            ("{}".repeat(1000), false),
            (format!("# {}\n{{a}}", "{".repeat(100)), false),
            (format!("{{a(b: \"\\\"{}\")}}", "{".repeat(100)), false),
            (
                format!("{{a(b: \"\"\" \" \\\"\"\" {} \"\"\")}}", "{".repeat(100)),
                false,
            ),
            (format!("\"\" {}", "{".repeat(65)), true),
            (format!("\"\n{}", "{".repeat(65)), true),
            (format!("\"\"\"\"\"\" {}", "{".repeat(65)), true),
            (format!("\u{e9}{}", "(".repeat(65)), true),
            ("\"\\".to_owned(), false),
        ] {
            assert_eq!(is_too_deep(&text), expected, "{text}");
        }
    }
}
