//! The program of a lake: a user's own `main`, or the command `neurolake`.

use std::future::Future;
use std::process::ExitCode;

use crate::cli;
use crate::simulation::{Progress, SimulationError, SimulationSettings, Simulator, Stop, Totals};

/// Runs the command line over the tables that are linked into the program.
///
/// ```no_run
/// use my_lake as _;
/// # mod my_lake {}
///
/// fn main() -> std::process::ExitCode {
///     neurolake::main()
/// }
/// ```
pub fn main() -> ExitCode {
    program().run()
}

/// A program to be adjusted before it runs.
pub fn program() -> Program {
    Program::default()
}

/// What a program does besides serving its tables.
#[derive(Debug, Clone, Default)]
pub struct Program {
    pub(crate) makes_up_data: bool,
    pub(crate) simulator: Option<Simulator>,
}

impl Program {
    /// `up` makes up data where there is none yet: for lakes that are there to be tried.
    #[must_use]
    pub fn made_up_data(mut self) -> Self {
        self.makes_up_data = true;
        self
    }

    /// Makes live data: the command `simulate` runs it against a server.
    #[must_use]
    pub fn simulator<F, R>(mut self, run: F) -> Self
    where
        F: Fn(SimulationSettings, Stop, Progress) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Totals, SimulationError>> + Send + 'static,
    {
        self.simulator = Some(Simulator::new(run));
        self
    }

    /// Reads the arguments of the process, does what they say and gives the exit code.
    pub fn run(self) -> ExitCode {
        cli::run(&self)
    }
}
