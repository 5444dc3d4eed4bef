//! Diagnostics as plain data: the macro turns them into `compile_error!`, the reader into text,
//! JSON or an overlay.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

use crate::code::Code;

/// What a diagnostic means for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Probably wrong; the catalog is still built.
    Warning,
    /// The declaration can't be used.
    Error,
}

/// First and last token of a piece of source.
#[derive(Debug, Clone, Copy)]
pub struct SpanRange {
    /// Span of the first token.
    pub start: Span,
    /// Span of the last token.
    pub end: Span,
}

impl SpanRange {
    /// The range of some tokens. Empty tokens give the call site.
    pub fn of(tokens: &impl ToTokens) -> Self {
        Self::of_stream(tokens.to_token_stream())
    }

    pub(crate) fn of_stream(tokens: TokenStream) -> Self {
        let mut spans = tokens.into_iter().map(|token| token.span());
        let start = spans.next().unwrap_or_else(Span::call_site);
        let end = spans.last().unwrap_or(start);
        Self { start, end }
    }
}

impl From<Span> for SpanRange {
    fn from(span: Span) -> Self {
        Self {
            start: span,
            end: span,
        }
    }
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// Which rule.
    pub code: Code,
    /// What is wrong: lower case, no final stop, literals in backticks.
    pub message: String,
    /// Where.
    pub span: SpanRange,
    /// What to do about it, one line each.
    pub help: Vec<String>,
    /// Text that would be right in place of `span`.
    pub replacement: Option<String>,
}

impl Diagnostic {
    /// A finding without help.
    pub fn new(code: Code, span: impl Into<SpanRange>, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            span: span.into(),
            help: Vec::new(),
            replacement: None,
        }
    }

    /// Adds a line of help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds the text that would be right.
    #[must_use]
    pub fn replace_with(mut self, text: impl Into<String>) -> Self {
        self.replacement = Some(text.into());
        self
    }

    /// Suggests the nearest of the valid names, or lists them all where none is near.
    #[must_use]
    pub(crate) fn expected_one_of<'a>(
        self,
        found: &str,
        valid: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        if let Some(near) = crate::names::nearest(found, valid.clone()) {
            self.help(format!("did you mean `{near}`?"))
                .replace_with(near)
        } else {
            let list: Vec<_> = valid.into_iter().map(|name| format!("`{name}`")).collect();
            if list.is_empty() {
                return self;
            }
            self.help(format!("expected one of: {}", list.join(", ")))
        }
    }

    /// The whole text as the compiler shows it: message, then one `help:` line each.
    pub fn text(&self) -> String {
        let mut text = format!("[{}] {}", self.code, self.message);
        for help in &self.help {
            text.push_str("\nhelp: ");
            text.push_str(help);
        }
        text
    }
}

/// Everything found in one item, in the order of the source.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Records a finding. One that would repeat a credential becomes a finding about that.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let texts = [&diagnostic.message].into_iter().chain(&diagnostic.help);
        let secret = texts
            .chain(&diagnostic.replacement)
            .find_map(|text| crate::secret::find(text));
        let diagnostic = match secret {
            Some(secret) => crate::arguments::secret_found("the source", diagnostic.span, secret),
            None => diagnostic,
        };
        self.list.push(diagnostic);
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All findings.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.list
    }

    /// Records an error of `syn` as `code`.
    pub(crate) fn push_syn(&mut self, code: Code, error: &syn::Error) {
        for error in error.clone() {
            self.push(Diagnostic::new(code, error.span(), error.to_string()));
        }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}
