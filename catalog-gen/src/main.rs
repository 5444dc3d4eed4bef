//! The command `catalog-gen`.

mod cli;
mod commands;

use clap::Parser;

// Syntax trees are millions of small allocations: with the system's allocator a large workspace
// takes almost twice as long to read.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    commands::run(cli::Cli::parse())
}
