//! `palisade manual`: the manual pages of all commands, for packages.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

/// Arguments of `palisade manual`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder to write to; it is made if it is not there
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let told = || format!("cannot write manual pages to {}", args.out.display());
    std::fs::create_dir_all(&args.out).with_context(told)?;
    clap_mangen::generate_to(super::Cli::command(), &args.out).with_context(told)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_page() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("man");
        run(Args { out: out.clone() }).unwrap();
        for (page, word) in [
            ("palisade.1", "palisade\\-explain(1)"),
            ("palisade-run.1", "SIGHUP"),
            ("palisade-certs-client.1", "identity"),
        ] {
            let text = std::fs::read_to_string(out.join(page)).unwrap();
            assert!(text.contains(word), "{page}: {text}");
        }
        // Hidden commands have none.
        assert!(!out.join("palisade-store.1").exists());
    }
}
