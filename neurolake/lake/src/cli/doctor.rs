//! `doctor`

use std::fmt::Write;
use std::time::{Duration, Instant};

use futures::StreamExt;
use neurolake_query::Lake as Engine;
use neurolake_query::doctor::{Checkup, Outcome as Health, StoreOutcome, StoreReport, TableReport};
use serde::Serialize;

use super::arguments::{Doctor, ReportFormat};
use super::exit::Exit;
use super::failure::Failure;
use super::query::count;
use super::talk::{json, print};
use super::{Context, Outcome, open};

/// What was found out about a table or a store.
#[derive(Debug, Serialize)]
struct Finding {
    name: String,
    kind: String,
    /// `ok`, `differs` or `broken`.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Declared against stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<String>,
    milliseconds: u128,
}

#[derive(Debug, Serialize)]
struct Report {
    tables: Vec<Finding>,
    stores: Vec<Finding>,
}

pub(super) async fn run(context: &Context<'_>, arguments: &Doctor) -> Outcome {
    tokio::select! {
        outcome = examine(context, arguments) => outcome,
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
    }
}

async fn examine(context: &Context<'_>, arguments: &Doctor) -> Outcome {
    let catalog = open::catalog(context)?;
    let wanted: Result<Vec<(String, String)>, Failure> = arguments
        .tables
        .iter()
        .map(|name| open::find(&catalog, name).map(|(d, t)| (d.name.clone(), t.name.clone())))
        .collect();
    let wanted = Some(wanted?).filter(|wanted| !wanted.is_empty());
    let looks_at_stores = wanted.is_none();
    let checkup = Checkup {
        tables: wanted,
        deadline: Duration::from_secs(arguments.patience),
        ..Checkup::default()
    };
    let lake = open::lake(context, catalog)?;
    let lake = lake.engine();
    // On threads whose stacks are large enough to plan any view.
    let tables = tokio::spawn(lake.doctor(&checkup).map(table).collect::<Vec<Finding>>());
    let mut tables = tables.await.map_err(|error| {
        Failure::unanswered("the checkup ended without a word").caused_by(error)
    })?;
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let stores = if looks_at_stores {
        lake.check_stores(&checkup).await
    } else {
        Vec::new()
    };
    let mut proofs = Vec::new();
    if arguments.prove_commits {
        for report in &stores {
            proofs.extend(prove(lake, report).await);
        }
    }
    let report = Report {
        tables,
        stores: stores.into_iter().filter_map(store).chain(proofs).collect(),
    };
    match arguments.format {
        ReportFormat::Text => {
            print(&text(&report))?;
            context.talk.say(&summary(&report));
        }
        ReportFormat::Json => print(&json(&report)?)?,
    }
    let mut all = report.tables.iter().chain(&report.stores);
    Ok(if all.all(|finding| finding.state == "ok") {
        Exit::Done
    } else {
        Exit::Findings
    })
}

fn table(report: TableReport) -> Finding {
    let name = format!("{}.{}", report.database, report.table);
    let mut finding = Finding::ok(name, report.kind, report.took);
    match report.outcome {
        Health::Ok(health) => {
            finding.differences = health.notes.iter().map(ToString::to_string).collect();
        }
        Health::Differs(differences) => {
            finding.state = "differs";
            finding.differences = differences.iter().map(ToString::to_string).collect();
        }
        Health::Broken(error) => finding.blame(error),
    }
    finding
}

/// `None` where nothing can be committed.
async fn prove(lake: &Engine, report: &StoreReport) -> Option<Finding> {
    let (Some(bucket), StoreOutcome::Reachable) = (&report.bucket, &report.outcome) else {
        return None;
    };
    let begun = Instant::now();
    let proof = lake.prove_commits(&report.store, bucket).await;
    let name = format!("{}: {bucket}, commits", report.store);
    let mut finding = Finding::ok(name, report.kind.to_owned(), begun.elapsed());
    if let Err(error) = proof {
        finding.blame(error);
    }
    Some(finding)
}

/// `None` where there was nothing to look at.
fn store(report: StoreReport) -> Option<Finding> {
    let name = match report.bucket {
        Some(bucket) => format!("{}: {bucket}", report.store),
        None => report.store,
    };
    let mut finding = Finding::ok(name, report.kind.to_owned(), report.took);
    match report.outcome {
        StoreOutcome::Reachable => {}
        StoreOutcome::NotAsked => return None,
        StoreOutcome::Broken(error) => finding.blame(error),
    }
    Some(finding)
}

impl Finding {
    fn ok(name: String, kind: String, took: Duration) -> Self {
        Self {
            name,
            kind,
            state: "ok",
            error: None,
            hint: None,
            differences: Vec::new(),
            milliseconds: took.as_millis(),
        }
    }

    fn blame(&mut self, error: neurolake_query::Error) {
        self.state = "broken";
        self.hint.clone_from(&error.hint);
        self.error = Some(Failure::from(error).with_causes());
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for (word, findings) in [("table", &report.tables), ("store", &report.stores)] {
        for finding in findings {
            let _ = writeln!(text, "{:<7}  {word}  {}", finding.state, finding.name);
            if let Some(error) = &finding.error {
                let _ = writeln!(text, "         {}", error.replace('\n', "\n         "));
            }
            for difference in &finding.differences {
                let _ = writeln!(text, "         {difference}");
            }
            if let Some(hint) = &finding.hint {
                let _ = writeln!(text, "         hint: {hint}");
            }
        }
    }
    text
}

fn summary(report: &Report) -> String {
    let in_state = |state| report.tables.iter().filter(|f| f.state == state).count();
    format!(
        "{}: {} in order, {} differing from the declaration, {} broken",
        count(report.tables.len(), "table"),
        in_state("ok"),
        in_state("differs"),
        in_state("broken"),
    )
}
