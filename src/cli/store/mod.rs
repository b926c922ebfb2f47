//! `palisade store`: a folder served as an S3 store, for the demo, the tests and trying things out.
//!
//! The S3 implementation is `s3s-fs`. It is not for production: bodies whose checksum turns
//! out wrong are refused only after they have replaced the object, and conditional writes
//! are checked before the body arrives and not again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

mod journal;
mod serve;
#[cfg(test)]
mod tests;

pub(super) use serve::{Store, serve};

/// Arguments of `palisade store`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder: one sub-folder a bucket. It is made if it is not there.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where to listen; port 0 takes a free one, and the address is printed.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A bucket to make if it is not there. May be repeated.
    #[arg(long = "bucket", value_name = "NAME")]
    buckets: Vec<String>,
    /// A host name below which buckets are named by host: with `localhost`, `b.localhost` is
    /// the bucket `b`. All other hosts are path style.
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// The access key id that requests must be signed with; without it nothing is checked.
    #[arg(long, value_name = "ID", requires = "secret_key_file")]
    access_key: Option<String>,
    /// A file that holds the secret key.
    #[arg(long, value_name = "FILE", requires = "access_key")]
    secret_key_file: Option<PathBuf>,
    /// Record every applied write here, in the order of application, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

/// What is served, and how.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The folder.
    pub(super) dir: PathBuf,
    /// Buckets to make.
    pub(super) buckets: Vec<String>,
    /// Host names below it name a bucket.
    pub(super) domain: Option<String>,
    /// Access key id and secret key; `None` checks nothing.
    pub(super) credentials: Option<(String, String)>,
    /// Where to record what is applied.
    pub(super) journal: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let credentials = match (args.access_key, args.secret_key_file) {
        (Some(id), Some(file)) => Some((id, secret(&file)?)),
        _ => None,
    };
    let Args { dir, buckets, domain, journal, .. } = args;
    let settings = Settings { dir, buckets, domain, credentials, journal };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = serve(settings, args.listen).await?;
        println!("{}", store.address());
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
        Ok(ExitCode::SUCCESS)
    })
}

fn secret(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("reading the secret key from {}", file.display()))?;
    let secret = text.trim();
    anyhow::ensure!(!secret.is_empty(), "{} holds no secret key", file.display());
    Ok(secret.to_owned())
}
