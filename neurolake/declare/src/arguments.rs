//! The grammar of attribute arguments: `key = literal`, `key(element, ...)`, `key`.
//!
//! Arguments are split at commas before anything else is looked at, so that one broken argument
//! doesn't hide the mistakes in the others.

use proc_macro2::{Delimiter, Group, Ident, Literal, Spacing, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics, SpanRange};

/// One argument with its key.
pub(crate) struct Argument {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: ArgumentValue,
}

/// What stands behind the key.
pub(crate) enum ArgumentValue {
    /// `key`
    Flag,
    /// `key = literal`
    Literal(Spanned),
    /// `key(...)`: elements, each as its tokens
    List(Vec<TokenStream>, Span),
}

/// A literal with its place.
#[derive(Clone)]
pub(crate) struct Spanned {
    pub(crate) literal: Lit,
    pub(crate) span: SpanRange,
}

/// The literals of the language.
#[derive(Clone)]
pub(crate) enum Lit {
    String(String),
    Integer(String),
    Float(String),
    Bool(bool),
    None,
    /// A bare word, such as `hive`.
    Word(String),
    List(Vec<Spanned>),
}

impl Lit {
    /// Which kind of credential it holds.
    pub(crate) fn secret(&self) -> Option<&'static str> {
        match self {
            Self::String(text) => crate::secret::find(text),
            Self::List(elements) => elements.iter().find_map(|element| element.literal.secret()),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::String(text) if text.chars().count() > 40 => "a string".into(),
            Self::String(text) => format!("`{text:?}`"),
            Self::Integer(digits) | Self::Float(digits) => format!("`{digits}`"),
            Self::Bool(value) => format!("`{value}`"),
            Self::None => "`None`".into(),
            Self::Word(word) => format!("`{word}`"),
            Self::List(_) => "a list".into(),
        }
    }
}

/// Parses all arguments of an attribute.
pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Vec<Argument> {
    let mut arguments: Vec<Argument> = Vec::new();
    for segment in split_at_commas(tokens) {
        match parse_argument(segment) {
            Ok(argument) => arguments.push(argument),
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    arguments
}

/// Splits tokens at commas that are not inside brackets or inside `<...>`.
pub(crate) fn split_at_commas(tokens: TokenStream) -> Vec<TokenStream> {
    let mut segments = Vec::new();
    let mut segment: Vec<TokenTree> = Vec::new();
    let mut angle_depth = 0_usize;
    for token in tokens {
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' => angle_depth += 1,
                '>' => angle_depth = angle_depth.saturating_sub(1),
                ',' if angle_depth == 0 => {
                    segments.push(segment.drain(..).collect());
                    continue;
                }
                _ => {}
            }
        }
        segment.push(token);
    }
    if !segment.is_empty() {
        segments.push(segment.into_iter().collect());
    }
    segments.retain(|segment: &TokenStream| !segment.is_empty());
    segments
}

fn parse_argument(tokens: TokenStream) -> Result<Argument, Box<Diagnostic>> {
    let mut tokens = tokens.into_iter();
    let first = tokens.next();
    let Some(TokenTree::Ident(key)) = first else {
        let whole = SpanRange::of_stream(first.into_iter().chain(tokens).collect());
        return Err(Box::new(
            Diagnostic::new(
                Code::Arguments,
                whole,
                "expected `key = \"value\"`, `key(...)` or `key`",
            )
            .help(
                "the first argument names the source, as in `delta = \"s3://lake/neural/spikes\"`",
            ),
        ));
    };
    let name = key.unraw().to_string();
    let value = match tokens.next() {
        None => ArgumentValue::Flag,
        Some(TokenTree::Punct(punct)) if punct.as_char() == '=' => {
            let rest: TokenStream = tokens.collect();
            if rest.is_empty() {
                return Err(Box::new(
                    Diagnostic::new(
                        Code::Arguments,
                        punct.span(),
                        format!("expected a value after `{name} =`"),
                    )
                    .help("use a string, a number, `true`, `false`, `None` or a list"),
                ));
            }
            ArgumentValue::Literal(parse_literal(&rest)?)
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            if let Some(extra) = tokens.next() {
                return Err(Box::new(
                    Diagnostic::new(
                        Code::Arguments,
                        extra.span(),
                        format!(
                            "expected `,` after `{name}(...)`, found `{}`",
                            crate::tokens::text(extra.clone().into())
                        ),
                    )
                    .help("separate arguments by a comma"),
                ));
            }
            ArgumentValue::List(split_at_commas(group.stream()), group.span())
        }
        Some(other) => {
            let help = match &other {
                TokenTree::Punct(punct) if punct.as_char() == ':' => match punct.spacing() {
                    Spacing::Joint => "a key is one word, as in `delta = \"...\"`".to_owned(),
                    Spacing::Alone => format!("write `{name} = ...`"),
                },
                TokenTree::Group(_) => format!("write `{name}(...)`"),
                _ => "separate arguments by a comma".to_owned(),
            };
            return Err(Box::new(
                Diagnostic::new(
                    Code::Arguments,
                    other.span(),
                    format!(
                        "expected `=`, `(` or `,` after `{name}`, found `{}`",
                        crate::tokens::text(other.clone().into())
                    ),
                )
                .help(help),
            ));
        }
    };
    Ok(Argument {
        key: name,
        key_span: key.span(),
        value,
    })
}

