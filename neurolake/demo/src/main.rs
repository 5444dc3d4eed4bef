//! The program of the demo lake.

use neurolake_demo::simulate;

#[global_allocator]
static ALLOCATOR: neurolake::MiMalloc = neurolake::MiMalloc;

fn main() -> std::process::ExitCode {
    neurolake::program()
        .made_up_data()
        .simulator(simulate::run)
        .run()
}
