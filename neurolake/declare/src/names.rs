//! Names of databases, tables and columns.

use heck::ToSnakeCase;

/// `NormalizedBandPower` -> `normalized_band_power`
pub fn table_name(item: &str) -> String {
    let item = item.strip_prefix("r#").unwrap_or(item);
    item.to_snake_case()
}

/// Whether a database or table may have this name: it becomes a file name, an address and an SQL
/// identifier, so it is lower-case ASCII, digits and `_`, starts with a letter, and has at most 100
/// characters.
pub fn is_valid_table_name(name: &str) -> bool {
    name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Names that the site needs for its own folders, or that file systems refuse.
pub fn is_reserved_database_name(name: &str) -> bool {
    const RESERVED: &[&str] = &[
        "assets",
        "formats",
        "owners",
        "tags",
        "information_schema",
        "pg_catalog",
        "con",
        "prn",
        "aux",
        "nul",
    ];
    RESERVED.contains(&name)
}

/// The name that was probably meant.
pub fn nearest<'a>(found: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase();
    valid
        .into_iter()
        .map(|name| (strsim::osa_distance(&found, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count() / 4)
        .min_by_key(|(distance, name)| {
            // `tag` means `tags` rather than `tab`.
            let is_beginning = name.to_lowercase().starts_with(&found);
            (*distance, !is_beginning, *name)
        })
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_follows_the_words() {
        for (item, name) in [
            ("NormalizedBandPower", "normalized_band_power"),
            ("LFPSpectrum", "lfp_spectrum"),
            ("robot_insertions", "robot_insertions"),
            ("r#type", "type"),
        ] {
            assert_eq!(table_name(item), name);
        }
    }

    #[test]
    fn nearest_needs_to_be_near() {
        assert_eq!(nearest("detla", ["delta", "parquet"]), Some("delta"));
        assert_eq!(nearest("ownr", ["owner", "tags"]), Some("owner"));
        assert_eq!(nearest("tag", ["tab", "tags"]), Some("tags"));
        assert_eq!(nearest("banana", ["owner", "tags"]), None);
    }
}
