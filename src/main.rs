//! The `palisade` command: arguments in, exit code out.

use std::process::ExitCode;

/// That of musl takes one lock for all threads: a small request cost a third more CPU.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match palisade::cli::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("palisade: {error:#}");
            ExitCode::FAILURE
        }
    }
}
