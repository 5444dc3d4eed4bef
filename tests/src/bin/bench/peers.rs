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
/// type-checking and expanding the declarations themselves is inside.
pub(crate) fn cargo_doc(workspace: &Path, lock: &Path) -> io::Result<(Cost, usize, u64)> {
    // The same versions as the project, so that nothing has to be fetched.
    fs::copy(lock, workspace.join("Cargo.lock"))?;
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
    let cost = measure::run(&mut cargo(&["doc", "--no-deps"]))?;
    let (files, bytes) = crate::size(&target.join("doc"))?;
    Ok((cost, files, bytes))
}

/// datarepo's own export of a module that declares the same tables.
pub(crate) fn datarepo(
    catalog: &Catalog,
    folder: &Path,
    environment: &Path,
) -> io::Result<(Cost, usize, u64)> {
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
    fs::create_dir_all(folder)?;
    fs::write(folder.join("lake.py"), module(catalog))?;
    let out = folder.join("site");
    fs::create_dir(&out)?;
    let mut command = Command::new(python);
    command.arg("lake.py").arg(&out).current_dir(folder);
    let cost = measure::run(&mut command)?;
    let (files, bytes) = crate::size(&out)?;
    Ok((cost, files, bytes))
}

/// All tables as declared Delta tables: the cheapest kind there, which opens nothing.
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
                "m.{0} = DeltalakeTable(name={0:?}, uri=\"s3://lake/{1}/{0}\", description={2:?}, schema=pa.schema([",
                table.name,
                database.name,
                table.summary()
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
