//! The doors: read-only SQL, REST and GraphQL over HTTP, the catalog and its site.
//!
//! This room knows headers, sockets and how rows are written as text or Arrow. It refuses to plan:
//! a door makes a small [`neurolake_query::Request`] and passes on what comes back. It reads no
//! environment and no files of settings; a program hands it [`Settings`].
//!
//! Read in this order: [`doors`] (what is answered where), `guard` (who may ask), `accounts` (as whom), `identity` (which
//! request it was), `sql` (the SQL door), `rest` (the same for one table in PostgREST's words),
//! `graphql` (for several, in Hasura's), `select` (a question about one table, as data), `turn` (the one
//! way into the engine), `format` (which form the client wants), `parameters`,
//! `admission` (how many at once), `kept` (answers that are given again), `running` (a query and its body), `journal` (its line in the log), `system` and `metrics` (what is known of all of them), [`encode`] (rows to bytes),
//! `refusal` (errors), `document` (the catalog and its stores), `health`, `site`, [`pg`] (the same for clients of
//! PostgreSQL), [`flight`] (for clients of Arrow Flight SQL).

mod accounts;
mod admission;
mod document;
pub mod doors;
pub mod encode;
pub mod flight;
mod format;
mod graphql;
mod guard;
mod health;
mod identity;
mod journal;
mod kept;
mod metrics;
mod parameters;
pub mod pg;
mod redact;
mod refusal;
mod rest;
mod running;
mod select;
mod site;
mod sql;
mod system;
mod turn;

pub use accounts::Account;
pub use doors::{Doors, Settings};
pub use encode::{Encoder, Format, pieces};
pub use flight::FlightDoor;
pub use metrics::MoreMetrics;
pub use pg::{PgDoor, Tls};
pub use rest::Description;
pub use system::System;
