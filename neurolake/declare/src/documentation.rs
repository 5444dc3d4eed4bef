//! Rust's own attributes: doc comments, `#[doc(alias)]`, `#[doc(hidden)]`, `#[deprecated]`.

use neurolake_model::Deprecation;
use proc_macro2::Span;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

use crate::arguments::secret_found;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics, SpanRange};

/// What the attributes of an item, a field or a module say.
#[derive(Default)]
pub struct Documentation {
    /// Markdown.
    pub docs: String,
    /// Other names that search should find.
    pub aliases: Vec<String>,
    /// Not on the site.
    pub hidden: bool,
    /// Should no longer be used.
    pub deprecated: Option<Deprecation>,
}

/// Reads the attributes.
pub fn documentation(attributes: &[Attribute], diagnostics: &mut Diagnostics) -> Documentation {
    let mut documentation = Documentation::default();
    let mut raw = String::new();
    for attribute in attributes {
        if attribute.path().is_ident("doc") {
            doc(attribute, &mut documentation, &mut raw, diagnostics);
        } else if attribute.path().is_ident("deprecated") {
            documentation.deprecated = Some(deprecated(attribute, diagnostics));
        }
    }
    documentation.docs = unindent(&raw);
    if let Some(secret) = crate::secret::find(&documentation.docs) {
        let docs = |attribute: &&Attribute| attribute.path().is_ident("doc");
        let holds_it = |attribute: &&Attribute| {
            doc_text(attribute).is_some_and(|text| crate::secret::find(&text).is_some())
        };
        // One that is spread over lines stands in none of them.
        let attribute = attributes.iter().filter(docs).find(holds_it);
        let attribute = attribute.or_else(|| attributes.iter().find(docs));
        let span = attribute.map_or_else(|| Span::call_site().into(), SpanRange::of);
        diagnostics.push(secret_found("the documentation", span, secret));
        documentation.docs.clear();
    }
    documentation
}

/// The text of `#[doc = "..."]`.
pub(crate) fn doc_text(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else {
        return None;
    };
    match &meta.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

fn doc(
    attribute: &Attribute,
    documentation: &mut Documentation,
    raw: &mut String,
    diagnostics: &mut Diagnostics,
) {
    match &attribute.meta {
        Meta::NameValue(meta) => match doc_text(attribute) {
            Some(text) => {
                raw.reserve(text.len() + 1);
                raw.push_str(&text);
                raw.push('\n');
            }
            None => diagnostics.push(
                Diagnostic::new(
                    Code::DocAttribute,
                    SpanRange::of(&meta.value),
                    "documentation must be a literal",
                )
                .help("write `///` comments: the catalog is read without compiling"),
            ),
        },
        Meta::List(_) => {
            let result = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("hidden") {
                    documentation.hidden = true;
                } else if meta.path.is_ident("alias") {
                    if meta.input.peek(syn::token::Paren) {
                        let content;
                        syn::parenthesized!(content in meta.input);
                        let aliases = content.parse_terminated(
                            syn::parse::ParseBuffer::parse::<syn::LitStr>,
                            syn::Token![,],
                        )?;
                        for alias in &aliases {
                            let alias = public("an alias", alias, diagnostics);
                            documentation.aliases.extend(alias);
                        }
                    } else {
                        let alias: syn::LitStr = meta.value()?.parse()?;
                        let alias = public("an alias", &alias, diagnostics);
                        documentation.aliases.extend(alias);
                    }
                } else if meta.input.peek(syn::Token![=]) {
                    // `#[doc(inline)]`, `#[doc(cfg(...))]` and friends mean nothing here.
                    let _: Expr = meta.value()?.parse()?;
                } else if meta.input.peek(syn::token::Paren) {
                    let content;
                    syn::parenthesized!(content in meta.input);
                    let _: proc_macro2::TokenStream = content.parse()?;
                }
                Ok(())
            });
            if let Err(error) = result {
                diagnostics.push_syn(Code::DocAttribute, &error);
            }
        }
        Meta::Path(_) => {}
    }
}

fn deprecated(attribute: &Attribute, diagnostics: &mut Diagnostics) -> Deprecation {
    let mut deprecation = Deprecation::default();
    match &attribute.meta {
        Meta::Path(_) => {}
        Meta::NameValue(meta) => {
            if let Expr::Lit(ExprLit {
                lit: Lit::Str(note),
                ..
            }) = &meta.value
            {
                let note = public("the deprecation note", note, diagnostics);
                deprecation.note = note.unwrap_or_default();
            }
        }
        Meta::List(_) => {
            let result = attribute.parse_nested_meta(|meta| {
                let value: syn::LitStr = meta.value()?.parse()?;
                if meta.path.is_ident("since") {
                    deprecation.since = public("the deprecation", &value, diagnostics);
                } else if meta.path.is_ident("note") {
                    let note = public("the deprecation note", &value, diagnostics);
                    deprecation.note = note.unwrap_or_default();
                }
                Ok(())
            });
            if let Err(error) = result {
                diagnostics.push_syn(Code::DocAttribute, &error);
            }
        }
    }
    deprecation
}

/// The text, unless it holds a credential.
fn public(what: &str, text: &syn::LitStr, diagnostics: &mut Diagnostics) -> Option<String> {
    let value = text.value();
    let Some(secret) = crate::secret::find(&value) else {
        return Some(value);
    };
    diagnostics.push(secret_found(what, text.span().into(), secret));
    None
}

/// Strips the indentation that all lines share, as rustdoc does, and empty lines around the text.
fn unindent(raw: &str) -> String {
    // Most comments are one line.
    if let Some(line) = raw.strip_suffix('\n')
        && !line.contains('\n')
    {
        return line.trim_start_matches(' ').trim_end().to_owned();
    }
    let indent = raw
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    let mut text = String::with_capacity(raw.len());
    for line in raw.lines() {
        let line = line.get(indent..).unwrap_or_default().trim_end();
        if text.is_empty() && line.is_empty() {
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    text.truncate(text.trim_end_matches('\n').len());
    text
}
