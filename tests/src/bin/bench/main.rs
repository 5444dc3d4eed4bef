//! Measures `catalog-gen` on made-up workspaces, with other tools in the same run:
//! `cargo run --release -p neurolake-tests --bin bench -- --help`.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]

mod measure;
mod peers;
mod preview;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use measure::{Cost, least, spread};
use neurolake_tests::synthetic::Workspace;

const USAGE: &str = "\
usage: bench [--tables 10,1000,10000] [--rounds N] [--peer NAME]... [--peer-tables N]

  --tables LIST     sizes, in tables of 20 columns each [default: 10,1000,10000]
  --rounds N        repetitions of a build, and of a save in the preview [default: 3]
  --peer NAME       also measure `cargo-doc` or `datarepo`; may be repeated
  --peer-tables N   size for the peers [default: 1000]

The least of all rounds is printed: whatever else a machine does only adds to it.
Needs Linux. The first `--peer datarepo` installs it with pip into the target folder.
";
const COLUMNS: usize = 20;
const SEED: u64 = 1;
/// The size that the targets are for.
const TARGET_TABLES: usize = 10_000;

struct Options {
    tables: Vec<usize>,
    rounds: usize,
    peers: Vec<String>,
    peer_tables: usize,
}

/// A made-up workspace on disk.
struct Lake {
    folder: tempfile::TempDir,
    spec: Workspace,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            let _ = writeln!(io::stderr(), "{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        tables: vec![10, 1000, TARGET_TABLES],
        rounds: 3,
        peers: Vec::new(),
        peer_tables: 1000,
    };
    while let Some(name) = arguments.next() {
        if name == "--help" {
            return Err(String::new());
        }
        let value = arguments.next().ok_or(format!("`{name}` needs a value"))?;
        let number = |text: &str| match text.parse::<usize>() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("`{name} {value}`: not a positive number")),
        };
        match name.as_str() {
            "--tables" => {
                options.tables = value.split(',').map(number).collect::<Result<_, _>>()?;
            }
            "--rounds" => options.rounds = number(&value)?,
            "--peer-tables" => options.peer_tables = number(&value)?,
            "--peer" if ["cargo-doc", "datarepo"].contains(&&*value) => options.peers.push(value),
            "--peer" => return Err(format!("unknown peer `{value}`")),
            _ => return Err(format!("unknown argument `{name}`")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> io::Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()?;
    let program = program(&repository)?;
    print(&format!(
        "program {} ({} bytes)",
        program.display(),
        fs::metadata(&program)?.len()
    ))?;
    for tables in &options.tables {
        let lake = Lake::new(*tables, &repository)?;
        builds(&program, &lake, *tables, options.rounds)?;
        save(&program, &lake, *tables, options.rounds.max(5))?;
    }
    if !options.peers.is_empty() {
        peers(&program, &repository, options)?;
    }
    Ok(())
}

/// Builds the release binary, which a benchmark must never find stale.
fn program(repository: &Path) -> io::Result<PathBuf> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "-p", "catalog-gen"])
        .current_dir(repository)
        .status()?;
    let here = std::env::current_exe()?;
    let target = here.ancestors().nth(2).filter(|_| built.success());
    let target = target.ok_or(io::Error::other("`catalog-gen` doesn't build"))?;
    Ok(target.join("release/catalog-gen"))
}

