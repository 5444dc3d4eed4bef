//! `writer`: takes events from a broker to their tables.

use std::future::IntoFuture;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use neurolake_ingest::metrics::MEDIA_TYPE;

use super::arguments::Writer;
use super::config::Queue;
use super::exit::Exit;
use super::failure::Failure;
use super::{Context, Outcome, ingest, listen, open};

pub(super) async fn run(context: &Context<'_>, arguments: &Writer) -> Outcome {
    let Queue::Nats(_) = context.config.ingest.queue else {
        return Err(Failure::usage(
            "the queue of events is a folder, which belongs to the process that serves it",
        )
        .hint("`up` writes its tables; a writer of its own needs a broker, see `ingest.queue`"));
    };
    // Before anything is written: an address that is taken should be known at once.
    let listener = match &arguments.http {
        Some(text) => {
            let addresses = listen::resolve(text).await?;
            Some(listen::bind("--http", text, &addresses).await?)
        }
        None => None,
    };
    let catalog = open::catalog(context)?;
    let Some(mut receiving) = ingest::receive(context, &catalog, None).await? else {
        return Err(Failure::usage("no table takes events")
            .hint("declare one with `#[table(delta = ..., ingest)]`"));
    };
    let mut end = Box::pin(listen::asked_to_end()?);
    receiving.watch();
    receiving.write(context);
    let tables = receiving.ingest.streams().count();
    context
        .talk
        .say(&format!("writing {}", super::query::count(tables, "table")));
    let mut served = Ok(());
    match listener {
        Some(listener) => {
            let metrics = receiving.metrics();
            let totals = receiving.totals();
            // A writer that waits for its broker is well, but not ready.
            let ready = async move || match totals.borrow().known {
                0 => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the queue of events doesn't answer\n",
                ),
                _ => (StatusCode::OK, "ready\n"),
            };
            let router = Router::new()
                .route("/health", get(async || "ok\n"))
                .route("/ready", get(ready))
                .route(
                    "/metrics",
                    get(async move || ([(CONTENT_TYPE, MEDIA_TYPE)], metrics.text())),
                );
            tokio::select! {
                ended = axum::serve(listener, router).into_future() => served = ended,
                () = &mut end => {}
            }
        }
        None => end.await,
    }
    receiving.finish().await;
    served.map_err(|error| Failure::system("the server broke down").caused_by(error))?;
    Ok(Exit::Done)
}
