//! The catalog and the lake that a command works on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use catalog_gen::reader::{ReadOptions, Reader};
use neurolake_model::{Catalog, Database, Source, Table};
use neurolake_query::stores::DEFAULT;
use neurolake_query::suggest::nearest;
use neurolake_query::{ObjectStoreSettings, Store, Stores, Tails};
use neurolake_serve::System;

use super::failure::Failure;
use super::{Context, ingest};
use crate::{Lake, lake_builder, registry};

/// Folder of buckets in the folder of data.
const BUCKETS: &str = "buckets";
/// Folder of copies of databases and sheets.
const COPIES: &str = "copies";

/// The tables: of a file, or of the program.
pub(super) fn catalog(context: &Context<'_>) -> Result<Catalog, Failure> {
    if let Some(path) = &context.config.catalog {
        return load(path);
    }
    let tables = registry::tables();
    let Some(first) = tables.first() else {
        return Err(Failure::usage("this program declares no tables").hint(
            "name a catalog with `--catalog catalog.json`, or call `neurolake::main()` in a \
             program of your own that uses your crate of declarations",
        ));
    };
    let name = workspace_name().unwrap_or_else(|| {
        let package = first.module.split("::").next().unwrap_or("lake");
        package.to_owned()
    });
    Ok(registry::catalog(&name))
}

/// The same with what only the source tells, such as links between pages: where the current folder
/// is in the workspace that the program was made of.
pub(super) fn documented_catalog(context: &Context<'_>) -> Result<Catalog, Failure> {
    let own = catalog(context)?;
    if context.config.catalog.is_some() {
        return Ok(own);
    }
    let Ok(mut reader) = Reader::open(ReadOptions::default()) else {
        return Ok(own);
    };
    let reading = reader.read(false);
    let names = |catalog: &Catalog| -> BTreeSet<(String, String)> {
        let tables = catalog.tables();
        tables
            .map(|(database, table)| (database.name.clone(), table.name.clone()))
            .collect()
    };
    let (scanned, linked) = (names(&reading.catalog), names(&own));
    if reading.is_good() && linked.is_subset(&scanned) {
        if scanned.len() > linked.len() {
            context.talk.warn(
                "the source declares tables that this program doesn't have",
                Some("build it again"),
            );
        }
        return Ok(reading.catalog);
    }
    if linked.is_subset(&scanned) {
        context.talk.warn(
            "the source has errors, so the site shows what the program was made of",
            Some("`catalog-gen check` says where"),
        );
    }
    Ok(own)
}

fn load(path: &Path) -> Result<Catalog, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("can't read the catalog `{}`", path.display())).caused_by(error)
    })?;
    Catalog::from_json(&text).map_err(|error| {
        Failure::usage(format!("can't load the catalog `{}`", path.display()))
            .caused_by(error)
            .hint("`catalog-gen build` writes it")
    })
}

/// `catalog = "..."` under `[workspace.metadata.neurolake]`, without running cargo.
fn workspace_name() -> Option<String> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().find_map(|folder| {
        let text = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        let manifest: toml::Table = text.parse().ok()?;
        let settings = manifest
            .get("workspace")?
            .get("metadata")?
            .get("neurolake")?;
        settings.get("catalog")?.as_str().map(str::to_owned)
    })
}

/// The lake over this catalog, as it is configured.
pub(super) fn lake(context: &Context<'_>, catalog: Catalog) -> Result<Lake, Failure> {
    let tails = tails(context, &catalog)?;
    lake_with(context, catalog, tails, None)
}

/// The same with the tables of a server.
pub(super) fn lake_of_server(
    context: &Context<'_>,
    catalog: Catalog,
    system: &System,
) -> Result<Lake, Failure> {
    let tails = tails(context, &catalog)?;
    lake_with(context, catalog, tails, Some(system))
}

/// Who knows the rows on their way to tables that take events.
fn tails(context: &Context<'_>, catalog: &Catalog) -> Result<Option<Arc<dyn Tails>>, Failure> {
    match catalog.tables().any(|(_, table)| table.ingest) {
        true => ingest::elsewhere(context),
        false => Ok(None),
    }
}

/// The lake with the rows that are on their way to its tables.
pub(super) fn lake_with(
    context: &Context<'_>,
    catalog: Catalog,
    tails: Option<Arc<dyn Tails>>,
    system: Option<&System>,
) -> Result<Lake, Failure> {
    let stores = stores(context, &catalog);
    let builder = lake_builder(catalog)
        .stores(stores)
        .limits(context.config.limits.clone());
    let mut builder = match tails {
        Some(tails) => builder.tails(tails),
        None => builder,
    };
    for (table, rows) in system.map(System::tables).unwrap_or_default() {
        builder = builder.system(table, rows);
    }
    Ok(builder.build()?.into())
}

/// The configured stores; where none is, everything that the catalog names lies in the folder of
/// data.
pub(super) fn stores(context: &Context<'_>, catalog: &Catalog) -> Stores {
    if let Some(stores) = &context.config.stores {
        return stores.clone();
    }
    let data = &context.config.data;
    let buckets = || {
        Store::Objects(ObjectStoreSettings {
            local: Some(data.join(BUCKETS)),
            ..ObjectStoreSettings::default()
        })
    };
    let mut stores = Stores::default();
    stores.by_name.insert(DEFAULT.to_owned(), buckets());
    for (_, table) in catalog.tables() {
        let Some(name) = &table.store else {
            continue;
        };
        let store = match table.source {
            Source::Postgres { .. } | Source::Sheet { .. } => Store::Copies {
                folder: data.join(COPIES),
            },
            _ => buckets(),
        };
        stores.by_name.insert(name.clone(), store);
    }
    stores
}

pub(super) fn warn_of_no_data(context: &Context<'_>) {
    context.talk.warn(
        &format!("there is no data in `{}`", context.config.data.display()),
        Some("say in neurolake.toml where data lies, or make some up with `demo`"),
    );
}

/// Whether data lies in the folder of data and none is there yet.
pub(super) fn lacks_data(context: &Context<'_>) -> bool {
    let is_empty = |name: &str| {
        let entries = std::fs::read_dir(context.config.data.join(name));
        entries.map_or(true, |mut entries| entries.next().is_none())
    };
    context.config.stores.is_none() && is_empty(BUCKETS) && is_empty(COPIES)
}

/// A table by `database.table`, or the nearest name.
pub(super) fn find<'a>(
    catalog: &'a Catalog,
    name: &str,
) -> Result<(&'a Database, &'a Table), Failure> {
    let full = |(database, table): (&Database, &Table)| format!("{}.{}", database.name, table.name);
    if let Some(found) = catalog.tables().find(|found| full(*found) == name) {
        return Ok(found);
    }
    let names: Vec<String> = catalog.tables().map(full).collect();
    let short = |full: &String| full.rsplit('.').next() == Some(name);
    let near = names.iter().find(|full| short(full)).map(String::as_str);
    let near = near.or_else(|| nearest(name, names.iter().map(String::as_str)));
    let failure = Failure::usage(format!("there is no table `{name}`"));
    Err(match near {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`tables` lists all of them"),
    })
}

/// A Delta table by `database.table`.
pub(super) fn find_delta<'a>(
    catalog: &'a Catalog,
    name: &str,
) -> Result<(&'a Database, &'a Table), Failure> {
    let (database, table) = find(catalog, name)?;
    match table.source {
        Source::Delta { .. } => Ok((database, table)),
        _ => Err(Failure::usage(format!("`{name}` is no Delta table"))),
    }
}
