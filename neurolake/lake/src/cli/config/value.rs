//! One value of the file of settings: as written, from an environment variable, or from a file.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::cli::failure::Failure;

/// A value as it is written: `"text"`, `7`, `true`, `"env:NAME"` or `"file:PATH"`.
#[derive(Clone)]
pub(crate) struct Text(String);

/// It may be a secret in the wrong place.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text")
    }
}

/// Where a value comes from.
enum Source<'a> {
    Literal(&'a str),
    Environment(&'a str),
    File(&'a str),
}

impl Text {
    fn source(&self) -> Source<'_> {
        if let Some(name) = self.0.strip_prefix("env:") {
            Source::Environment(name)
        } else if let Some(path) = self.0.strip_prefix("file:") {
            Source::File(path)
        } else {
            Source::Literal(&self.0)
        }
    }

    /// What may be printed of it.
    pub(crate) fn shown(&self, is_secret: bool) -> String {
        match self.source() {
            Source::Literal(text) if !is_secret => format!("{text:?}"),
            Source::Literal(_) => "\"***\"".to_owned(),
            Source::Environment(name) if is_secret => format!("\"***\"  # from env:{name}"),
            Source::File(path) if is_secret => format!("\"***\"  # from file:{path}"),
            Source::Environment(name) => match std::env::var(name) {
                Ok(value) => format!("{value:?}  # from env:{name}"),
                Err(_) => format!("\"\"  # env:{name} is not set"),
            },
            Source::File(path) => format!("\"file:{path}\""),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, or true or false")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Text, E> {
        Ok(Text(value.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }
}

/// The file that values stand in, to resolve them and to blame it.
pub(crate) struct Place<'a> {
    file: String,
    base: &'a Path,
}

impl<'a> Place<'a> {
    pub(crate) fn new(file: Option<&Path>, base: &'a Path) -> Self {
        let file = file.map_or_else(String::new, |file| format!(" in `{}`", file.display()));
        Self { file, base }
    }

    pub(crate) fn base(&self) -> &Path {
        self.base
    }

    /// A wrong value; it is not repeated, because it may be a secret.
    pub(crate) fn wrong(&self, key: &str, expected: &str) -> Failure {
        Failure::usage(format!(
            "the value of `{key}`{} is not {expected}",
            self.file
        ))
        .hint("`config --reference` shows every setting with an example")
    }

    pub(crate) fn conflict(&self, message: &str) -> Failure {
        Failure::usage(format!("{message}{}", self.file))
            .hint("`config --reference` shows every setting with an example")
    }

    pub(crate) fn text(&self, key: &str, value: &Text) -> Result<String, Failure> {
        match value.source() {
            Source::Literal(text) => Ok(text.to_owned()),
            Source::Environment(name) => std::env::var(name).map_err(|_| {
                Failure::usage(format!(
                    "`{key}`{} wants the environment variable `{name}`, which is not set",
                    self.file
                ))
                .hint(format!("export {name}=..."))
            }),
            Source::File(path) => {
                let path = self.base.join(path);
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    Failure::usage(format!(
                        "`{key}`{} wants the file `{}`, which can't be read",
                        self.file,
                        path.display()
                    ))
                    .caused_by(error)
                    .hint("write the file, or correct its path; it starts at the folder of the settings")
                })?;
                Ok(text.trim_end_matches(['\n', '\r']).to_owned())
            }
        }
    }

    pub(crate) fn optional(
        &self,
        key: &str,
        value: Option<&Text>,
    ) -> Result<Option<String>, Failure> {
        value.map(|value| self.text(key, value)).transpose()
    }

    pub(crate) fn list(&self, key: &str, values: &[Text]) -> Result<Vec<String>, Failure> {
        values.iter().map(|value| self.text(key, value)).collect()
    }

    pub(crate) fn number(&self, key: &str, value: Option<&Text>) -> Result<Option<usize>, Failure> {
        let Some(text) = self.optional(key, value)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.wrong(key, "a whole number")),
        }
    }

    /// A secret, which must not stand in the file itself.
    pub(crate) fn secret(&self, key: &str, value: &Text) -> Result<String, Failure> {
        if let Source::Literal(_) = value.source() {
            return Err(Failure::usage(format!("`{key}`{} is a secret in plain sight", self.file))
                .hint(format!(
                    "put the value into an environment variable or a file of its own, and write \
                     {} = \"env:NAME\" or \"file:/path\"",
                    key.rsplit('.').next().unwrap_or(key)
                )));
        }
        self.text(key, value)
    }
}

/// `512MiB`, `2GB`, or a number of bytes.
pub(crate) fn bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let factor: f64 = match unit.trim() {
        "" | "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    };
    let bytes = number * factor;
    #[expect(clippy::cast_sign_loss, reason = "it is at least 1")]
    (1.0..9e18).contains(&bytes).then_some(bytes as usize)
}

/// `500ms`, `30s`, `5m`, `2h`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(bytes("2GiB"), Some(2 << 30));
        assert_eq!(bytes("1.5 KiB"), Some(1536));
        assert_eq!(bytes("10MB"), Some(10_000_000));
        assert_eq!(bytes("77"), Some(77));
        for bad in ["", "GiB", "2 gigs", "-1", "0"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Some(Duration::from_mins(5)));
        for bad in ["", "5", "m", "5 minutes", "-1s", "99999999999999999999h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
