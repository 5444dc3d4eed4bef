//! Each statement, from its beginning to its end, however it ends: in the log, in the audit file, in
//! `system.queries` and in the counters.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use neurolake_query::{Answer, Error, Inputs, Kind, Profile, Result};

use crate::accounts::{Client, Principal};
use crate::doors::Shared;
use crate::identity::RequestId;
use crate::kept::Made;
use crate::redact::without_literals;
use crate::system::{Begun, Ended, millis};

/// A statement that runs. Dropped before its end, it was cancelled.
pub(crate) struct Log {
    shared: Arc<Shared>,
    begun: Arc<Begun>,
    /// In `system.queries`.
    number: u64,
    started: Instant,
    form: &'static str,
    tables: Vec<String>,
    profile: Option<Profile>,
    /// Whoever asked has the answer already, and its rows are not read.
    is_known: Arc<AtomicBool>,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    has_ended: bool,
}

fn begun(principal: &Principal, door: &'static str, id: &RequestId, statement: String) -> Begun {
    Begun {
        request_id: id.as_str().to_owned(),
        started: Utc::now(),
        door,
        account: Arc::clone(&principal.name),
        role: principal.role().to_owned(),
        statement,
    }
}

impl Log {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        principal: &Principal,
        door: &'static str,
        id: &RequestId,
        form: &'static str,
        sql: &str,
    ) -> Self {
        tracing::debug!(request_id = id.as_str(), sql, "query starts");
        let begun = Arc::new(begun(principal, door, id, without_literals(sql)));
        Self {
            number: shared.settings.system.begun(&begun),
            shared: Arc::clone(shared),
            begun,
            started: Instant::now(),
            form,
            tables: Vec::new(),
            profile: None,
            is_known: Arc::default(),
            rows: 0,
            bytes: 0,
            has_ended: false,
        }
    }

    /// Its answer begins.
    pub(crate) fn answers(&mut self, answer: &mut Answer) {
        self.tables = std::mem::take(&mut answer.tables);
        if answer.has_kept_plan {
            self.shared.metrics.kept_plans.inc();
        }
        if self.shared.settings.slow_query.is_some() {
            self.profile = Some(answer.profile.clone());
        }
    }

    /// What the answer is made from, for whoever keeps it.
    pub(crate) fn made(&self, inputs: Option<Inputs>) -> Option<Made> {
        Some(Made {
            inputs: inputs?,
            statement: self.begun.statement.clone(),
            tables: self.tables.clone(),
            is_known: Arc::clone(&self.is_known),
        })
    }

    /// It has ended; whoever asked may have gone before.
    pub(crate) fn end<T>(mut self, outcome: &Result<T>, has_left: bool) {
        match outcome {
            Err(_) if has_left => {}
            Ok(_) => self.finish("done", None),
            Err(error) => {
                self.finish("failed", Some(error.kind.code()));
                // A message may quote the statement.
                let request_id = &self.begun.request_id;
                match error.kind {
                    Kind::Broken | Kind::Internal => {
                        tracing::warn!(request_id, error = %with_causes(error), "query failed");
                    }
                    _ => {
                        tracing::debug!(request_id, error = %with_causes(error), "query failed");
                    }
                }
            }
        }
    }

    fn finish(&mut self, outcome: &'static str, code: Option<&'static str>) {
        self.has_ended = true;
        // It holds what joins have collected.
        let profile = self.profile.take();
        let took = self.started.elapsed();
        let ended = Ended {
            begun: Begun::clone(&self.begun),
            outcome,
            code,
            tables: std::mem::take(&mut self.tables),
            rows: Some(self.rows),
            bytes: self.bytes,
            milliseconds: millis(took).unsigned_abs(),
        };
        let slow = self.shared.settings.slow_query;
        if slow.is_some_and(|slow| took >= slow) {
            let Begun {
                request_id,
                statement,
                ..
            } = &ended.begun;
            let profile = profile.map_or_else(String::new, |profile| format!("\n{profile}"));
            tracing::warn!(
                request_id,
                outcome,
                milliseconds = ended.milliseconds,
                statement,
                "a slow query{profile}"
            );
        }
        end(&self.shared, Some(self.number), ended, self.form, took);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        if std::thread::panicking() {
            self.finish("failed", Some(Kind::Internal.code()));
        } else if self.is_known.load(Ordering::Relaxed) {
            self.finish("kept", None);
        } else {
            self.finish("cancelled", None);
        }
    }
}

impl Client {
    pub(crate) fn log(&self, id: &RequestId, form: &'static str, sql: &str) -> Log {
        Log::new(&self.shared, &self.principal, self.door, id, form, sql)
    }
}

/// An answer was given again.
pub(crate) fn log_kept(
    shared: &Shared,
    principal: &Principal,
    door: &'static str,
    id: &RequestId,
    made: &Made,
    bytes: usize,
    began: Instant,
) {
    let took = began.elapsed();
    let ended = Ended {
        begun: begun(principal, door, id, made.statement.clone()),
        outcome: "kept",
        code: None,
        tables: made.tables.clone(),
        rows: None,
        bytes,
        milliseconds: millis(took).unsigned_abs(),
    };
    end(shared, None, ended, "", took);
}

fn end(shared: &Shared, number: Option<u64>, ended: Ended, form: &str, took: Duration) {
    let Begun {
        request_id,
        door,
        account,
        role,
        statement,
        ..
    } = &ended.begun;
    tracing::info!(
        request_id,
        outcome = ended.outcome,
        door,
        account = &**account,
        role,
        format = form,
        rows = ended.rows,
        bytes = ended.bytes,
        milliseconds = ended.milliseconds,
        statement,
        "query"
    );
    if let Some(audit) = shared.audit.load_full() {
        write(&audit, &ended);
    }
    shared.metrics.ended(&ended, took);
    shared.settings.system.ended(number, Arc::new(ended));
}

/// One line. In one call, since others may write to the file as well.
fn write(mut audit: &File, ended: &Ended) {
    let written = serde_json::to_vec(ended).map_err(std::io::Error::other);
    let written = written.and_then(|mut line| {
        line.push(b'\n');
        audit.write_all(&line)
    });
    if let Err(error) = written {
        let request_id = &ended.begun.request_id;
        tracing::error!(request_id, %error, "a query is missing in the audit file");
    }
}

fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
