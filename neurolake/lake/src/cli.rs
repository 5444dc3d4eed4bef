//! The command line: arguments, settings, and what each command does.
//!
//! This is the only place that reads environment variables and files of settings. Read in this
//! order: `arguments`, `exit` (exit codes), `failure` and `talk` (what people read), `environment`,
//! `config` (files of settings), `open` (the catalog and the lake), then one file per command.

mod arguments;
mod config;
mod demo;
mod describe;
mod doctor;
mod environment;
mod exit;
mod failure;
mod ingest;
mod listen;
mod maintain;
mod open;
mod output;
mod query;
mod serve;
mod show_config;
mod simulate;
mod status;
mod tables;
mod talk;
mod text_table;
mod up;
mod write;
mod writer;

use std::future::Future;
use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Arguments, Command};
use self::config::Config;
use self::exit::Exit;
use self::failure::Failure;
use self::talk::Talk;
use crate::program::Program;

/// Stack of a thread that plans: deeply nested statements recurse.
const STACK_BYTES: usize = 16 << 20;

type Outcome = Result<Exit, Failure>;

/// What every command gets.
struct Context<'a> {
    program: &'a Program,
    arguments: &'a Arguments,
    config: Config,
    talk: Talk,
}

/// Runs the program over the arguments of the process.
pub(crate) fn run(program: &Program) -> ExitCode {
    let arguments = Arguments::parse();
    let talk = Talk::new(arguments.color, arguments.quiet);
    environment::start_log();
    match command(program, &arguments, talk) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            talk.failure(&failure);
            failure.exit.into()
        }
    }
}

fn command(program: &Program, arguments: &Arguments, talk: Talk) -> Outcome {
    let context = Context {
        program,
        arguments,
        config: Config::load(arguments)?,
        talk,
    };
    match &arguments.command {
        Command::Up(up) => block_on(up::run(&context, up)),
        Command::Serve(serve) => block_on(serve::run(&context, serve)),
        Command::Query(query) => block_on(query::run(&context, query)),
        Command::Tables(tables) => tables::run(&context, tables),
        Command::Describe(describe) => describe::run(&context, describe),
        Command::Doctor(doctor) => block_on(doctor::run(&context, doctor)),
        Command::Demo(demo) => block_on(demo::run(&context, demo)),
        Command::Simulate(simulate) => block_on(simulate::run(&context, simulate)),
        Command::Write(write) => block_on(write::run(&context, write)),
        Command::Writer(writer) => block_on(writer::run(&context, writer)),
        Command::Compact(compact) => block_on(maintain::run_compact(&context, compact)),
        Command::Vacuum(vacuum) => block_on(maintain::run_vacuum(&context, vacuum)),
        Command::Config(config) => show_config::run(&context, config),
    }
}

/// Runs on threads whose stacks are large enough to plan any statement.
fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| Failure::system("can't start threads").caused_by(error))?;
    let outcome = runtime.block_on(work);
    // A query that was cancelled may still be computing.
    runtime.shutdown_background();
    outcome
}
