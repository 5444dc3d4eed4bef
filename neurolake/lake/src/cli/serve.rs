//! `serve`: the doors alone, over tables that others write.

use neurolake_serve::{Doors, System};

use super::arguments::Serve;
use super::exit::Exit;
use super::listen::{self, Serving, Sockets, asked_to_end};
use super::query::count;
use super::talk::print;
use super::{Context, Outcome, open};

pub(super) async fn run(context: &Context<'_>, arguments: &Serve) -> Outcome {
    let sockets = Sockets::open(context, &arguments.listen).await?;
    let end = Box::pin(asked_to_end()?);
    if open::lacks_data(context) {
        open::warn_of_no_data(context);
    }
    let mut catalog = open::catalog(context)?;
    let addresses = sockets.addresses();
    catalog.endpoints = addresses.endpoints();
    let system = System::default();
    let settings = listen::settings(context, &catalog, system.clone())?;
    let tables = count(catalog.tables().count(), "table");
    let lake = open::lake_of_server(context, catalog, &system)?;
    let doors = Doors::new(lake.engine().clone(), settings)?;
    print(&format!("{}\n", addresses.http))?;
    let mut lines = vec![format!("answering about {tables}")];
    if let Some(pg) = &addresses.pg {
        lines.push(format!(
            "  psql    postgresql://{pg}/{}",
            lake.catalog().name
        ));
    }
    if let Some(flight) = &addresses.flight {
        lines.push(format!("  Flight  {flight}"));
    }
    let serving = Serving::new(sockets, doors)?;
    context.talk.say(&lines.join("\n"));
    serving.serve(context, end).await?;
    Ok(Exit::Done)
}
