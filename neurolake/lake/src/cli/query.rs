//! `query`

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use datafusion::common::{ParamValues, ScalarValue};
use futures::StreamExt;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use neurolake_query::{Answer, Request};
use neurolake_serve::{Encoder, Format, pieces};

use super::arguments::{Query, QueryFormat};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::talk::{Talk, print};
use super::text_table::TextTable;
use super::{Context, Outcome, open};

/// Work shorter than this needs no explanation.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) async fn run(context: &Context<'_>, arguments: &Query) -> Outcome {
    let format = format(arguments)?;
    let request = Request {
        parameters: parameters(&arguments.param)?,
        ..Request::new(statement(arguments)?)
    };
    let lake = open::lake(context, open::catalog(context)?)?;
    // On a thread of its own, whose stack is large enough, and where Ctrl-C can leave it alone.
    let answer = tokio::spawn(async move { lake.query(request).await });
    let work = async {
        let answer = answer.await.map_err(|error| {
            Failure::unanswered("the query ended without a word").caused_by(error)
        })??;
        let progress = Progress::new(context.talk, arguments.output.as_deref());
        match format {
            QueryFormat::Table => table(arguments, answer, progress, context.talk).await,
            QueryFormat::Parquet => encoded(arguments, answer, Format::Parquet, progress).await,
            QueryFormat::Json => encoded(arguments, answer, Format::Json, progress).await,
            QueryFormat::Ndjson => encoded(arguments, answer, Format::NdJson, progress).await,
            QueryFormat::Csv => encoded(arguments, answer, Format::Csv, progress).await,
            QueryFormat::Arrow => encoded(arguments, answer, Format::Arrow, progress).await,
        }
    };
    tokio::select! {
        outcome = work => outcome.map(|()| Exit::Done),
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
    }
}

fn statement(arguments: &Query) -> Result<String, Failure> {
    let text = match (&arguments.file, arguments.sql.as_deref()) {
        (Some(path), _) => {
            std::fs::read_to_string(path).map_err(|error| Failure::read(path, error))?
        }
        (None, Some("-")) => io::read_to_string(io::stdin())
            .map_err(|error| Failure::read(Path::new("standard input"), error))?,
        (None, sql) => sql.unwrap_or_default().to_owned(),
    };
    if text.trim().is_empty() {
        return Err(Failure::usage("the statement is empty")
            .hint("write it in quotes: query \"select ...\""));
    }
    Ok(text)
}

fn format(arguments: &Query) -> Result<QueryFormat, Failure> {
    let is_terminal = arguments.output.is_none() && io::stdout().is_terminal();
    let format = match (arguments.format, &arguments.output) {
        (Some(format), _) => format,
        (None, Some(path)) => by_extension(path)?,
        (None, None) if is_terminal => QueryFormat::Table,
        (None, None) => QueryFormat::Csv,
    };
    if is_terminal && matches!(format, QueryFormat::Arrow | QueryFormat::Parquet) {
        return Err(Failure::usage("a terminal can't show this format")
            .hint("write to a file with `--output FILE`"));
    }
    Ok(format)
}

fn by_extension(path: &Path) -> Result<QueryFormat, Failure> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    Ok(match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("parquet") => QueryFormat::Parquet,
        Some("csv") => QueryFormat::Csv,
        Some("json") => QueryFormat::Json,
        Some("ndjson" | "jsonl") => QueryFormat::Ndjson,
        Some("arrow" | "arrows" | "ipc") => QueryFormat::Arrow,
        Some("txt") => QueryFormat::Table,
        _ => {
            return Err(Failure::usage(format!(
                "the name `{}` doesn't say which format is wanted",
                path.display()
            ))
            .hint("name it with `--format`, or end the name with .parquet, .csv, .json, .ndjson or .arrow"));
        }
    })
}

fn parameters(given: &[String]) -> Result<Option<ParamValues>, Failure> {
    if given.is_empty() {
        return Ok(None);
    }
    let mut values: HashMap<String, ScalarValue> = HashMap::new();
    for parameter in given {
        let Some((name, value)) = parameter.split_once('=') else {
            return Err(Failure::usage(format!("`--param {parameter}` has no name"))
                .hint("write `--param id=7` for `$id`, or `--param 1=7` for `$1`"));
        };
        let name = name.trim_start_matches('$').to_owned();
        values.insert(name, scalar(value));
    }
    // `$1`, `$2`... are a list to the engine.
    let positions: Option<Vec<ScalarValue>> = (1..=values.len())
        .map(|position| values.get(&position.to_string()).cloned())
        .collect();
    Ok(Some(match positions {
        Some(list) => ParamValues::from(list),
        None => ParamValues::from(values),
    }))
}

