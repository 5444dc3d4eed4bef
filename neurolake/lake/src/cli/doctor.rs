//! `doctor`

use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use neurolake_query::{Error, Kind};
use serde::Serialize;

use super::arguments::{Doctor, ReportFormat};
use super::exit::Exit;
use super::failure::Failure;
use super::query::count;
use super::talk::print;
use super::{Context, Outcome, open};
use crate::Lake;

/// Tables that are opened at once.
const AT_ONCE: usize = 8;

/// What was found out about a table.
#[derive(Debug, Serialize)]
struct Finding {
    table: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

pub(super) async fn run(context: &Context<'_>, arguments: &Doctor) -> Outcome {
    let catalog = open::catalog(context)?;
    let names = names(&catalog, &arguments.tables)?;
    let lake = open::lake(context, catalog)?;
    let patience = Duration::from_secs(arguments.patience);
    let findings: Vec<Finding> = stream::iter(names)
        .map(|(database, table)| look(lake.clone(), database, table, patience))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let broken = findings.iter().filter(|finding| !finding.ok).count();
    match arguments.format {
        ReportFormat::Text => {
            print(&text(&findings))?;
            let good = findings.len() - broken;
            context.talk.say(&format!(
                "{}, {good} good, {broken} broken",
                count(findings.len(), "table")
            ));
        }
        ReportFormat::Json => {
            let json = serde_json::to_string(&findings);
            let json =
                json.map_err(|error| Failure::system("can't write JSON").caused_by(error))?;
            print(&format!("{json}\n"))?;
        }
    }
    Ok(if broken == 0 {
        Exit::Done
    } else {
        Exit::Findings
    })
}

fn names(
    catalog: &neurolake_model::Catalog,
    wanted: &[String],
) -> Result<Vec<(String, String)>, Failure> {
    if wanted.is_empty() {
        let tables = catalog.tables();
        return Ok(tables
            .map(|(d, t)| (d.name.clone(), t.name.clone()))
            .collect());
    }
    let found = wanted.iter().map(|name| open::find(catalog, name));
    found
        .map(|found| found.map(|(d, t)| (d.name.clone(), t.name.clone())))
        .collect()
}

async fn look(lake: Lake, database: String, table: String, patience: Duration) -> Finding {
    let name = format!("{database}.{table}");
    // On a thread of its own: a bug in one table is a finding about that table.
    let opened = tokio::spawn(async move {
        let session = lake.session();
        session
            .engine()
            .provider(&database, &table, None)
            .await
            .map(drop)
    });
    let outcome = match tokio::time::timeout(patience, opened).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(Error::new(Kind::Internal, "opening it panicked").with_source(panic)),
        Err(_) => Err(Error::new(
            Kind::Timeout,
            format!("it did not open within {patience:?}"),
        )),
    };
    let (error, hint) = match outcome {
        Ok(()) => (None, None),
        Err(error) => {
            let hint = error.hint.clone();
            (Some(Failure::from(error).with_causes()), hint)
        }
    };
    Finding {
        table: name,
        ok: error.is_none(),
        error,
        hint,
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = if finding.ok { "ok    " } else { "broken" };
        text.push_str(&format!("{word}  {}\n", finding.table));
        if let Some(error) = &finding.error {
            text.push_str(&format!("        {}\n", error.replace('\n', "\n        ")));
        }
        if let Some(hint) = &finding.hint {
            text.push_str(&format!("        hint: {hint}\n"));
        }
    }
    text
}
