//! What all templates of users share: strict names, no escaping, an end to every loop.

use std::path::{Path, PathBuf};
use std::{fs, io};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

/// An environment in which a rendering may take `fuel` instructions.
pub(crate) fn environment(fuel: u64) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(fuel));
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .expect("the default delimiters are valid"),
    );
    environment
}

/// What is wrong, without the place.
pub(crate) fn message(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// Why a folder of templates can't be used.
pub(crate) enum Unusable {
    /// It can't be read.
    Folder { path: PathBuf, source: io::Error },
    /// The name of a file in it is no text.
    Name { path: PathBuf },
}

/// Templates in a folder: file name and path, sorted.
pub(crate) fn templates_in(folder: &Path) -> Result<Vec<(String, PathBuf)>, Unusable> {
    let read = |source| Unusable::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|extension| extension == "j2") {
            match path.file_name().and_then(|name| name.to_str()) {
                Some(name) => found.push((name.to_owned(), path)),
                None => return Err(Unusable::Name { path }),
            }
        }
    }
    found.sort();
    Ok(found)
}
