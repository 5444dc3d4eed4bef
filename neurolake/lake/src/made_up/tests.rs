use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use neurolake_delta::types::arrow_field;
use neurolake_model::{Catalog, Column, Source, Table, Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use super::{Error, LIST, Options, Progress, Summary, files, write};

const SMALL: Options = Options {
    size: 0.05,
    seed: 1,
    force: false,
};

/// The demo's catalog without its recipes: everything is guessed here.
fn catalog() -> Catalog {
    Catalog::from_json(include_str!("../../../../site/catalog.json")).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().build().unwrap()
}

fn make(folder: &Path, options: &Options) -> Result<Summary, Error> {
    runtime().block_on(write(&catalog(), folder, options, &|_| {}))
}

/// Every file below a folder but the list, the lock and Delta logs, by its relative path.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "parquet") {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn same(a: &Path, b: &Path) {
    let (a, b) = (contents(a), contents(b));
    assert_eq!(
        a.keys().collect::<Vec<_>>(),
        b.keys().collect::<Vec<_>>(),
        "the same files"
    );
    for (path, bytes) in &a {
        assert!(b[path] == *bytes, "{} differs", path.display());
    }
}

fn stored() -> Vec<(String, Table)> {
    let catalog = catalog();
    catalog
        .tables()
        .filter(|(_, table)| !matches!(table.source, Source::Sql { .. } | Source::Function { .. }))
        .map(|(database, table)| (database.name.clone(), table.clone()))
        .collect()
}

#[test]
fn same_seed_same_bytes() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let summary = make(one.path(), &SMALL).unwrap();
    assert_eq!(summary, make(two.path(), &SMALL).unwrap());
    assert_eq!(summary.rows.len(), stored().len());
    assert!(summary.rows.values().all(|rows| *rows >= 24), "{summary:?}");
    same(one.path(), two.path());

    let other = TempDir::new().unwrap();
    make(other.path(), &Options { seed: 2, ..SMALL }).unwrap();
    let copy = Path::new("copies/lab.animals.parquet");
    assert_ne!(contents(one.path())[copy], contents(other.path())[copy]);
}

#[test]
fn files_hold_what_is_declared() {
    let folder = TempDir::new().unwrap();
    make(folder.path(), &SMALL).unwrap();
    let made = contents(folder.path());
    for (database, table) in stored() {
        if table.columns.is_empty() {
            continue;
        }
        let in_path = |column: &&Column| !table.is_partition(&column.name);
        let copied = matches!(table.source, Source::Postgres { .. } | Source::Sheet { .. });
        let expected: Vec<_> = table
            .columns
            .iter()
            .filter(|column| copied || in_path(column))
            .map(arrow_field)
            .collect();
        let place = files::place(&database, &table).unwrap();
        let mut count = 0;
        for path in made.keys().filter(|path| path.starts_with(&place)) {
            let file = File::open(folder.path().join(path)).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            let found: Vec<_> = reader
                .schema()
                .fields()
                .iter()
                .map(|field| field.as_ref().clone().with_metadata(HashMap::default()))
                .collect();
            assert_eq!(found, expected, "{database}.{}", table.name);
            // Reading checks that no null stands where none may be.
            for batch in reader.build().unwrap() {
                batch.unwrap();
            }
            count += 1;
        }
        assert!(count > 0, "{database}.{} has no files", table.name);
    }
}

