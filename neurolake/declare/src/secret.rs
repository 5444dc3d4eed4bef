//! Credentials must not enter source code, and so never the catalog.

/// How a credential begins, and what must follow.
struct Shape {
    prefix: &'static str,
    /// Whether `prefix` is a name and `=` or `:` stands between it and the value.
    is_name: bool,
    /// Number of characters that must follow.
    length: usize,
    allowed: fn(u8) -> bool,
    found: &'static str,
}

const fn token(
    prefix: &'static str,
    length: usize,
    allowed: fn(u8) -> bool,
    found: &'static str,
) -> Shape {
    Shape {
        prefix,
        is_name: false,
        length,
        allowed,
        found,
    }
}

const fn named(prefix: &'static str, length: usize, found: &'static str) -> Shape {
    Shape {
        prefix,
        is_name: true,
        length,
        allowed: is_token,
        found,
    }
}

fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_hexadecimal(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_%+/=.~".contains(&byte)
}

const SHAPES: &[Shape] = &[
    token("AKIA", 16, is_upper, "an AWS access key"),
    token("ASIA", 16, is_upper, "an AWS access key"),
    token("AIza", 30, is_token, "a Google API key"),
    token("GOCSPX-", 20, is_token, "a Google client secret"),
    token("dapi", 32, is_hexadecimal, "a Databricks token"),
    token("eyJhbGciOi", 8, is_token, "a JSON web token"),
    token("ghp_", 20, is_alphanumeric, "a GitHub token"),
    token("gho_", 20, is_alphanumeric, "a GitHub token"),
    token("ghs_", 20, is_alphanumeric, "a GitHub token"),
    token("github_pat_", 20, is_token, "a GitHub token"),
    token("glpat-", 16, is_token, "a GitLab token"),
    token("hf_", 30, is_alphanumeric, "a Hugging Face token"),
    token("npm_", 30, is_alphanumeric, "an npm token"),
    token("pypi-", 30, is_token, "a PyPI token"),
    token("sk_live_", 16, is_alphanumeric, "a secret key"),
    token("xoxb-", 16, is_token, "a Slack token"),
    token("xoxp-", 16, is_token, "a Slack token"),
    named("AccountKey", 16, "an Azure account key"),
    named("SharedAccessKey", 16, "an Azure access key"),
    named("SharedAccessSignature", 16, "a signed address"),
    named("X-Amz-Signature", 16, "a signed address"),
    named("X-Goog-Signature", 16, "a signed address"),
    named("aws_secret_access_key", 8, "an AWS secret key"),
    named("aws_session_token", 8, "an AWS session token"),
    named("client_secret", 12, "a client secret"),
    named("sig", 20, "a signed address"),
    // Behind the `?` of an address; elsewhere people may write about passwords.
    named("?password", 4, "a password in an address"),
    named("&password", 4, "a password in an address"),
    named(";password", 4, "a password in an address"),
    named("?token", 8, "a token in an address"),
    named("&token", 8, "a token in an address"),
    named("?access_token", 8, "a token in an address"),
    named("&access_token", 8, "a token in an address"),
];

/// For each of the first three characters of a prefix, by byte: the shapes that have it there, one
/// bit each. Case doesn't count here.
const STARTS: [[u64; 256]; 3] = [starts(0), starts(1), starts(2)];

const fn starts(position: usize) -> [u64; 256] {
    assert!(SHAPES.len() <= 64, "a shape is a bit of a u64");
    let mut masks = [0; 256];
    let mut shape = 0;
    while shape < SHAPES.len() {
        let byte = SHAPES[shape].prefix.as_bytes()[position];
        masks[byte.to_ascii_lowercase() as usize] |= 1 << shape;
        masks[byte.to_ascii_uppercase() as usize] |= 1 << shape;
        shape += 1;
    }
    masks
}

/// Says which kind of credential a text seems to hold. Only shapes that are hardly ever anything
/// else count, because documentation may talk about passwords.
pub fn find(text: &str) -> Option<&'static str> {
    let bytes = text.as_bytes();
    let mut is_inside_word = false;
    // One pass, because every text of every declaration comes through here; the masks leave next to
    // nothing to compare.
    for (at, window) in bytes.windows(3).enumerate() {
        let is_word = window[0].is_ascii_alphanumeric();
        if !(is_inside_word && is_word) {
            let mut candidates = STARTS[0][usize::from(window[0])]
                & STARTS[1][usize::from(window[1])]
                & STARTS[2][usize::from(window[2])];
            while candidates != 0 {
                let shape = &SHAPES[candidates.trailing_zeros() as usize];
                if shape.matches(&bytes[at..]) {
                    return Some(shape.found);
                }
                candidates &= candidates - 1;
            }
        }
        is_inside_word = is_word;
    }
    if text.contains("://") && has_userinfo(text) {
        return Some("a password in an address");
    }
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    None
}

impl Shape {
    fn matches(&self, text: &[u8]) -> bool {
        let prefix = self.prefix.as_bytes();
        let Some((start, rest)) = text.split_at_checked(prefix.len()) else {
            return false;
        };
        let value = if self.is_name {
            start
                .eq_ignore_ascii_case(prefix)
                .then(|| value_of(rest))
                .flatten()
        } else {
            (start == prefix).then_some(rest)
        };
        value.is_some_and(|value| {
            value.len() >= self.length
                && value[..self.length]
                    .iter()
                    .all(|byte| (self.allowed)(*byte))
        })
    }
}

/// What stands behind `=` or `:`, with blanks and quotes around it.
fn value_of(text: &[u8]) -> Option<&[u8]> {
    let is_around = |byte: &u8| matches!(byte, b' ' | b'"' | b'\'' | b'`');
    let skip = |text: &[u8]| text.iter().take_while(|byte| is_around(byte)).count();
    let rest = &text[skip(text)..];
    let (b'=' | b':', rest) = rest.split_first()? else {
        return None;
    };
    Some(&rest[skip(rest)..])
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
            "AWS_SECRET_ACCESS_KEY: \"wJalrXUtnFEMI/K7MDENG\"",
            "postgresql://db/lab?user=lab&password=hunter2",
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
            "the password: ask signals; sig = significance, token: none",
            "design=0123456789abcdefghijklmnop",
            "größe=AKIA",
            "design = 3; AKIA keys are refused",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
