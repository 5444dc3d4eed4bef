//! The doors as clients use them: a real server on a free port, real requests.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod client;
mod formats;
mod graphql;
mod lake;
mod limits;
mod manners;
mod rest;
mod site;
