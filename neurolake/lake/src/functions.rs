//! Function tables of this program: from filters of a query to a call in Rust.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use neurolake_model::Catalog;
use neurolake_query::datafusion::dataframe::DataFrame;
use neurolake_query::datafusion::scalar::ScalarValue;
use neurolake_query::{Arguments, FunctionTable, LakeBuilder};

use crate::scalars::FromArgument;
use crate::{Error, Kind, Lake, Result, registry};

/// What a function table gives in the end.
#[doc(hidden)]
pub type Answer = Pin<Box<dyn Future<Output = Result<DataFrame>> + Send>>;

/// Written by `#[table]`: takes the values apart and calls the function.
#[doc(hidden)]
pub type Rows = fn(Lake, Arguments) -> Answer;

struct Registered(Rows);

#[async_trait::async_trait]
impl FunctionTable for Registered {
    async fn rows(&self, lake: neurolake_query::Lake, arguments: Arguments) -> Result<DataFrame> {
        (self.0)(lake.into(), arguments).await
    }
}

/// Begins a lake over this catalog, with every function table that is linked into the program.
pub fn lake_builder(catalog: Catalog) -> LakeBuilder {
    let mut builder = neurolake_query::Lake::builder(catalog);
    for (database, table, rows) in registry::functions() {
        builder = builder.function(database, table, Arc::new(Registered(rows)));
    }
    builder
}

/// One argument of a function, from its value in the query.
#[doc(hidden)]
pub fn argument<T: FromArgument>(name: &str, value: Option<Option<ScalarValue>>) -> Result<T> {
    let value = match value.flatten() {
        Some(value) => T::from_argument(&value),
        None => T::absent(),
    };
    value.ok_or_else(|| {
        Error::new(
            Kind::Internal,
            format!("the argument `{name}` has no value of its declared type"),
        )
        .with_hint("the catalog is older than the program: generate it again")
    })
}

/// The answer of a function, whatever kind of error it has.
#[doc(hidden)]
pub fn answer<E: Into<Error>>(answer: Result<DataFrame, E>) -> Result<DataFrame> {
    answer.map_err(Into::into)
}
