//! `write`: files to a Delta table, in one commit, once for each job.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use bytes::Bytes;
use indicatif::HumanBytes;
use neurolake_delta::{
    Change, DataFiles, Error, FileWriter, Location, Log, LogOptions, Transaction,
};
use neurolake_ingest::validate::{Form, Invalid, RowError, Unreadable, Validated, Validator};
use neurolake_ingest::writer::fit;
use neurolake_model::{Column, Table, Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ring::digest::{Context as Digest, SHA256};
use serde::Serialize;

use super::arguments::{FileForm, ReportFormat, Write};
use super::exit::Exit;
use super::failure::Failure;
use super::query::count;
use super::talk::{Talk, json, print};
use super::{Context, Outcome, open};

/// Applications of the transactions that say that a job was written.
const APPLICATION: &str = "neurolake/write/";
/// Characters of a job's name.
const LONGEST_JOB: usize = 180;
/// Text that is read at a time.
const PIECE: usize = 4 << 20;
/// Memory that the rows of a piece may take. A JSON document is one piece.
const PIECE_MEMORY: usize = 1 << 30;
/// Rows that are reported to people.
const SHOWN: usize = 10;
/// What an Arrow file begins with; a stream begins otherwise.
const ARROW_FILE: &[u8] = b"ARROW1";

/// What was written.
#[derive(Debug, Default, Serialize)]
struct Report {
    table: String,
    job: String,
    rows: u64,
    /// Files of the table.
    files: usize,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Whether the job had been written before, so that nothing was written now.
    duplicate: bool,
    /// Whether rows were only checked.
    checked: bool,
    /// Rows that don't fit: then nothing was written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Misfit>,
}

/// A row that doesn't fit.
#[derive(Debug, Serialize)]
struct Misfit {
    file: PathBuf,
    #[serde(flatten)]
    error: RowError,
}

/// Why nothing is written.
enum Refused {
    Rows(Vec<Misfit>),
    Failed(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

pub(super) async fn run(context: &Context<'_>, arguments: &Write) -> Outcome {
    tokio::select! {
        biased;
        // Nothing is in the table before the commit; files that are written already are vacuumed.
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
        outcome = write(context, arguments) => outcome,
    }
}

async fn write(context: &Context<'_>, arguments: &Write) -> Outcome {
    let catalog = open::catalog(context)?;
    let (database, table) = open::find_delta(&catalog, &arguments.table)?;
    if table.columns.is_empty() {
        return Err(Failure::usage(format!(
            "`{}` is declared without columns, so that rows can't be checked",
            arguments.table
        ))
        .hint("declare its columns"));
    }
    let (database, table) = (database.name.clone(), table.clone());
    let files = with_forms(arguments)?;
    let job = match &arguments.job {
        Some(job) if job.is_empty() || job.chars().count() > LONGEST_JOB => {
            return Err(Failure::usage(format!(
                "the name of a job has 1 to {LONGEST_JOB} characters"
            )));
        }
        Some(job) => job.clone(),
        None => digest(&arguments.files)?,
    };
    let report = Report {
        table: format!("{database}.{}", table.name),
        job,
        checked: arguments.check,
        ..Report::default()
    };
    let lake = open::lake_with(context, catalog, None, None)?;
    let location = lake.engine().location(&database, &table.name)?;
    let target = context.config.maintenance.target_bytes;
    let work = Work {
        table: &table,
        location: &location,
        files: &files,
        check: arguments.check,
        target_bytes: usize::try_from(target).unwrap_or(usize::MAX),
        talk: context.talk,
    };
    let mut failed = Vec::new();
    let report = match work.run(report).await {
        Ok(report) => report,
        Err((Refused::Failed(failure), _)) => return Err(failure),
        Err((Refused::Rows(errors), report)) => {
            failed = errors;
            report
        }
    };
    let report = Report {
        errors: failed,
        ..report
    };
    match arguments.format {
        ReportFormat::Text => report.tell(context.talk)?,
        ReportFormat::Json => print(&json(&report)?)?,
    }
    Ok(match report.errors.is_empty() {
        true => Exit::Done,
        false => Exit::Findings,
    })
}

fn with_forms(arguments: &Write) -> Result<Vec<(PathBuf, FileForm)>, Failure> {
    let form = |path: &PathBuf| {
        let name = path.extension().and_then(|name| name.to_str());
        let known = match name.unwrap_or_default().to_ascii_lowercase().as_str() {
            "parquet" => FileForm::Parquet,
            "csv" => FileForm::Csv,
            "json" => FileForm::Json,
            "ndjson" | "jsonl" => FileForm::Ndjson,
            "arrow" | "arrows" | "feather" | "ipc" => FileForm::Arrow,
            _ => {
                let shown = path.display();
                return Err(Failure::usage(format!(
                    "the name of `{shown}` doesn't say how it is read"
                ))
                .hint("say it: `--form parquet`, csv, json, ndjson or arrow"));
            }
        };
        Ok(known)
    };
    let with_form = |path: &PathBuf| {
        let form = arguments.form.map_or_else(|| form(path), Ok)?;
        Ok((path.clone(), form))
    };
    arguments.files.iter().map(with_form).collect()
}

/// The same files, in the same order, are the same job.
fn digest(files: &[PathBuf]) -> Result<String, Failure> {
    let mut whole = Digest::new(&SHA256);
    let mut buffer = vec![0; 1 << 16];
    for path in files {
        let failed = |error| Failure::read(path, error);
        let mut file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            // It could be read once only.
            let shown = path.display();
            return Err(
                Failure::usage(format!("`{shown}` is no file, so it names no job"))
                    .hint("name the job yourself: `--job NAME`"),
            );
        }
        let mut content = Digest::new(&SHA256);
        loop {
            let read = file.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                break;
            }
            content.update(&buffer[..read]);
        }
        // Of the contents' digests: where a file ends counts too.
        whole.update(content.finish().as_ref());
    }
    let digest = whole.finish();
    let mut text = "sha256:".to_owned();
    for byte in digest.as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// All that doesn't change while files are read.
struct Work<'a> {
    table: &'a Table,
    location: &'a Location,
    files: &'a [(PathBuf, FileForm)],
    check: bool,
    target_bytes: usize,
    talk: Talk,
}

impl Work<'_> {
    async fn run(&self, mut report: Report) -> Result<Report, (Refused, Report)> {
        match self.write(&mut report).await {
            Ok(()) => Ok(report),
            Err(refused) => Err((refused, report)),
        }
    }

    async fn write(&self, report: &mut Report) -> Result<(), Refused> {
        let application = format!("{APPLICATION}{}", report.job);
        if !self.check && self.is_done(&application).await? {
            report.duplicate = true;
            return Ok(());
        }
        let mut sink = Sink {
            work: self,
            log: None,
            writer: None,
            files: DataFiles::default(),
            rows: 0,
        };
        let read = self.read(&mut sink).await;
        if self.talk.is_watched() {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
        read?;
        if self.check {
            report.rows = sink.rows;
            return Ok(());
        }
        let rows = sink.rows;
        let (mut log, files) = sink.finish().await?;
        let (number, bytes) = (files.len(), files.bytes());
        let step = Transaction {
            application,
            from: None,
            to: 1,
        };
        let committed = log.commit(Change::append(files, step)).await;
        let committed = committed.map_err(failed)?;
        if committed.was_there {
            // Somebody else did the same job meanwhile.
            report.duplicate = true;
            return Ok(());
        }
        report.version = Some(committed.version);
        (report.rows, report.files, report.bytes) = (rows, number, bytes);
        Ok(())
    }

    /// Whether the table has it already.
    async fn is_done(&self, application: &str) -> Result<bool, Failure> {
        match Log::open(self.location, &LogOptions::default()).await {
            Ok(mut log) => {
                let stands = log.transaction(application).await.map_err(failed)?;
                Ok(stands.is_some())
            }
            Err(Error::NotATable { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    async fn open(&self) -> Result<Log, Failure> {
        let log = Log::open_declared(self.location, self.table, &LogOptions::default()).await;
        log.map_err(failed)
    }

    async fn read(&self, sink: &mut Sink<'_>) -> Result<(), Refused> {
        let validator = Validator::new(&self.table.columns);
        for (number, (path, form)) in self.files.iter().enumerate() {
            let mut pieces = Pieces::open(path, *form, &self.table.columns)?;
            while let Some(piece) = pieces.next()? {
                // Ctrl-C gets its turn.
                tokio::task::yield_now().await;
                let rows = piece.validate(&validator);
                let rows = rows.map_err(|error| refused(path, &piece.places, error))?;
                sink.take(&rows.rows).await?;
                if self.talk.is_watched() {
                    let _ = write!(
                        io::stderr(),
                        "\r\x1b[2Kreading file {} of {}: {} rows",
                        number + 1,
                        self.files.len(),
                        sink.rows
                    );
                }
            }
        }
        Ok(())
    }
}

fn failed(error: Error) -> Failure {
    let failure = match error {
        Error::Unclear { .. } => {
            Failure::unanswered("whether the rows are in the table is unknown")
                .hint("run the same again: what is written is not written twice")
        }
        _ => Failure::unanswered("the rows can't be written"),
    };
    failure.caused_by(error)
}

/// Where rows go.
struct Sink<'a> {
    work: &'a Work<'a>,
    /// Opened when the first rows have been found to fit.
    log: Option<Log>,
    writer: Option<FileWriter>,
    files: DataFiles,
    rows: u64,
}

impl Sink<'_> {
    async fn take(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        self.rows += rows.num_rows() as u64;
        if self.work.check {
            return Ok(());
        }
        let log = match &mut self.log {
            Some(log) => log,
            none => none.insert(self.work.open().await?),
        };
        let stored = fit(rows, log.schema()).map_err(|reason| {
            Failure::usage("the table is stored otherwise than it is declared")
                .caused_by(ArrowError::SchemaError(reason))
                .hint("`doctor` says what differs")
        })?;
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => log.writer().map_err(failed)?,
        };
        writer.write(stored).await.map_err(failed)?;
        if writer.buffered_bytes() < self.work.target_bytes {
            self.writer = Some(writer);
        } else {
            self.files.extend(writer.finish().await.map_err(failed)?);
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(Log, DataFiles), Failure> {
        if let Some(writer) = self.writer.take() {
            self.files.extend(writer.finish().await.map_err(failed)?);
        }
        let log = match self.log {
            Some(log) => log,
            None => self.work.open().await?,
        };
        Ok((log, self.files))
    }
}

/// Rows that are checked together.
struct Piece {
    content: Content,
    places: Places,
}

/// Where rows of a piece stand in their file.
enum Places {
    /// So many rows come before, and so many lines.
    After(usize, usize),
    /// On these lines, counted from 1.
    Lines(Vec<usize>),
}

impl Places {
    fn of(&self, error: RowError) -> RowError {
        let (row, line) = match self {
            Self::After(rows, lines) => (
                error.row.map(|row| row + rows),
                error.line.map(|line| line + lines),
            ),
            Self::Lines(lines) => (None, error.row.and_then(|row| lines.get(row).copied())),
        };
        RowError { row, line, ..error }
    }
}

enum Content {
    Text(Form, Bytes),
    Rows(RecordBatch),
}

impl Piece {
    fn validate(&self, validator: &Validator) -> Result<Validated, Unreadable> {
        let invalid = Invalid::Reject;
        match &self.content {
            Content::Text(form, text) => validator.read(*form, text, invalid, PIECE_MEMORY),
            Content::Rows(rows) => validator.convert(rows.clone(), invalid, PIECE_MEMORY),
        }
    }
}

/// What is wrong with a piece, as places in its file.
fn refused(path: &Path, places: &Places, error: Unreadable) -> Refused {
    match error {
        Unreadable::Rows { errors, .. } => {
            let errors = errors.into_iter().map(|error| Misfit {
                file: path.to_owned(),
                error: places.of(error),
            });
            Refused::Rows(errors.collect())
        }
        error => {
            let hint = match &error {
                Unreadable::Syntax { hint, .. } => hint.clone(),
                Unreadable::Unsupported { hint, .. } => Some(hint.clone()),
                _ => None,
            };
            let failure = Failure::usage(format!("can't read `{}`", path.display()));
            let failure = failure.caused_by(error);
            Refused::Failed(match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            })
        }
    }
}

/// A file, piece by piece.
struct Pieces<'a> {
    path: &'a Path,
    from: Parts<'a>,
    rows: usize,
    lines: usize,
}

enum Parts<'a> {
    Batches(Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>),
    Lines(BufReader<File>),
    Csv(Box<csv::Reader<File>>, Vec<String>, &'a [Column]),
    Document(Option<Bytes>),
}

impl<'a> Pieces<'a> {
    fn open(path: &'a Path, form: FileForm, columns: &'a [Column]) -> Result<Self, Failure> {
        let unread = |error| Failure::read(path, error);
        let broken = |error: ArrowError| {
            Failure::usage(format!("can't read `{}`", path.display())).caused_by(error)
        };
        let mut file = File::open(path).map_err(unread)?;
        let from = match form {
            FileForm::Parquet => {
                let reader = ParquetRecordBatchReaderBuilder::try_new(file)
                    .and_then(|builder| builder.with_batch_size(8192).build());
                Parts::Batches(Box::new(reader.map_err(|error| broken(error.into()))?))
            }
            FileForm::Arrow => {
                let mut magic = Vec::new();
                let begin = Read::by_ref(&mut file).take(ARROW_FILE.len() as u64);
                { begin }.read_to_end(&mut magic).map_err(unread)?;
                io::Seek::rewind(&mut file).map_err(unread)?;
                if magic == ARROW_FILE {
                    Parts::Batches(Box::new(FileReader::try_new(file, None).map_err(broken)?))
                } else {
                    Parts::Batches(Box::new(
                        StreamReader::try_new_buffered(file, None).map_err(broken)?,
                    ))
                }
            }
            FileForm::Ndjson => Parts::Lines(BufReader::new(file)),
            FileForm::Json => {
                let mut text = Vec::new();
                file.read_to_end(&mut text).map_err(unread)?;
                Parts::Document(Some(text.into()))
            }
            FileForm::Csv => {
                let mut reader = csv::Reader::from_reader(file);
                let names = reader.headers().map_err(|error| wrong_csv(path, error))?;
                let names = names.iter().map(str::to_owned).collect();
                Parts::Csv(Box::new(reader), names, columns)
            }
        };
        Ok(Self {
            path,
            from,
            rows: 0,
            lines: 0,
        })
    }

    fn next(&mut self) -> Result<Option<Piece>, Failure> {
        let mut places = Places::After(self.rows, self.lines);
        let content = match &mut self.from {
            Parts::Batches(batches) => match batches.next() {
                None => return Ok(None),
                Some(Ok(rows)) => {
                    self.rows += rows.num_rows();
                    Content::Rows(rows)
                }
                Some(Err(error)) => {
                    let failure = Failure::usage(format!("can't read `{}`", self.path.display()));
                    return Err(failure.caused_by(error));
                }
            },
            Parts::Document(text) => match text.take() {
                None => return Ok(None),
                Some(text) => Content::Text(Form::Json, text),
            },
            Parts::Lines(reader) => {
                let mut text = Vec::new();
                while text.len() < PIECE {
                    let read = reader.read_until(b'\n', &mut text);
                    if read.map_err(|error| Failure::read(self.path, error))? == 0 {
                        break;
                    }
                    self.lines += 1;
                    self.rows += 1;
                }
                if text.is_empty() {
                    return Ok(None);
                }
                Content::Text(Form::Lines, text.into())
            }
            Parts::Csv(reader, names, columns) => {
                let mut text = String::new();
                let mut record = csv::StringRecord::new();
                let mut lines = Vec::new();
                while text.len() < PIECE {
                    let read = reader.read_record(&mut record);
                    if !read.map_err(|error| wrong_csv(self.path, error))? {
                        break;
                    }
                    let at = record.position().map_or(0, csv::Position::line);
                    lines.push(usize::try_from(at).unwrap_or(usize::MAX));
                    object(names, &record, columns, &mut text);
                }
                if text.is_empty() {
                    return Ok(None);
                }
                places = Places::Lines(lines);
                Content::Text(Form::Lines, text.into())
            }
        };
        Ok(Some(Piece { content, places }))
    }
}

fn wrong_csv(path: &Path, error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Failure::read(path, error),
        kind => {
            let reason = ArrowError::CsvError(format!("{kind:?}"));
            let reason = match &kind {
                csv::ErrorKind::Utf8 { pos: Some(at), .. } => {
                    ArrowError::CsvError(format!("line {} is not UTF-8", at.line()))
                }
                csv::ErrorKind::UnequalLengths {
                    pos: Some(at),
                    expected_len,
                    len,
                } => ArrowError::CsvError(format!(
                    "line {} has {len} cells, expected {expected_len} as in the header",
                    at.line()
                )),
                _ => reason,
            };
            Failure::usage(format!("can't read `{}`", path.display())).caused_by(reason)
        }
    }
}

/// A row as a line of JSON, so that one code checks both. Cells of numbers, of booleans and of nested
/// types are JSON already; a cell that isn't becomes a text, which the check then complains about.
fn object(names: &[String], record: &csv::StringRecord, columns: &[Column], text: &mut String) {
    let quoted = |cell: &str| serde_json::Value::from(cell).to_string();
    text.push('{');
    let mut is_first = true;
    for (name, cell) in names.iter().zip(record) {
        let column = columns.iter().find(|column| column.name == *name);
        let is_text = column.is_some_and(|column| column.data_type == Type::String);
        let is_nullable = column.is_none_or(|column| column.nullable);
        // An empty cell of a required text is an empty text.
        if cell.is_empty() && (is_nullable || !is_text) && column.is_some() {
            continue;
        }
        if !is_first {
            text.push(',');
        }
        is_first = false;
        let lowered = cell.to_ascii_lowercase();
        let _ = match column.map(|column| &column.data_type) {
            Some(Type::Bool) if lowered == "true" || lowered == "false" => {
                write!(text, "{}:{lowered}", quoted(name))
            }
            Some(Type::String | Type::Date | Type::Timestamp | Type::Binary) | None => {
                write!(text, "{}:{}", quoted(name), quoted(cell))
            }
            Some(_) if serde_json::from_str::<&serde_json::value::RawValue>(cell).is_ok() => {
                write!(text, "{}:{}", quoted(name), cell.replace('\n', " "))
            }
            Some(_) => write!(text, "{}:{}", quoted(name), quoted(cell)),
        };
    }
    text.push_str("}\n");
}

impl Report {
    fn tell(&self, talk: Talk) -> Result<(), Failure> {
        let rows = count(usize::try_from(self.rows).unwrap_or(usize::MAX), "row");
        if !self.errors.is_empty() {
            let mut text = format!("nothing was written to {}: rows don't fit", self.table);
            for misfit in self.errors.iter().take(SHOWN) {
                let _ = write!(text, "\n  {misfit}");
            }
            let more = self.errors.len().saturating_sub(SHOWN);
            if more > 0 {
                let _ = write!(text, "\n  and {more} more");
            }
            return Err(Failure::finding(text));
        }
        if self.duplicate {
            talk.say(&format!(
                "{} has the job `{}` already; nothing was written",
                self.table, self.job
            ));
        } else if self.checked {
            talk.say(&format!("{rows} would fit into {}", self.table));
        } else {
            talk.say(&format!(
                "{}: {rows} in {}, {}, version {}",
                self.table,
                count(self.files, "file"),
                HumanBytes(self.bytes),
                self.version.unwrap_or_default()
            ));
        }
        Ok(())
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        match (self.error.line, self.error.row) {
            (Some(line), _) => write!(f, ":{line}")?,
            // People count from 1.
            (None, Some(row)) => write!(f, ", row {}", row + 1)?,
            (None, None) => {}
        }
        match self.error.path.as_str() {
            "" => write!(f, ": {}", self.error.message),
            path => write!(f, ": `{path}`: {}", self.error.message),
        }
    }
}
