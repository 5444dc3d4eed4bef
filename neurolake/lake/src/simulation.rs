//! Live data to try a lake with: what a program's simulator is told, and what it reports.
//!
//! The simulator itself belongs to the crate of declarations, which knows what its tables mean.
//! The program gets it by [`Program::simulator`](crate::Program::simulator), and runs it as the
//! command `simulate`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::Timestamp;
use crate::ingest::IngestError;

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulationSettings {
    /// Address of the server that takes the events.
    pub url: String,
    /// Another seed gives other values; the same settings give the same rows.
    pub seed: u64,
    /// Simulated seconds in a second. `f64::INFINITY` waits for nothing but the server.
    pub speed: f64,
    /// Channels of an implant.
    pub channels: usize,
    /// Rows of signals a second and implant.
    pub rate_hz: f64,
    /// Implants that record at the same time.
    pub participants: usize,
    /// How much simulated time; `None` goes on until it is told to stop.
    pub duration: Option<Duration>,
    /// The simulated time at which it begins.
    pub start: Timestamp,
}

/// What was made and sent so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Totals {
    /// One of each table, in a fixed order.
    pub tables: Vec<TableTotals>,
    /// Simulated seconds that have passed.
    pub simulated_seconds: f64,
    /// Why the events made last aren't taken yet, if something is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What was made and sent of one table. When all made rows are acknowledged, the table holds just
/// these: `count(*)`, the number of different [`Self::unique_by`], and the sum of the last of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TableTotals {
    /// `database.table`
    pub table: String,
    /// Columns that together are different in each row that was ever made.
    pub unique_by: Vec<String>,
    /// Rows that were made.
    pub made: u64,
    /// Rows that the server took: the first ones of those made.
    pub acknowledged: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Requests among them whose first answer was lost.
    pub duplicates: u64,
    /// Offset of the last request in the table's stream.
    pub offset: u64,
    /// Of the rows made: sum of the last column of [`Self::unique_by`]. Timestamps count as
    /// microseconds since [`SimulationSettings::start`].
    pub sum: i64,
}

impl Totals {
    /// Rows that were made, of all tables.
    pub fn made(&self) -> u64 {
        self.tables.iter().map(|table| table.made).sum()
    }

    /// Rows that the server took, of all tables.
    pub fn acknowledged(&self) -> u64 {
        self.tables.iter().map(|table| table.acknowledged).sum()
    }
}

/// Why a simulation ended early.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// Settings that can't be simulated. Mend them.
    #[error("{0}")]
    Settings(String),
    /// The server doesn't take the events.
    #[error(transparent)]
    Ingest(#[from] IngestError),
}

/// Ends a simulation, which then sends what is made and gives its totals.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hears about once a second how far a simulation is.
pub type Progress = Arc<dyn Fn(&Totals) + Send + Sync>;

type Outcome = Pin<Box<dyn Future<Output = Result<Totals, SimulationError>> + Send>>;

/// A program's simulator.
#[derive(Clone)]
pub(crate) struct Simulator(
    Arc<dyn Fn(SimulationSettings, Stop, Progress) -> Outcome + Send + Sync>,
);

impl Simulator {
    pub(crate) fn new<F, R>(run: F) -> Self
    where
        F: Fn(SimulationSettings, Stop, Progress) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Totals, SimulationError>> + Send + 'static,
    {
        Self(Arc::new(move |settings, stop, progress| {
            Box::pin(run(settings, stop, progress))
        }))
    }

    pub(crate) async fn run(
        &self,
        settings: SimulationSettings,
        stop: Stop,
        progress: Progress,
    ) -> Result<Totals, SimulationError> {
        (self.0)(settings, stop, progress).await
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Simulator")
    }
}
