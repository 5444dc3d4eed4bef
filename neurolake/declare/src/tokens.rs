//! Tokens as text. `TokenStream::to_string` puts its blanks elsewhere inside a compiler than
//! outside, and both front ends must show and store the same text.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// Tokens as a person writes them.
pub(crate) fn text(tokens: TokenStream) -> String {
    let mut text = String::new();
    write(tokens, &mut text);
    text
}

/// Whether one of the words stands anywhere in the tokens.
pub(crate) fn mentions(tokens: &TokenStream, words: &[&str]) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => words.iter().any(|word| ident == word),
        TokenTree::Group(group) => mentions(&group.stream(), words),
        _ => false,
    })
}

fn write(tokens: TokenStream, text: &mut String) {
    let mut last: Option<TokenTree> = None;
    for token in tokens {
        if let Some(last) = &last
            && is_apart(text, last, &token)
        {
            text.push(' ');
        }
        match &token {
            TokenTree::Group(group) => write_group(group, text),
            other => text.push_str(&other.to_string()),
        }
        last = Some(token);
    }
}

fn write_group(group: &Group, text: &mut String) {
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => ("{ ", " }"),
        Delimiter::None => ("", ""),
    };
    text.push_str(open);
    write(group.stream(), text);
    text.push_str(close);
}

/// Whether a blank stands between two tokens; `text` ends with the left one.
fn is_apart(text: &str, left: &TokenTree, right: &TokenTree) -> bool {
    let follows_word = matches!(left, TokenTree::Ident(_)) || text.ends_with('!');
    match (left, right) {
        _ if text.ends_with("::") => false,
        (TokenTree::Punct(left), TokenTree::Punct(_)) if left.spacing() == Spacing::Joint => false,
        // `&str`, `'a`, `#[...]`, `Vec<f32`, `a.b`, `$x`
        (TokenTree::Punct(left), _) if "&'#<.$".contains(left.as_char()) => false,
        (_, TokenTree::Punct(right)) if ",;:>.?".contains(right.as_char()) => false,
        (_, TokenTree::Punct(right)) if "<!".contains(right.as_char()) => !follows_word,
        (_, TokenTree::Group(right)) => right.delimiter() == Delimiter::Brace || !follows_word,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_a_person_writes() {
        for code in [
            "Vec<Option<f32>>",
            "std::collections::BTreeMap<Vec<i32>, f32>",
            "fn(f32) -> bool",
            "&'a str",
            "[f32; 3]",
            "(f32, f32)",
            "format!(\"{}\", NAME)",
            "3 + 4",
            "lake.table()",
        ] {
            let tokens: TokenStream = code.parse().expect("tokens");
            assert_eq!(text(tokens), code);
        }
    }
}
