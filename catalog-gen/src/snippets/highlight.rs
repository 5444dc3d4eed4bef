//! Colours for the few languages that snippets are written in: one pass over the code, only as
//! clever as code from templates needs.

/// Languages that a template can name.
pub(super) const LANGUAGES: &[&str] =
    &["bash", "json", "python", "r", "rust", "sql", "text", "toml"];

/// The code as HTML with `<i>` of the classes `k`, `s`, `c`, `n` and `f`.
pub(super) fn highlight(code: &str, language: &str) -> String {
    let mut out = String::with_capacity(code.len() * 5 / 2);
    match Grammar::of(language) {
        Some(grammar) => grammar.highlight(code, &mut out),
        None => escape(code, &mut out),
    }
    out
}

struct Grammar {
    language: Language,
    keywords: &'static [&'static str],
    line_comment: &'static str,
    block_comments: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Bash,
    Json,
    Python,
    R,
    Rust,
    Sql,
    Toml,
}

impl Grammar {
    fn of(language: &str) -> Option<Self> {
        let (language, keywords, line_comment) = match language {
            "bash" => (Language::Bash, BASH, "#"),
            "json" => (Language::Json, JSON, "//"),
            "python" => (Language::Python, PYTHON, "#"),
            "r" => (Language::R, R, "#"),
            "rust" => (Language::Rust, RUST, "//"),
            "sql" => (Language::Sql, SQL, "--"),
            "toml" => (Language::Toml, TOML, "#"),
            _ => return None,
        };
        Some(Self {
            language,
            keywords,
            line_comment,
            block_comments: matches!(language, Language::Rust | Language::Sql),
        })
    }

    fn highlight(&self, code: &str, out: &mut String) {
        let bytes = code.as_bytes();
        let (mut at, mut plain) = (0, 0);
        while at < bytes.len() {
            match KINDS[usize::from(bytes[at])] {
                Kind::Plain => at += 1,
                Kind::Entity => {
                    out.push_str(&code[plain..at]);
                    out.push_str(entity(bytes[at]));
                    at += 1;
                    plain = at;
                }
                Kind::Newline => {
                    if self.language == Language::Bash
                        && let Some((body, grammar)) = heredoc(code, at)
                    {
                        out.push_str(&code[plain..body.start]);
                        grammar.highlight(&code[body.clone()], out);
                        (at, plain) = (body.end, body.end);
                    } else {
                        at += 1;
                    }
                }
                Kind::Token => {
                    let (class, end) = self.token(code, at);
                    if let Some(class) = class {
                        out.push_str(&code[plain..at]);
                        out.push_str(match class {
                            'k' => "<i class=k>",
                            's' => "<i class=s>",
                            'c' => "<i class=c>",
                            'n' => "<i class=n>",
                            _ => "<i class=f>",
                        });
                        escape(&code[at..end], out);
                        out.push_str("</i>");
                        plain = end;
                    } else if is_quote(bytes[at]) || bytes.get(at + 1).is_some_and(|b| is_quote(*b))
                    {
                        out.push_str(&code[plain..at]);
                        escape(&code[at..end], out);
                        plain = end;
                    }
                    at = end;
                }
            }
        }
        out.push_str(&code[plain..]);
    }

    /// Class and end of the token at `at`, which is a character boundary, as the end is.
    fn token(&self, code: &str, at: usize) -> (Option<char>, usize) {
        let bytes = code.as_bytes();
        let rest = &code[at..];
        let byte = bytes[at];
        if byte == self.line_comment.as_bytes()[0]
            && rest.starts_with(self.line_comment)
            && (self.language != Language::Bash || at == 0 || bytes[at - 1].is_ascii_whitespace())
        {
            return (Some('c'), at + rest.find('\n').unwrap_or(rest.len()));
        }
        if byte == b'/' && self.block_comments && rest.starts_with("/*") {
            return (
                Some('c'),
                at + rest.find("*/").map_or(rest.len(), |end| end + 2),
            );
        }
        // A string begins with a quote or with a letter before one.
        let next = bytes.get(at + 1).copied().unwrap_or_default();
        if (is_quote(byte) || (is_word(byte) && (is_quote(next) || next == b'#')))
            && let Some(end) = self.string(rest)
        {
            // A quoted name of SQL is a name.
            let class = (self.language != Language::Sql || byte == b'\'').then_some('s');
            return (class, at + end);
        }
        if byte.is_ascii_digit() {
            return (Some('n'), at + number(rest));
        }
        if !is_word(byte) {
            return (None, at + 1);
        }
        let length = rest.bytes().position(|byte| !WORDS[usize::from(byte)]);
        let end = at + length.unwrap_or(rest.len());
        let word = &code[at..end];
        let class = if self.is_keyword(word) {
            Some('k')
        } else if self.is_call(&code[end..]) {
            Some('f')
        } else {
            None
        };
        (class, end)
    }

    fn is_keyword(&self, word: &str) -> bool {
        let first = word.as_bytes()[0];
        if self.language == Language::Sql && first.is_ascii_uppercase() {
            return SQL.iter().any(|keyword| keyword.eq_ignore_ascii_case(word));
        }
        // Sorted, and most words begin like few keywords or none.
        self.keywords
            .iter()
            .skip_while(|keyword| keyword.as_bytes()[0] < first)
            .take_while(|keyword| keyword.as_bytes()[0] == first)
            .any(|keyword| *keyword == word)
    }

