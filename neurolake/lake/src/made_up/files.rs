//! From rows to files: Delta tables, folders of Parquet files, copies of relational tables.

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use neurolake_delta::types::arrow_schema;
use neurolake_delta::{Location, Writer};
use neurolake_model::{Column, Partitioning, Source, Table, Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::Error;
use super::cell::{Cell, array};
use super::guess::day_text;
use super::maker::{Commit, Maker};

/// Rows of a row group in Parquet files.
const ROW_GROUP: usize = 4_096;

/// Rows from which on a partition has two files.
const TWO_FILES: usize = 1_000;

/// Where a table lies below the folder of made-up data; `None` for views and functions.
pub(crate) fn place(database: &str, table: &Table) -> Option<PathBuf> {
    match &table.source {
        Source::Delta { uri } | Source::Parquet { uri, .. } => Some(below_buckets(uri)),
        Source::Postgres { .. } | Source::Sheet { .. } => {
            Some(Path::new("copies").join(format!("{database}.{}.parquet", table.name)))
        }
        Source::Sql { .. } | Source::Function { .. } => None,
    }
}

/// `s3://bucket/path` as `buckets/bucket/path`.
pub(crate) fn below_buckets(uri: &str) -> PathBuf {
    let path = uri.split_once("://").map_or(uri, |(_, path)| path);
    let steps = path
        .split('/')
        .filter(|step| !["", ".", ".."].contains(step));
    Path::new("buckets").join(steps.collect::<PathBuf>())
}

/// Writes the rows. Returns how many there are.
pub(crate) async fn write(folder: &Path, table: &Table, maker: Maker<'_>) -> Result<u64, Error> {
    let rows = maker.commits.iter().map(|commit| commit.rows.len() as u64);
    let rows = rows.sum();
    match &table.source {
        Source::Delta { .. } => delta(folder, table, maker).await?,
        Source::Parquet { partitioning, .. } => parquet(folder, *partitioning, table, maker)?,
        _ => {
            let rows = maker.commits.into_iter().flat_map(|commit| commit.rows);
            let rows = sorted(table, &maker.columns, rows.collect());
            let schema = arrow_schema(&maker.columns);
            let batch = batch(&schema, rows)?;
            file(folder, &batch, ROW_GROUP)?;
        }
    }
    Ok(rows)
}

/// In the order of the partitions, then of `sort_by`; the recipe's order decides ties.
fn sorted(table: &Table, columns: &[Column], mut rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
    let partitions = table.partition_by.iter().map(|partition| &partition.name);
    let by: Vec<usize> = partitions
        .chain(&table.sort_by)
        .filter_map(|name| columns.iter().position(|column| column.name == *name))
        .collect();
    rows.sort_by(|a, b| {
        by.iter()
            .map(|&index| a[index].order(&b[index]))
            .find(|order| *order != Ordering::Equal)
            .unwrap_or(Ordering::Equal)
    });
    rows
}

fn batch(schema: &SchemaRef, rows: Vec<Vec<Cell>>) -> Result<RecordBatch, Error> {
    let mut columns: Vec<Vec<Cell>> = schema
        .fields()
        .iter()
        .map(|_| Vec::with_capacity(rows.len()))
        .collect();
    for row in rows {
        for (column, cell) in columns.iter_mut().zip(row) {
            column.push(cell);
        }
    }
    let arrays = schema
        .fields()
        .iter()
        .zip(columns)
        .map(|(field, column)| {
            array(field.data_type(), column).map_err(|source| Error::Value {
                column: field.name().clone(),
                source,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), arrays).map_err(|source| Error::Value {
        column: "a column".into(),
        source,
    })
}

async fn delta(folder: &Path, table: &Table, maker: Maker<'_>) -> Result<(), Error> {
    let all = arrow_schema(&maker.columns);
    let reduced = |commit: &Commit| -> (Vec<usize>, SchemaRef) {
        let keep: Vec<usize> = (0..all.fields().len())
            .filter(|&index| !commit.without.contains(&all.field(index).name().as_str()))
            .collect();
        let fields: Vec<_> = keep.iter().map(|&i| Arc::clone(&all.fields()[i])).collect();
        (keep, Arc::new(Schema::new(fields)))
    };
    let Some(first) = maker.commits.first() else {
        return Ok(());
    };
    fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
    let location = Location::local(folder).map_err(|source| Error::io(folder, source))?;
    let partitions: Vec<String> = table.partition_by.iter().map(|p| p.name.clone()).collect();
    let mut times = vec![first.at - 1_000_000];
    let (_, schema) = reduced(first);
    let mut writer = Writer::create(&location, schema, &partitions, instant(times[0]))
        .await?
        .row_group(maker.row_group.unwrap_or(ROW_GROUP));
    for commit in maker.commits {
        let (keep, schema) = reduced(&commit);
        if *writer.schema() != schema {
            let time = commit.at - 1_000_000;
            writer.evolve(Arc::clone(&schema), instant(time)).await?;
            times.push(time);
        }
        let mut rows = sorted(table, &maker.columns, commit.rows);
        if keep.len() < all.fields().len() {
            for row in &mut rows {
                let mut index = 0..;
                row.retain(|_| index.next().is_some_and(|index| keep.contains(&index)));
            }
        }
        writer
            .append([batch(&schema, rows)?], instant(commit.at))
            .await?;
        times.push(commit.at);
    }
    if maker.checkpoint {
        writer.checkpoint().await?;
    }
    for (version, time) in times.into_iter().enumerate() {
        // Readers take the time of a version from its file.
        let path = folder.join(format!("_delta_log/{version:020}.json"));
        set_time(&path, instant(time)).map_err(|source| Error::io(&path, source))?;
    }
    Ok(())
}

fn instant(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.max(0).unsigned_abs())
}

fn set_time(path: &Path, time: SystemTime) -> io::Result<()> {
    fs::File::options()
        .write(true)
        .open(path)?
        .set_modified(time)
}

fn parquet(
    folder: &Path,
    partitioning: Partitioning,
    table: &Table,
    maker: Maker<'_>,
) -> Result<(), Error> {
    let place = |name: &str| maker.columns.iter().position(|column| column.name == name);
    let partitions: Vec<usize> = table
        .partition_by
        .iter()
        .filter_map(|partition| place(&partition.name))
        .collect();
    let stored: Vec<Column> = maker
        .columns
        .iter()
        .enumerate()
        .filter(|(index, _)| !partitions.contains(index))
        .map(|(_, column)| column.clone())
        .collect();
    let schema = arrow_schema(&stored);
    let rows = maker.commits.into_iter().flat_map(|commit| commit.rows);
    let rows = sorted(table, &maker.columns, rows.collect());

    let mut groups: Vec<(PathBuf, Vec<Vec<Cell>>)> = Vec::new();
    for mut row in rows {
        let mut path = folder.to_owned();
        for &index in &partitions {
            path.push(step(partitioning, &maker.columns[index], &row[index]));
        }
        let mut index = 0..;
        row.retain(|_| {
            index
                .next()
                .is_some_and(|index| !partitions.contains(&index))
        });
        match groups.last_mut() {
            Some((last, rows)) if *last == path => rows.push(row),
            _ => groups.push((path, vec![row])),
        }
    }
    for (path, mut rows) in groups {
        let second = if rows.len() > TWO_FILES {
            rows.split_off(rows.len() / 2)
        } else {
            Vec::new()
        };
        let size = maker.row_group.unwrap_or(ROW_GROUP);
        for (number, rows) in [rows, second].into_iter().enumerate() {
            if !rows.is_empty() {
                let name = format!("part-{number:05}.parquet");
                file(&path.join(name), &batch(&schema, rows)?, size)?;
            }
        }
    }
    Ok(())
}

/// A folder for the value of a partition.
fn step(partitioning: Partitioning, column: &Column, cell: &Cell) -> String {
    let value = match cell {
        Cell::Null => "__HIVE_DEFAULT_PARTITION__".to_owned(),
        Cell::Int(days) if column.data_type == Type::Date => day_text(*days),
        Cell::Int(value) => value.to_string(),
        Cell::Bool(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Text(text) => encode(text),
        _ => String::new(),
    };
    match partitioning {
        Partitioning::Hive => format!("{}={value}", column.name),
        Partitioning::Directory | Partitioning::None => value,
    }
}

/// Hive's encoding of a value in a path.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || "\"#%'*/:=?\\{[]^".contains(c) {
            for byte in c.to_string().bytes() {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        } else {
            encoded.push(c);
        }
    }
    encoded
}

fn file(path: &Path, batch: &RecordBatch, row_group: usize) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| Error::io(parent, source))?;
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(row_group))
        .build();
    let out = fs::File::create(path).map_err(|source| Error::io(path, source))?;
    let written =
        ArrowWriter::try_new(out, batch.schema(), Some(properties)).and_then(|mut writer| {
            writer.write(batch)?;
            writer.close()
        });
    written.map_err(|source| Error::Parquet {
        path: path.to_owned(),
        source,
    })?;
    Ok(())
}
