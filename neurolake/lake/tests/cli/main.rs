//! The command as a person or a script runs it: judged by exit code, output and files.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod broker;
mod events;
mod queries;
mod runs;
#[path = "../../../ingest/tests/ingest/queue/server.rs"]
#[expect(dead_code, reason = "shared with tests of the queue")]
mod server;
mod settings;
mod up;
mod write;