fn scalar(text: &str) -> ScalarValue {
    use serde_json::Value;
    match serde_json::from_str(text) {
        Ok(Value::Null) => ScalarValue::Null,
        Ok(Value::Bool(value)) => ScalarValue::Boolean(Some(value)),
        Ok(Value::String(value)) => ScalarValue::Utf8(Some(value)),
        Ok(Value::Number(number)) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => ScalarValue::Int64(Some(value)),
            (None, Some(value)) => ScalarValue::UInt64(Some(value)),
            (None, None) => ScalarValue::Float64(number.as_f64()),
        },
        _ => ScalarValue::Utf8(Some(text.to_owned())),
    }
}

async fn table(
    arguments: &Query,
    mut answer: Answer,
    mut progress: Progress,
    talk: Talk,
) -> Result<(), Failure> {
    let most = if arguments.rows == 0 {
        usize::MAX
    } else {
        arguments.rows
    };
    let mut table = TextTable::new(&answer.schema);
    let mut is_cut = false;
    while let Some(batch) = progress.next(&mut answer).await? {
        let left = most - table.rows();
        let pushed = table.push(&batch, left);
        pushed.map_err(|error| {
            Failure::usage("a value can't be shown")
                .caused_by(error)
                .hint("choose another `--format`, or cast the column")
        })?;
        if batch.num_rows() > left {
            is_cut = true;
            break;
        }
    }
    progress.end();
    let text = table.render();
    match arguments.output.as_deref() {
        Some(path) => super::output::write_atomically(path, text.as_bytes())?,
        None => print(&text)?,
    }
    if is_cut {
        talk.say(&format!(
            "the first {}; `--rows 0` shows all, `--format csv` writes all",
            count(table.rows(), "row")
        ));
    } else {
        talk.say(&count(table.rows(), "row"));
    }
    Ok(())
}

async fn encoded(
    arguments: &Query,
    mut answer: Answer,
    format: Format,
    mut progress: Progress,
) -> Result<(), Failure> {
    let mut encoder = Encoder::new(format, &answer.schema)?;
    let mut output = Output::open(arguments.output.as_deref())?;
    while let Some(batch) = progress.next(&mut answer).await? {
        for piece in pieces(&batch) {
            let bytes = encoder.encode(&piece)?;
            progress.wrote(bytes.len());
            output.put(&bytes)?;
        }
    }
    output.put(&encoder.finish()?)?;
    progress.end();
    output.commit()
}

/// What a person watches while a query works for long.
struct Progress {
    bar: ProgressBar,
    started: Instant,
    is_shown: bool,
    may_show: bool,
    rows: usize,
    bytes: usize,
}

impl Progress {
    fn new(talk: Talk, output: Option<&Path>) -> Self {
        // Rows that run over the terminal show progress enough.
        let may_show = talk.is_watched() && (output.is_some() || !io::stdout().is_terminal());
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
            bar.set_style(style);
        }
        Self {
            bar,
            started: Instant::now(),
            is_shown: false,
            may_show,
            rows: 0,
            bytes: 0,
        }
    }

    /// The next rows.
    async fn next(&mut self, answer: &mut Answer) -> Result<Option<RecordBatch>, Failure> {
        loop {
            let tick = Duration::from_millis(200);
            let Ok(batch) = tokio::time::timeout(tick, answer.stream.next()).await else {
                self.show();
                continue;
            };
            let Some(batch) = batch else {
                return Ok(None);
            };
            let batch = batch.map_err(neurolake_query::Error::from)?;
            self.rows += batch.num_rows();
            self.show();
            return Ok(Some(batch));
        }
    }

    fn wrote(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    fn show(&mut self) {
        if !self.may_show || self.started.elapsed() < PATIENCE {
            return;
        }
        if !self.is_shown {
            self.is_shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_message(format!(
            "{} rows, {}",
            HumanCount(self.rows as u64),
            HumanBytes(self.bytes as u64)
        ));
        self.bar.tick();
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

pub(super) fn count(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_what_they_look_like() {
        assert_eq!(scalar("7"), ScalarValue::Int64(Some(7)));
        assert_eq!(scalar("\"7\""), ScalarValue::Utf8(Some("7".into())));
        assert_eq!(scalar("null"), ScalarValue::Null);
        assert_eq!(
            scalar("2026-03-01"),
            ScalarValue::Utf8(Some("2026-03-01".into()))
        );
        assert_eq!(
            scalar("x' or 1=1"),
            ScalarValue::Utf8(Some("x' or 1=1".into()))
        );
    }
}