#[test]
fn the_rest_of_a_folder_is_never_touched() {
    let folder = TempDir::new().unwrap();
    let theirs = folder.path().join("buckets/lake/neural/spikes/_delta_log");
    fs::create_dir_all(&theirs).unwrap();
    fs::write(theirs.join("00000000000000000000.json"), "theirs").unwrap();
    let force = Options {
        force: true,
        ..SMALL
    };
    for options in [SMALL, force] {
        let error = make(folder.path(), &options).unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("buckets/lake/neural/spikes"));
    }
    assert!(!folder.path().join(LIST).exists());
    assert!(contents(folder.path()).is_empty());

    // Beside what is made up there may be anything.
    fs::remove_dir_all(folder.path().join("buckets")).unwrap();
    let beside = folder.path().join("buckets/lake/mine.txt");
    fs::create_dir_all(beside.parent().unwrap()).unwrap();
    fs::write(&beside, "mine").unwrap();
    make(folder.path(), &SMALL).unwrap();
    make(folder.path(), &force).unwrap();
    assert_eq!(fs::read_to_string(&beside).unwrap(), "mine");
}

#[test]
fn complete_data_is_kept_until_forced() {
    let folder = TempDir::new().unwrap();
    let first = make(folder.path(), &SMALL).unwrap();
    let again = make(folder.path(), &SMALL).unwrap();
    assert_eq!(again.kept, first.rows.len());
    assert_eq!(again.rows, first.rows);

    let other = Options { seed: 9, ..SMALL };
    let error = make(folder.path(), &other).unwrap_err();
    assert!(matches!(error, Error::Different { seed: 1, .. }), "{error}");
    let forced = Options {
        force: true,
        ..other
    };
    assert_eq!(make(folder.path(), &forced).unwrap().kept, 0);
    assert_eq!(make(folder.path(), &other).unwrap().kept, first.rows.len());
}

#[test]
fn half_written_data_is_made_again() {
    let (whole, cut) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    make(whole.path(), &SMALL).unwrap();

    let stopped = runtime().block_on(async {
        let (done, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let catalog = catalog();
        let progress = move |progress: Progress| {
            let _ = done.send(progress.done);
        };
        tokio::select! {
            finished = write(&catalog, cut.path(), &SMALL, &progress) => finished.is_ok(),
            () = async { while seen.recv().await.is_some_and(|done| done < 9) {} } => false,
        }
    });
    assert!(!stopped, "it was stopped in the middle");
    assert!(contents(cut.path()).len() < contents(whole.path()).len());

    let summary = make(cut.path(), &SMALL).unwrap();
    assert!(summary.kept >= 9 && summary.kept < summary.rows.len());
    same(whole.path(), cut.path());

    // A table that lost its files is made again, too.
    fs::remove_file(cut.path().join("copies/lab.animals.parquet")).unwrap();
    let summary = make(cut.path(), &SMALL).unwrap();
    assert_eq!(summary.kept, summary.rows.len() - 1);
    same(whole.path(), cut.path());
}

#[test]
fn a_changed_declaration_is_made_again() {
    let folder = TempDir::new().unwrap();
    make(folder.path(), &SMALL).unwrap();
    let mut catalog = catalog();
    let lab = catalog.databases.iter_mut().find(|d| d.name == "lab");
    let animals = &mut lab.unwrap().tables[0];
    animals.columns.push(Column {
        name: "weighed_on".into(),
        data_type: Type::Date,
        ..animals.columns[0].clone()
    });
    let summary = runtime()
        .block_on(write(&catalog, folder.path(), &SMALL, &|_| {}))
        .unwrap();
    assert_eq!(summary.kept, summary.rows.len() - 1);
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let folder = TempDir::new().unwrap();
    for size in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = make(folder.path(), &Options { size, ..SMALL }).unwrap_err();
        assert!(matches!(error, Error::Size(_)), "{error}");
    }
}

#[test]
fn pictures_have_the_right_sums() {
    let picture = super::picture::Picture::new(16, 8, |x, _| x);
    let png = picture.png();
    // The chunk that ends every PNG has a sum that everybody knows.
    assert!(png.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
    let jpeg = picture.jpeg();
    assert!(jpeg.starts_with(&[0xff, 0xd8, 0xff, 0xe0]) && jpeg.ends_with(&[0xff, 0xd9]));
    assert_eq!(picture.tiff().len(), 8 + 2 + 9 * 12 + 4 + 16 * 8);
}
