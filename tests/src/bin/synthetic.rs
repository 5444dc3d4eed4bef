//! Writes a made-up workspace: `synthetic --tables 10000 --out DIR`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use neurolake_tests::synthetic::Workspace;

const USAGE: &str = "\
usage: synthetic --tables N --out DIR [--columns N] [--seed N] [--neurolake PATH]

  --tables N        how many tables to make up
  --out DIR         where to write the workspace; must not exist or be empty
  --columns N       columns of each table [default: 20]
  --seed N          another seed, another workspace [default: 1]
  --neurolake PATH  path of the `neurolake` crate [default: a version]
";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(io::stderr(), "error: {message}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let (mut tables, mut columns, mut seed) = (None, 20, 1);
    let (mut out, mut neurolake) = (None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments
            .next()
            .ok_or(format!("`{argument}` needs a value"))?;
        let number = || {
            value
                .parse::<usize>()
                .map_err(|e| format!("`{argument} {value}`: {e}"))
        };
        match argument.as_str() {
            "--tables" => tables = Some(number()?),
            "--columns" => columns = number()?,
            "--seed" => seed = number()? as u64,
            "--out" => out = Some(PathBuf::from(&value)),
            "--neurolake" => neurolake = Some(value.clone()),
            _ => return Err(format!("unknown argument `{argument}`")),
        }
    }
    let tables = tables.ok_or("`--tables` is missing")?;
    let out = out.ok_or("`--out` is missing")?;
    if out
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some())
    {
        return Err(format!("`{}` is not empty", out.display()));
    }
    let files = Workspace::new(tables, columns, seed).files(neurolake.as_deref());
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    for (path, text) in &files {
        write(&out.join(path), text).map_err(|e| format!("cannot write `{path}`: {e}"))?;
    }
    let _ = writeln!(
        io::stdout(),
        "{tables} tables, {} files, {bytes} bytes in {}",
        files.len(),
        out.display()
    );
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
}
