//! The command as a person or a script runs it: judged by exit code, output and files.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod events;
mod queries;
mod runs;
mod settings;
mod up;
