//! The `palisade` command: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    match palisade::cli::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("palisade: {error:#}");
            ExitCode::FAILURE
        }
    }
}
