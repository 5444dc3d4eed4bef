//! `catalog-gen diff`

use catalog_gen::diff::CatalogDiff;

use super::{Failure, Outcome, Talk, load, print, read_aloud};
use crate::cli::{Deny, Diff, DiffFormat};

pub(crate) fn run(arguments: &Diff, talk: &Talk) -> Result<Outcome, Failure> {
    let old = load(&arguments.old)?;
    let new = if let Some(new) = &arguments.new {
        load(new)?
    } else {
        let (_, reading) = read_aloud(&arguments.source, talk)?;
        if !reading.is_good() {
            // Tables with errors would be taken for removed ones.
            return Ok(Outcome::NotInOrder);
        }
        reading.catalog
    };
    let diff = CatalogDiff::new(&old, &new);
    match arguments.format {
        DiffFormat::Text => print(diff.to_text().trim_end())?,
        DiffFormat::Markdown => print(diff.to_markdown().trim_end())?,
        DiffFormat::Json => {
            let json = serde_json::to_string_pretty(&diff).expect("a difference holds only JSON");
            print(&json)?;
        }
    }
    let is_denied = match arguments.deny {
        Some(Deny::Breaking) => diff.breaking,
        Some(Deny::Any) => !diff.changes.is_empty(),
        None => false,
    };
    Ok(if is_denied {
        Outcome::NotInOrder
    } else {
        Outcome::Done
    })
}
