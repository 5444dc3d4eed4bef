//! A statement without its values, for logs.

use neurolake_query::datafusion::sql::sqlparser::dialect::GenericDialect;
use neurolake_query::datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Bytes of a statement that a line of the log shows.
const LONGEST: usize = 500;

/// The statement with `?` in place of every literal, and without comments.
pub(crate) fn without_literals(sql: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else {
        return "(unreadable)".to_owned();
    };
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Whitespace(_) => {
                if !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            Token::Word(_) | Token::Placeholder(_) => text.push_str(&token.to_string()),
            other => {
                let written = other.to_string();
                let is_literal = written
                    .chars()
                    .any(|c| c.is_alphanumeric() || matches!(c, '\'' | '"' | '`'));
                text.push_str(if is_literal { "?" } else { &written });
            }
        }
        if text.len() > LONGEST {
            text.truncate(text.floor_char_boundary(LONGEST));
            text.push_str("...");
            break;
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_left() {
        for (sql, shown) in [
            (
                "select * from a.b where name = 'Ada' and x in (1, 2.5) -- Ada\n limit 3",
                "select * from a.b where name = ? and x in (?, ?) limit ?",
            ),
            ("select $1, x'ff', $$Ada$$, e'Ada'", "select $1, ?, ?, ?"),
            ("select 'Ada", "(unreadable)"),
        ] {
            assert_eq!(without_literals(sql), shown);
        }
    }
}
