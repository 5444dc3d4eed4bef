//! `#[cfg]` without a compiler: three-valued, because not every predicate can be decided.
//!
//! Features are decided from `Cargo.toml` and the command line, `test`, `doc`, `doctest` and `miri`
//! are false. Everything about the target machine stays undecided, so that the same source gives
//! the same catalog on every machine.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A parsed predicate.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// `all(...)`
    All(Vec<Predicate>),
    /// `any(...)`
    Any(Vec<Predicate>),
    /// `not(...)`
    Not(Box<Predicate>),
    /// `feature = "..."`
    Feature(String),
    /// `true`, `false`
    Constant(bool),
    /// `test`, `unix`, `target_os = "linux"`...
    Other(String),
}

impl Predicate {
    /// Reads what stands inside `#[cfg(...)]`. What can't be read stays undecided.
    pub fn parse(tokens: &TokenStream) -> Self {
        let text = || Self::Other(tokens.to_string());
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        match trees.as_slice() {
            [TokenTree::Ident(word), TokenTree::Group(group)]
                if group.delimiter() == Delimiter::Parenthesis =>
            {
                let mut parts: Vec<Self> = split(&group.stream()).iter().map(Self::parse).collect();
                match word.to_string().as_str() {
                    "all" => Self::All(parts),
                    "any" => Self::Any(parts),
                    "not" if parts.len() == 1 => Self::Not(Box::new(parts.remove(0))),
                    _ => text(),
                }
            }
            [
                TokenTree::Ident(word),
                TokenTree::Punct(_),
                TokenTree::Literal(value),
            ] if word == "feature" => match syn::Lit::new(value.clone()) {
                syn::Lit::Str(name) => Self::Feature(name.value()),
                _ => text(),
            },
            [TokenTree::Ident(word)] if word == "true" || word == "false" => {
                Self::Constant(word == "true")
            }
            _ => text(),
        }
    }

    /// Decides the predicate; `None` where it depends on the machine.
    pub fn evaluate(&self, features: &BTreeSet<String>) -> Option<bool> {
        match self {
            Self::All(parts) => {
                let values: Vec<_> = parts.iter().map(|part| part.evaluate(features)).collect();
                if values.contains(&Some(false)) {
                    Some(false)
                } else if values.contains(&None) {
                    None
                } else {
                    Some(true)
                }
            }
            Self::Any(parts) => {
                let values: Vec<_> = parts.iter().map(|part| part.evaluate(features)).collect();
                if values.contains(&Some(true)) {
                    Some(true)
                } else if values.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
            Self::Not(part) => part.evaluate(features).map(|value| !value),
            Self::Feature(name) => Some(features.contains(name)),
            Self::Constant(value) => Some(*value),
            Self::Other(text) => match text.as_str() {
                "test" | "doc" | "doctest" | "miri" => Some(false),
                _ => None,
            },
        }
    }

    /// As written.
    pub fn text(&self) -> String {
        let list = |name: &str, parts: &[Self]| {
            let parts: Vec<_> = parts.iter().map(Self::text).collect();
            format!("{name}({})", parts.join(", "))
        };
        match self {
            Self::All(parts) => list("all", parts),
            Self::Any(parts) => list("any", parts),
            Self::Not(part) => format!("not({})", part.text()),
            Self::Feature(name) => format!("feature = \"{name}\""),
            Self::Constant(value) => value.to_string(),
            Self::Other(text) => text.clone(),
        }
    }
}

fn split(tokens: &TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    for token in tokens.clone() {
        match (&token, parts.last_mut()) {
            (TokenTree::Punct(punct), _) if punct.as_char() == ',' => {
                parts.push(TokenStream::new());
            }
            (_, Some(last)) => last.extend([token]),
            (_, None) => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(text: &str) -> Option<bool> {
        let tokens: TokenStream = text.parse().expect("tokens");
        let features = BTreeSet::from(["imaging".to_owned()]);
        Predicate::parse(&tokens).evaluate(&features)
    }

    #[test]
    fn decides_what_the_source_can_tell() {
        for (text, expected) in [
            ("feature = \"imaging\"", Some(true)),
            ("not(feature = \"imaging\")", Some(false)),
            ("test", Some(false)),
            ("unix", None),
            ("not(target_os = \"linux\")", None),
            ("all(unix, feature = \"other\")", Some(false)),
            ("all(unix, feature = \"imaging\")", None),
            ("any(unix, feature = \"imaging\")", Some(true)),
            ("any()", Some(false)),
            ("all()", Some(true)),
        ] {
            assert_eq!(evaluate(text), expected, "{text}");
        }
    }
}