impl Lake {
    fn new(tables: usize, repository: &Path) -> io::Result<Self> {
        let lake = Self {
            folder: tempfile::tempdir()?,
            spec: Workspace::new(tables, COLUMNS, SEED),
        };
        let neurolake = repository.join("neurolake/lake");
        let files = lake.spec.files(neurolake.to_str());
        let mut bytes = 0;
        for (path, text) in &files {
            let path = lake.path(path);
            fs::create_dir_all(path.parent().expect("a file in a folder"))?;
            fs::write(path, text)?;
            bytes += text.len();
        }
        print(&format!(
            "\n{tables} tables x {COLUMNS} columns: {} files, {} of Rust",
            files.len(),
            size_text(bytes as u64)
        ))?;
        Ok(lake)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn build(&self, program: &Path, out: &Path) -> io::Result<Cost> {
        let mut command = Command::new(program);
        command
            .args(["build", "--timings", "--color", "never", "--out"])
            .arg(out)
            .current_dir(self.folder.path());
        for name in ["CARGO_TARGET_DIR", "GITHUB_SHA", "CI_COMMIT_SHA"] {
            command.env_remove(name);
        }
        measure::run(&mut command)
    }

    /// File, documentation and page of a table in the middle.
    fn table(&self) -> (PathBuf, String, String) {
        let catalog = self.spec.catalog();
        let tables: Vec<_> = catalog
            .tables()
            .filter(|(_, table)| !table.docs.is_empty())
            .collect();
        let (database, table) = tables[tables.len() / 2];
        let line = table.docs.lines().next().unwrap_or_default().to_owned();
        let page = format!("{}/{}.html", database.name, table.name);
        (self.path(&table.location.file), line, page)
    }
}

fn builds(program: &Path, lake: &Lake, tables: usize, rounds: usize) -> io::Result<()> {
    let target = |text| if tables == TARGET_TABLES { text } else { "" };
    let rounds_of = |build: &mut dyn FnMut(usize) -> io::Result<Cost>| {
        (0..rounds).map(build).collect::<io::Result<Vec<Cost>>>()
    };
    // A new folder each time: emptying one leaves work for the file system that would be counted.
    let out = |round: usize| lake.path(&format!("site-{round}"));
    let cold = rounds_of(&mut |round| lake.build(program, &out(round)))?;
    row("cold build", &cold, target("CPU <= 2 s, RSS < 500 MB"))?;
    for line in cold[0]
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("timing: "))
    {
        print(&format!("    {line}"))?;
    }
    let site = out(0);
    let same = rounds_of(&mut |_| lake.build(program, &site))?;
    expect(&same, "nothing changed")?;
    row("unchanged", &same, target("CPU < 0.3 s, 0 files written"))?;
    let fresh = rounds_of(&mut |_| {
        fs::remove_dir_all(lake.path("target/catalog-gen"))?;
        lake.build(program, &site)
    })?;
    expect(&fresh, " 0 files written")?;
    row(
        "unchanged, in a fresh checkout",
        &fresh,
        target("0 files written"),
    )?;
    let (file, line, _) = lake.table();
    let source = fs::read_to_string(&file)?;
    let one = rounds_of(&mut |round| {
        fs::write(
            &file,
            source.replacen(&line, &format!("Edited in round {round}."), 1),
        )?;
        lake.build(program, &site)
    })?;
    fs::write(&file, source)?;
    row("one file changed", &one, "")?;
    if let Some(line) = one[0]
        .stderr
        .lines()
        .find(|line| line.contains("files written"))
    {
        print(&format!(
            "    {}",
            line.split(": ").last().unwrap_or_default()
        ))?;
    }
    contents(&site, target)
}

fn expect(costs: &[Cost], text: &str) -> io::Result<()> {
    match costs.iter().find(|cost| !cost.stderr.contains(text)) {
        Some(cost) => Err(io::Error::other(format!(
            "expected `{text}` in:\n{}",
            cost.stderr
        ))),
        None => Ok(()),
    }
}