/// Parses one literal: anything else is refused, because the catalog is read without compiling.
pub(crate) fn parse_literal(tokens: &TokenStream) -> Result<Spanned, Box<Diagnostic>> {
    let span = SpanRange::of_stream(tokens.clone());
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let literal = match trees.as_slice() {
        [TokenTree::Literal(literal)] => from_literal(literal, false, span)?,
        [TokenTree::Punct(minus), TokenTree::Literal(literal)] if minus.as_char() == '-' => {
            from_literal(literal, true, span)?
        }
        [TokenTree::Ident(word)] => from_word(word),
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::Bracket => from_list(group)?,
        // A macro's `$value:literal` arrives wrapped in an invisible group.
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::None => {
            return parse_literal(&group.stream());
        }
        [TokenTree::Literal(_), TokenTree::Ident(next), ..] => {
            return Err(Box::new(
                Diagnostic::new(
                    Code::Arguments,
                    next.span(),
                    format!("expected `,` before `{next}`"),
                )
                .help("separate arguments by a comma"),
            ));
        }
        _ => return Err(Box::new(not_a_literal(tokens, span))),
    };
    Ok(Spanned { literal, span })
}

fn not_a_literal(tokens: &TokenStream, span: SpanRange) -> Diagnostic {
    let mut text = crate::tokens::text(tokens.clone());
    // Shortened, it might not be recognised any more.
    if let Some(secret) = crate::secret::find(&text) {
        return secret_found("the source", span, secret);
    }
    if text.chars().count() > 40 {
        text = text.chars().take(37).chain("...".chars()).collect();
    }
    Diagnostic::new(
        Code::NotALiteral,
        span,
        format!("expected a literal, found `{text}`"),
    )
    .help("write the value out: the catalog is read from source, nothing is computed")
}

fn from_literal(
    literal: &Literal,
    negative: bool,
    span: SpanRange,
) -> Result<Lit, Box<Diagnostic>> {
    let sign = if negative { "-" } else { "" };
    Ok(match syn::Lit::new(literal.clone()) {
        syn::Lit::Str(text) if !negative => Lit::String(text.value()),
        syn::Lit::Int(number) if number.suffix().is_empty() => {
            Lit::Integer(format!("{sign}{}", number.base10_digits()))
        }
        syn::Lit::Float(number) if number.suffix().is_empty() => {
            Lit::Float(format!("{sign}{}", number.base10_digits()))
        }
        syn::Lit::Int(_) | syn::Lit::Float(_) => {
            return Err(Box::new(
                Diagnostic::new(
                    Code::NotALiteral,
                    span,
                    format!("expected a plain number, found `{literal}`"),
                )
                .help("leave the suffix out: the column says the type"),
            ));
        }
        _ => {
            return Err(Box::new(
                Diagnostic::new(
                    Code::NotALiteral,
                    span,
                    format!("expected a literal, found `{sign}{literal}`"),
                )
                .help("use a string, a number, `true`, `false`, `None` or a list"),
            ));
        }
    })
}

fn from_word(word: &Ident) -> Lit {
    let word = word.unraw().to_string();
    match word.as_str() {
        "true" => Lit::Bool(true),
        "false" => Lit::Bool(false),
        "None" => Lit::None,
        _ => Lit::Word(word),
    }
}

fn from_list(group: &Group) -> Result<Lit, Box<Diagnostic>> {
    let elements = split_at_commas(group.stream());
    let elements: Result<Vec<_>, _> = elements.iter().map(parse_literal).collect();
    Ok(Lit::List(elements?))
}

impl Argument {
    /// The value as text.
    pub(crate) fn string(&self, diagnostics: &mut Diagnostics) -> Option<(String, SpanRange)> {
        match &self.value {
            ArgumentValue::Literal(Spanned {
                literal: Lit::String(text),
                span,
            }) => {
                if text.trim().is_empty() {
                    diagnostics.push(Diagnostic::new(
                        Code::WrongKind,
                        *span,
                        format!("`{}` is empty", self.key),
                    ));
                    return None;
                }
                if let Some(secret) = crate::secret::find(text) {
                    diagnostics.push(secret_found(&format!("`{}`", self.key), *span, secret));
                    return None;
                }
                Some((text.clone(), *span))
            }
            other => {
                diagnostics.push(self.wrong_kind(other, &format!("`{} = \"...\"`", self.key)));
                None
            }
        }
    }