    fn is_call(&self, rest: &str) -> bool {
        match self.language {
            Language::Bash | Language::Json | Language::Toml => false,
            Language::Rust => rest.starts_with(['(', '!']) || rest.starts_with("::<"),
            _ => rest.starts_with('('),
        }
    }

    /// Length of the string literal that begins `rest`.
    fn string(&self, rest: &str) -> Option<usize> {
        let bytes = rest.as_bytes();
        let prefix = match (self.language, bytes) {
            (Language::Python, [b'r' | b'b' | b'f' | b'R' | b'B' | b'F', b'"' | b'\'', ..])
            | (Language::Rust, [b'b', b'"', ..])
            | (Language::Sql, [b'x' | b'X', b'\'', ..]) => 1,
            (Language::R | Language::Rust, [b'r' | b'R', b'"' | b'#', ..]) => return raw(rest),
            _ => 0,
        };
        let quote = *bytes.get(prefix)?;
        let opens = match self.language {
            Language::Rust => quote == b'"',
            _ => quote == b'"' || quote == b'\'',
        };
        if !opens {
            return None;
        }
        let triple = [quote; 3];
        if self.language == Language::Python && bytes[prefix..].starts_with(&triple) {
            let body = &rest[prefix + 3..];
            let close = std::str::from_utf8(&triple).ok()?;
            return Some(
                body.find(close)
                    .map_or(rest.len(), |end| prefix + 3 + end + 3),
            );
        }
        // A doubled quote of SQL reads as two literals that touch.
        let escapes =
            self.language != Language::Sql && !(self.language == Language::Bash && quote == b'\'');
        let mut at = prefix + 1;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' if escapes => at += 1,
                byte if byte == quote => return Some(at + 1),
                _ => {}
            }
            at += 1;
        }
        Some(rest.len())
    }
}

/// Length of `r#"..."#` or `r"-(...)-"`.
fn raw(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let dashes = body.bytes().take_while(|byte| *byte == b'-').count();
    let close = if body[dashes..].starts_with('(') {
        format!("){}\"", &body[..dashes])
    } else {
        format!("\"{}", &rest[1..=hashes])
    };
    let start = rest.len() - body.len();
    Some(
        body.find(&close)
            .map_or(rest.len(), |end| start + end + close.len()),
    )
}

fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        let is_fraction = byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        let is_sign = matches!(byte, b'+' | b'-') && matches!(bytes[at - 1], b'e' | b'E');
        if !(byte.is_ascii_alphanumeric() || byte == b'_' || is_fraction || is_sign) {
            break;
        }
        at += 1;
    }
    at
}

/// The lines of a here document whose first line ends at `at`. Its delimiter names the language.
fn heredoc(code: &str, at: usize) -> Option<(std::ops::Range<usize>, Grammar)> {
    let line = &code[code[..at].rfind('\n').map_or(0, |newline| newline + 1)..at];
    let (_, delimiter) = line.split_once("<<'")?;
    let delimiter = delimiter.strip_suffix('\'')?;
    let end = code[at..].find(&format!("\n{delimiter}"))?;
    let language = delimiter.trim_end_matches('_').to_lowercase();
    Some((at..at + end, Grammar::of(&language)?))
}

fn is_quote(byte: u8) -> bool {
    byte == b'"' || byte == b'\''
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn escape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|byte| matches!(byte, b'&' | b'<' | b'>'))
    {
        out.push_str(&rest[..at]);
        out.push_str(entity(rest.as_bytes()[at]));
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

fn entity(byte: u8) -> &'static str {
    match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        _ => "&gt;",
    }
}

/// What a byte outside of tokens means: most bytes are passed over with one look.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Entity,
    Newline,
    /// It may begin a token.
    Token,
}

const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'\n' => Kind::Newline,
            b'&' | b'<' | b'>' => Kind::Entity,
            b'"' | b'\'' | b'#' | b'-' | b'/' => Kind::Token,
            byte if is_word(byte) => Kind::Token,
            _ => Kind::Plain,
        };
        byte += 1;
    }
    kinds
};

/// [`is_word`] as a table.
const WORDS: [bool; 256] = {
    let mut words = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        words[byte] = is_word(byte as u8);
        byte += 1;
    }
    words
};

const BASH: &[&str] = &[
    "case", "curl", "do", "done", "elif", "else", "esac", "export", "fi", "for", "function", "if",
    "in", "psql", "then", "while",
];
const JSON: &[&str] = &["false", "null", "true"];
const PYTHON: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];
const R: &[&str] = &[
    "FALSE", "NA", "NULL", "TRUE", "break", "else", "for", "function", "if", "in", "next",
    "repeat", "return", "while",
];
const RUST: &[&str] = &[
    "as", "async", "await", "const", "crate", "else", "enum", "false", "fn", "for", "if", "impl",
    "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while",
];
const SQL: &[&str] = &[
    "all",
    "and",
    "array",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "create",
    "date",
    "desc",
    "distinct",
    "else",
    "end",
    "exists",
    "false",
    "from",
    "group",
    "having",
    "in",
    "inner",
    "is",
    "join",
    "left",
    "like",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "replace",
    "right",
    "secret",
    "select",
    "then",
    "timestamptz",
    "true",
    "union",
    "using",
    "values",
    "when",
    "where",
    "with",
];
const TOML: &[&str] = &["false", "true"];
