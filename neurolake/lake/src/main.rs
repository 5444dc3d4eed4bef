//! The command `neurolake`, for catalogs in a file.

#[global_allocator]
static ALLOCATOR: neurolake::MiMalloc = neurolake::MiMalloc;

fn main() -> std::process::ExitCode {
    neurolake::main()
}