    /// Refuses a value: the key stands alone.
    pub(crate) fn flag(&self, help: &str, diagnostics: &mut Diagnostics) {
        if !matches!(self.value, ArgumentValue::Flag) {
            let message = format!("`{}` takes no value", self.key);
            diagnostics.push(Diagnostic::new(Code::WrongKind, self.key_span, message).help(help));
        }
    }

    /// The value as a whole number from 1.
    pub(crate) fn positive(&self, diagnostics: &mut Diagnostics) -> Option<u32> {
        if let ArgumentValue::Literal(Spanned {
            literal: Lit::Integer(digits),
            span,
        }) = &self.value
        {
            let number = digits.parse::<u32>().ok().filter(|number| *number > 0);
            if number.is_none() {
                diagnostics.push(Diagnostic::new(
                    Code::WrongKind,
                    *span,
                    format!(
                        "expected `{}` to be a whole number from 1, found `{digits}`",
                        self.key
                    ),
                ));
            }
            return number;
        }
        diagnostics.push(self.wrong_kind(&self.value, &format!("`{} = 1`", self.key)));
        None
    }

    /// The value as one of a few bare words; a string with the same text is refused with a hint.
    pub(crate) fn word<'a>(
        &self,
        choices: &[&'a str],
        diagnostics: &mut Diagnostics,
    ) -> Option<&'a str> {
        let ArgumentValue::Literal(Spanned { literal, span }) = &self.value else {
            diagnostics
                .push(self.wrong_kind(&self.value, &format!("`{} = {}`", self.key, choices[0])));
            return None;
        };
        let word = match literal {
            Lit::Word(word) => word.as_str(),
            Lit::None => "None",
            Lit::String(text) if choices.contains(&text.as_str()) => {
                diagnostics.push(
                    Diagnostic::new(
                        Code::UnknownChoice,
                        *span,
                        format!("`{}` takes a bare word, found a string", self.key),
                    )
                    .help(format!("write `{} = {text}`", self.key))
                    .replace_with(text.clone()),
                );
                return None;
            }
            other => {
                diagnostics.push(
                    Diagnostic::new(
                        Code::UnknownChoice,
                        *span,
                        format!("unknown `{}`: {}", self.key, other.describe()),
                    )
                    .expected_one_of("", choices.iter().copied()),
                );
                return None;
            }
        };
        let choice = choices.iter().find(|choice| **choice == word);
        if choice.is_none() {
            diagnostics.push(
                Diagnostic::new(
                    Code::UnknownChoice,
                    *span,
                    format!("unknown `{}`: `{word}`", self.key),
                )
                .expected_one_of(word, choices.iter().copied()),
            );
        }
        choice.copied()
    }

    /// The value as a list of elements, each as its tokens.
    pub(crate) fn list(
        &self,
        shape: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<&[TokenStream]> {
        match &self.value {
            ArgumentValue::List(elements, span) => {
                if elements.is_empty() {
                    diagnostics.push(
                        Diagnostic::new(Code::WrongKind, *span, format!("`{}` is empty", self.key))
                            .help(format!("write `{shape}`")),
                    );
                    return None;
                }
                Some(elements)
            }
            other => {
                diagnostics.push(self.wrong_kind(other, &format!("`{shape}`")));
                None
            }
        }
    }

    fn wrong_kind(&self, found: &ArgumentValue, shape: &str) -> Diagnostic {
        let (span, found) = match found {
            ArgumentValue::Flag => (self.key_span.into(), format!("`{}` alone", self.key)),
            ArgumentValue::Literal(spanned) => (spanned.span, spanned.literal.describe()),
            ArgumentValue::List(_, span) => ((*span).into(), format!("`{}(...)`", self.key)),
        };
        if let ArgumentValue::Literal(Spanned {
            literal: Lit::Word(word),
            ..
        }) = &self.value
            && word.chars().any(char::is_uppercase)
        {
            return Diagnostic::new(
                Code::NotALiteral,
                span,
                format!("expected a literal, found `{word}`"),
            )
            .help("write the value out: the catalog is read from source, nothing is computed");
        }
        Diagnostic::new(
            Code::WrongKind,
            span,
            format!("expected {shape}, found {found}"),
        )
    }
}

pub(crate) fn secret_found(what: &str, span: SpanRange, secret: &str) -> Diagnostic {
    Diagnostic::new(
        Code::Secret,
        span,
        format!("{what} holds {secret}"),
    )
    .help("credentials are configured for a named store (`store = \"...\"`), outside of the source")
    .help("this one may be in your version control already: revoke it")
}
