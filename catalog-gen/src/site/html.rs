//! Text into HTML and into addresses.

use std::fmt::Write as _;
use std::io;

/// Appends `text` so that it means itself in content and in quoted attributes.
pub(crate) fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    let special = |byte: u8| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'');
    while let Some(at) = rest.bytes().position(special) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// [`escape`] into a new string.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    escape(&mut out, text);
    out
}

/// [`escape`] for templates, whose own way writes byte by byte.
pub(crate) fn write_escaped(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    out.write_all(escaped(text).as_bytes())
}

/// Appends `text` as one segment of an address: exactly what JavaScript's `encodeURIComponent`
/// does, plus the apostrophe, so that the result needs no escaping in HTML and both sides agree on
/// the address of a column.
pub(crate) fn percent_encode(out: &mut String, text: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*()".contains(&byte);
    if text.bytes().all(plain) {
        return out.push_str(text);
    }
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// [`percent_encode`] into a new string.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    percent_encode(&mut out, text);
    out
}

/// Address of a table's page (`html`) or of its Markdown twin (`md`), seen from `root`.
pub(crate) fn table_address(root: &str, database: &str, table: &str, extension: &str) -> String {
    let mut address = String::with_capacity(root.len() + database.len() + table.len() + 6);
    address.push_str(root);
    percent_encode(&mut address, database);
    address.push('/');
    percent_encode(&mut address, table);
    address.push('.');
    address.push_str(extension);
    address
}

/// [`table_address`] of a page for a page of `home`'s folder.
pub(crate) fn page_address(home: &str, database: &str, table: &str) -> String {
    if home == database {
        let mut address = percent_encoded(table);
        address.push_str(".html");
        address
    } else {
        table_address("../", database, table, "html")
    }
}

/// A short name for a piece of content, so that a browser's cache notices a change.
pub(crate) fn fingerprint(content: &str) -> String {
    format!("{:08x}", hash(content) >> 32)
}

/// The same on every machine and in every version: FNV-1a.
pub(crate) fn hash(content: &str) -> u64 {
    content
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_attribute() {
        assert_eq!(escaped(r#"a"b'c<d>&e"#), "a&quot;b&#39;c&lt;d&gt;&amp;e");
        assert_eq!(
            percent_encoded("reported on/é'"),
            "reported%20on%2F%C3%A9%27"
        );
    }
}
