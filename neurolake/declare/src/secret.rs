//! Credentials must not enter source code, and so never the catalog.

/// Says which kind of credential a text seems to hold. Only shapes that are hardly ever anything
/// else count, because documentation may talk about passwords.
pub fn find(text: &str) -> Option<&'static str> {
    if !is_suspicious(text) {
        return None;
    }
    if has_userinfo(text) {
        return Some("a password in an address");
    }
    if follows(text, "-----BEGIN ", 0, |_| true) && text.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    let token =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '%' | '+' | '/' | '=' | '.');
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let shapes: [(&str, usize, &dyn Fn(char) -> bool, &str); 14] = [
        ("AKIA", 16, &upper, "an AWS access key"),
        ("ASIA", 16, &upper, "an AWS access key"),
        ("aws_secret_access_key=", 8, &token, "an AWS secret key"),
        ("X-Amz-Signature=", 16, &token, "a signed address"),
        ("X-Goog-Signature=", 16, &token, "a signed address"),
        ("sig=", 20, &token, "a signed address"),
        ("AccountKey=", 16, &token, "an Azure account key"),
        ("ghp_", 20, &alphanumeric, "a GitHub token"),
        ("github_pat_", 20, &token, "a GitHub token"),
        ("glpat-", 16, &token, "a GitLab token"),
        ("xoxb-", 16, &token, "a Slack token"),
        ("xoxp-", 16, &token, "a Slack token"),
        ("AIza", 30, &token, "a Google API key"),
        ("eyJhbGciOi", 20, &token, "a JSON web token"),
    ];
    shapes
        .iter()
        .find(|(prefix, length, allowed, _)| follows(text, prefix, *length, allowed))
        .map(|(.., name)| *name)
}

/// Whether the text holds the beginning of any of the shapes: one pass, as every doc comment of a
/// catalog comes through here.
fn is_suspicious(text: &str) -> bool {
    text.as_bytes().windows(4).any(|window| {
        matches!(
            window,
            [b':', b'/', b'/', _]
                | b"----"
                | b"AKIA"
                | b"ASIA"
                | b"aws_"
                | b"X-Am"
                | b"X-Go"
                | b"sig="
                | b"Acco"
                | b"ghp_"
                | b"gith"
                | b"glpa"
                | b"xoxb"
                | b"xoxp"
                | b"AIza"
                | b"eyJh"
        )
    })
}

/// Whether `prefix` stands in the text at the start of a word, followed by `length` allowed
/// characters.
fn follows(text: &str, prefix: &str, length: usize, allowed: impl Fn(char) -> bool) -> bool {
    text.match_indices(prefix).any(|(start, _)| {
        let at_word = !text[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
        let rest = &text[start + prefix.len()..];
        at_word && rest.chars().take(length).filter(|c| allowed(*c)).count() == length
    })
}

/// `scheme://user:password@host`
fn has_userinfo(text: &str) -> bool {
    text.match_indices("://").any(|(start, separator)| {
        let authority: &str = text[start + separator.len()..]
            .split(['/', '?', '#', ' ', '\n', '"', '\'', '`', ')', '>'])
            .next()
            .unwrap_or_default();
        match authority.rsplit_once('@') {
            Some((userinfo, host)) => {
                !host.is_empty()
                    && userinfo
                        .split_once(':')
                        .is_some_and(|(user, password)| !user.is_empty() && !password.is_empty())
            }
            None => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_planted_credentials() {
        for text in [
            "postgres://lab:hunter2@db/animals",
            "see https://bot:t0ken@example.com/x for more",
            "AKIAIOSFODNN7EXAMPLE",
            "key ghp_0123456789abcdefghijABCDEFGHIJ012345",
            "https://a.blob.core.windows.net/c?sv=1&sig=AAAABBBBCCCCDDDDEEEEFFFF%3D",
            "-----BEGIN RSA PRIVATE KEY-----",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.abc",
        ] {
            assert!(find(text).is_some(), "{text}");
        }
    }

    #[test]
    fn leaves_ordinary_text_alone() {
        for text in [
            "s3://lake/neural/spikes",
            "postgres://db.example.org/lab",
            "https://example.com/@team:signals",
            "mail signals@example.org: they know the password policy",
            "set `password=` in neurolake.toml",
            "design = 3; AKIA keys are refused",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
