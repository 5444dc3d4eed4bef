//! Standard error for people, standard output for data.

use std::io::{self, IsTerminal, Write};

use clap::ColorChoice;
use serde::Serialize;

use super::environment;
use super::failure::Failure;

/// Standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Talk {
    pub(crate) quiet: bool,
    colors: bool,
}

impl Talk {
    pub(crate) fn new(color: ColorChoice, quiet: bool) -> Self {
        let colors = match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => io::stderr().is_terminal() && !environment::no_color(),
        };
        Self { quiet, colors }
    }

    /// A line about what is done.
    pub(crate) fn say(self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Whether somebody watches.
    pub(crate) fn is_watched(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    pub(crate) fn warn(self, text: &str, hint: Option<&str>) {
        self.line("warning", "33", text, hint);
    }

    pub(crate) fn failure(self, failure: &Failure) {
        if !failure.is_silent {
            self.line(
                "error",
                "31",
                &failure.with_causes(),
                failure.hint.as_deref(),
            );
        }
    }

    /// Bold, where colours are.
    pub(crate) fn strong(self, text: &str) -> String {
        self.styled("1", text)
    }

    /// Less important, where colours are.
    pub(crate) fn faint(self, text: &str) -> String {
        self.styled("2", text)
    }

    fn styled(self, style: &str, text: &str) -> String {
        if self.colors {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn line(self, word: &str, color: &str, text: &str, hint: Option<&str>) {
        let word = self.styled(&format!("1;{color}"), word);
        let hint = hint
            .map(|hint| format!("\nhint: {hint}"))
            .unwrap_or_default();
        let _ = writeln!(io::stderr(), "{word}: {text}{hint}");
    }
}

/// A value as a line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    written(serde_json::to_string(value))
}

/// A value as JSON that people can read, too.
pub(crate) fn pretty_json(value: &impl Serialize) -> Result<String, Failure> {
    written(serde_json::to_string_pretty(value))
}

fn written(json: serde_json::Result<String>) -> Result<String, Failure> {
    let json = json.map_err(|error| Failure::system("can't write JSON").caused_by(error))?;
    Ok(json + "\n")
}

/// Data on standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::print)
}