/// What the site weighs.
fn contents(site: &Path, target: impl Fn(&'static str) -> &'static str) -> io::Result<()> {
    let (files, bytes) = size(site)?;
    figure("site", &format!("{files} files, {}", size_text(bytes)), "")?;
    let home = fs::metadata(site.join("index.html"))?.len();
    figure("home page", &size_text(home), target("<= 25 KB"))?;
    let mut pages = Vec::new();
    for entry in walk(site)? {
        // Only tables have a twin for programs.
        if entry.extension().is_some_and(|e| e == "html") && entry.with_extension("md").exists() {
            pages.push(fs::metadata(&entry)?.len() as f64);
        }
    }
    let (_, middle, largest) = spread(pages);
    let text = format!(
        "{} at most, {} in the middle",
        size_text(largest as u64),
        size_text(middle as u64)
    );
    figure("table page", &text, target("<= 15 KB"))?;
    for (name, file, goal) in [
        ("search index", "search-index.js", "<= 350 KB gzip"),
        ("search text", "search-text.js", ""),
    ] {
        let path = site.join("assets").join(file);
        let raw = size_text(fs::metadata(&path)?.len());
        let gzip = gzip(&path).map_or("gzip is missing".to_owned(), |bytes| {
            format!("{} gzip", size_text(bytes))
        });
        figure(name, &format!("{raw}, {gzip}"), target(goal))?;
    }
    Ok(())
}

fn save(program: &Path, lake: &Lake, tables: usize, rounds: usize) -> io::Result<()> {
    let (file, line, page) = lake.table();
    let saves = preview::saves(program, lake.folder.path(), (&file, &line, &page), rounds)?;
    let target = if tables == TARGET_TABLES {
        "< 150 ms"
    } else {
        ""
    };
    for (name, figures) in [("save to event", saves.told), ("save to page", saves.shown)] {
        let (least, middle, largest) = spread(figures);
        let text = format!(
            "{least:.0} / {middle:.0} / {largest:.0} ms wall (least / middle / largest of {rounds}), {:.0} ms CPU",
            saves.cpu
        );
        figure(name, &text, target)?;
    }
    Ok(())
}

/// Each in turn, round by round, so that whatever else the machine does concerns all alike.
fn peers(program: &Path, repository: &Path, options: &Options) -> io::Result<()> {
    let lake = Lake::new(options.peer_tables, repository)?;
    let names: Vec<&str> = std::iter::once("catalog-gen")
        .chain(options.peers.iter().map(String::as_str))
        .collect();
    let mut costs = vec![Vec::new(); names.len()];
    let mut sizes = vec![(0, 0); names.len()];
    for round in 0..options.rounds {
        for (place, name) in names.iter().enumerate() {
            let out = lake.path(&format!("{name}-{round}"));
            costs[place].push(match *name {
                "catalog-gen" => lake.build(program, &out)?,
                "datarepo" => {
                    let environment = program.with_file_name("bench-datarepo");
                    peers::datarepo(&lake.spec.catalog(), &out, &environment)?
                }
                _ => peers::cargo_doc(lake.folder.path(), &out, &repository.join("Cargo.lock"))?,
            });
            sizes[place] = size(&out)?;
        }
    }
    for (place, name) in names.iter().enumerate() {
        row(name, &costs[place], "")?;
        let (files, bytes) = sizes[place];
        print(&format!("    {files} files, {}", size_text(bytes)))?;
        if place > 0 {
            let times = |figure: fn(&Cost) -> f64| {
                least(&costs[place], figure) / least(&costs[0], figure).max(0.01)
            };
            print(&format!(
                "    {:.1} times the CPU of catalog-gen, {:.1} times its wall time, {:.1} times its memory",
                times(|cost| cost.cpu),
                times(|cost| cost.wall),
                times(|cost| cost.rss as f64 / 1e6),
            ))?;
        }
    }
    Ok(())
}

fn row(name: &str, costs: &[Cost], target: &str) -> io::Result<()> {
    let cpu = least(costs, |cost| cost.cpu);
    let wall = least(costs, |cost| cost.wall);
    let memory = match costs.iter().map(|cost| cost.rss).max() {
        // Over before it could be looked at.
        None | Some(0) => String::new(),
        Some(rss) => format!(", {:.0} MB RSS", rss as f64 / 1e6),
    };
    let text = format!("{cpu:.2} s CPU, {wall:.2} s wall{memory}");
    figure(name, &text, target)
}

fn figure(name: &str, text: &str, target: &str) -> io::Result<()> {
    let target = if target.is_empty() {
        String::new()
    } else {
        format!("   [target: {target}]")
    };
    print(&format!("  {name:32} {text}{target}"))
}

fn size_text(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} KB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Number and bytes of the files below a folder.
fn size(folder: &Path) -> io::Result<(usize, u64)> {
    let files = walk(folder)?;
    let bytes: io::Result<u64> = files.iter().map(|file| Ok(fs::metadata(file)?.len())).sum();
    Ok((files.len(), bytes?))
}

fn walk(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// Compressed size, where `gzip` is installed.
fn gzip(path: &Path) -> Option<u64> {
    let command = Command::new("gzip")
        .arg("-9c")
        .arg(path)
        .stderr(Stdio::null())
        .output();
    let output = command.ok().filter(|output| output.status.success())?;
    Some(output.stdout.len() as u64)
}

fn print(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
