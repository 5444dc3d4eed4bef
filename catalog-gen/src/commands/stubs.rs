//! `catalog-gen stubs`

use std::path::{Path, PathBuf};

use catalog_gen::output;
use catalog_gen::reader::workspace;
use catalog_gen::stubs::{self, StubFile};
use neurolake_model::Catalog;

use super::check::count;
use super::{Failure, Outcome, Talk, load, read_aloud, read_options};
use crate::cli::Stubs;

pub(crate) fn run(arguments: &Stubs, talk: &Talk) -> Result<Outcome, Failure> {
    let Some((catalog, target)) = catalog(arguments, talk)? else {
        return Ok(Outcome::NotInOrder);
    };
    let out = arguments.out.clone();
    let out = out.unwrap_or_else(|| target.join("neurolake-stubs"));
    let files = stubs::package(&catalog);
    if arguments.check {
        return Ok(check(&out, &files, arguments, talk));
    }
    let paths: Vec<String> = files.iter().map(|file| file.path.to_owned()).collect();
    let text = |path: &str| -> Result<Vec<u8>, Failure> {
        let file = files.iter().find(|file| file.path == path);
        Ok(file
            .map(|file| file.text.clone().into_bytes())
            .unwrap_or_default())
    };
    let written = output::write(&out, &paths, text, |_| {})?;
    talk.say(&format!(
        "types of {} -> {}: {} written, {} unchanged",
        count(catalog.tables().count(), "table"),
        out.display(),
        count(written.written, "file"),
        written.unchanged,
    ));
    talk.say(&format!(
        "hint: `pip install {}` gives them to editors",
        out.display()
    ));
    Ok(Outcome::Done)
}

/// The catalog and the target folder; none if the source has errors, which were shown.
fn catalog(arguments: &Stubs, talk: &Talk) -> Result<Option<(Catalog, PathBuf)>, Failure> {
    if let Some(file) = &arguments.catalog {
        // A catalog from elsewhere needs no workspace, unless it is to lie in its target folder.
        let target = match &arguments.out {
            Some(_) => PathBuf::new(),
            None => workspace::find_manifest(&read_options(&arguments.source))?
                .parent()
                .unwrap_or(Path::new("."))
                .join("target"),
        };
        return Ok(Some((load(file)?, target)));
    }
    let (reader, reading) = read_aloud(&arguments.source, talk)?;
    let is_good = reading.is_good();
    Ok(is_good.then(|| (reading.catalog, reader.workspace().target.clone())))
}

fn check(out: &Path, files: &[StubFile], arguments: &Stubs, talk: &Talk) -> Outcome {
    let is_stale = |file: &&StubFile| {
        !std::fs::read(out.join(file.path)).is_ok_and(|bytes| bytes == file.text.as_bytes())
    };
    let stale: Vec<&StubFile> = files.iter().filter(is_stale).collect();
    if stale.is_empty() {
        talk.say("stubs are what the catalog says");
        return Outcome::Done;
    }
    for file in stale {
        talk.error(&format!(
            "`{}` is not what the catalog says",
            out.join(file.path).display()
        ));
    }
    let option = match &arguments.out {
        Some(out) => format!(" --out {}", out.display()),
        None => String::new(),
    };
    talk.say(&format!("hint: run `catalog-gen stubs{option}`"));
    Outcome::NotInOrder
}
