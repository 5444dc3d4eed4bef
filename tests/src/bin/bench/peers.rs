//! Other tools over the same tables, measured in the same run.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use neurolake_model::Catalog;

use crate::measure::{self, Cost};

/// The release that `--peer datarepo` installs: what it writes differs from release to release.
const DATAREPO: &str = "data-repository==0.1.0";

/// rustdoc over the same crates. What they depend on is compiled before, outside of the figure;
/// expanding and type-checking the declarations themselves is inside.
pub(crate) fn cargo_doc(workspace: &Path, out: &Path, lock: &Path) -> io::Result<Cost> {
    // The same versions as the project, so that nothing has to be fetched.
    if !workspace.join("Cargo.lock").exists() {
        fs::copy(lock, workspace.join("Cargo.lock"))?;
    }
    let target = workspace.join("target-doc");
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command
            .args(arguments)
            .arg("--offline")
            .current_dir(workspace);
        command.env("CARGO_TARGET_DIR", &target);
        command
    };
    measure::run(&mut cargo(&["check", "-p", "neurolake"]))?;
    // Cargo goes by the time of files: each round begins with new ones.
    for entry in fs::read_dir(workspace)? {
        let root = entry?.path().join("src/lib.rs");
        if root.exists() {
            fs::write(&root, fs::read(&root)?)?;
        }
    }
    let cost = measure::run(&mut cargo(&["doc", "--no-deps"]))?;
    fs::rename(target.join("doc"), out)?;
    Ok(cost)
}

/// datarepo's own export of a module that declares the same tables.
pub(crate) fn datarepo(catalog: &Catalog, out: &Path, environment: &Path) -> io::Result<Cost> {
    let python = environment.join("bin/python");
    if !python.exists() {
        measure::run(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(environment),
        )?;
        let pip = ["-m", "pip", "install", "--quiet", DATAREPO];
        measure::run(Command::new(&python).args(pip))?;
    }
    fs::create_dir_all(out)?;
    let script = out.with_extension("py");
    fs::write(&script, module(catalog))?;
    measure::run(Command::new(python).arg(script).arg(out))
}

/// All tables as declared Delta tables, the cheapest kind there: nothing is opened. Types are all
/// the same, as they cost nothing.
fn module(catalog: &Catalog) -> String {
    let mut text = String::from(
        "import sys, types\n\
         import pyarrow as pa\n\
         from datarepo.core import Catalog, DeltalakeTable, ModuleDatabase\n\
         from datarepo.export.web import export_and_generate_site\n\n\
         databases = {}\n",
    );
    for database in &catalog.databases {
        let _ = writeln!(
            text,
            "m = types.ModuleType({0:?})\ndatabases[{0:?}] = m",
            database.name
        );
        for table in &database.tables {
            let _ = writeln!(
                text,
                "m.{0} = DeltalakeTable(name={0:?}, uri=\"s3://lake/{1}/{0}\", description={2}, partition_columns=[], schema=pa.schema([",
                table.name,
                database.name,
                serde_json::Value::from(table.summary())
            );
            for column in &table.columns {
                let _ = writeln!(text, "    ({:?}, pa.float64()),", column.name);
            }
            text.push_str("]))\n");
        }
    }
    text.push_str(
        "\ncatalog = Catalog({name: ModuleDatabase(m) for name, m in databases.items()})\n\
         export_and_generate_site(catalogs=[(\"lake\", catalog)], output_dir=sys.argv[1])\n",
    );
    text
}
