//! The command as a person or a script runs it: judged by exit code, output and files.

mod queries;
mod runs;
mod settings;
mod up;
