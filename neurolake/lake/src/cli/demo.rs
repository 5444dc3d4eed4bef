//! `demo`

use std::io::{self, Write};

use neurolake_model::Catalog;

use super::arguments::Demo;
use super::exit::Exit;
use super::failure::Failure;
use super::query::count;
use super::{Context, Outcome, open};
use crate::made_up::{self, Options, Progress};

pub(super) async fn run(context: &Context<'_>, arguments: &Demo) -> Outcome {
    let catalog = open::catalog(context)?;
    let options = Options {
        size: arguments.size,
        seed: arguments.seed,
        force: arguments.force,
    };
    tokio::select! {
        outcome = make_up(context, &catalog, &options) => outcome.map(|()| Exit::Done),
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
    }
}

/// Fills the folder of data.
pub(super) async fn make_up(
    context: &Context<'_>,
    catalog: &Catalog,
    options: &Options,
) -> Result<(), Failure> {
    let folder = &context.config.data;
    let talk = context.talk;
    let progress = move |progress: Progress| {
        if talk.is_watched() {
            let _ = write!(
                io::stderr(),
                "\r\x1b[2Kmaking up data: {} of {} tables, {}",
                progress.done,
                progress.tables,
                progress.table
            );
        }
    };
    let summary = made_up::write(catalog, folder, options, &progress).await;
    if talk.is_watched() {
        let _ = write!(io::stderr(), "\r\x1b[2K");
    }
    let summary = summary.map_err(|error| {
        Failure::system("can't make up data")
            .caused_by(error)
            .hint("choose another folder with `--data DIR`, or use `demo --force`")
    })?;
    let rows = usize::try_from(summary.total()).unwrap_or(usize::MAX);
    talk.say(&format!(
        "made-up data: {} in {}, in {}",
        count(rows, "row"),
        count(summary.rows.len(), "table"),
        folder.display()
    ));
    Ok(())
}
