//! `palisade certs`: a small certificate authority on the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum, builder::RangedU64ValueParser};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::net::authority::{
    AUTHORITY_LIFETIME, Authority, CERTIFICATE_FILE, KEY_FILE, LEAF_LIFETIME, LIFETIME_MAX,
    REVOCATION_FILE,
};
use crate::net::identity::{Identity, IdentityError, Source};

#[cfg(test)]
mod tests;

const DAY_S: u64 = 86_400;

/// Arguments of `palisade certs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples, from nothing to a client that Palisade lets in:
  palisade certs ca     --out certs/ca
  palisade certs server --ca certs/ca --name localhost --name 127.0.0.1 --out certs
  palisade certs client --ca certs/ca --identity spiffe://example.org/db/a --out certs
  curl --cacert certs/ca/ca.pem --cert certs/client.pem --key certs/client.key https://localhost:8443/

For development and small installations. Keys are written in the clear, readable by you alone;
whoever reads ca.key can be any client.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a certificate authority: ca.pem, ca.key and an empty revocation list, crl.pem.
    Ca(Ca),
    /// Issue a certificate for a listener.
    Server(Server),
    /// Issue a certificate for a client, which is the identity that rules match.
    Client(Client),
    /// Put a certificate on the authority's revocation list.
    #[command(after_help = "\
The list is crl.pem in the authority's folder. A listener that names it in `crls` sees the change
within seconds and cuts the open connections of the certificate; where the file is elsewhere, copy
it there (beside, then rename).")]
    Revoke(Revoke),
    /// Show a certificate, and who Palisade takes its bearer for.
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Ca {
    /// The folder to write; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The authority's name; by default "Palisade CA" with a random number.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    days: AuthorityDays,
    /// Overwrite what is there. Everything that the old authority issued becomes worthless.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct Server {
    #[command(flatten)]
    issue: Issue,
    /// A DNS name or IP address that clients use; repeat it for more.
    #[arg(long = "name", value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The files' name: NAME.pem and NAME.key.
    #[arg(long, value_name = "NAME", default_value = "server", value_parser = file_name)]
    file_name: String,
}

#[derive(Debug, clap::Args)]
struct Client {
    #[command(flatten)]
    issue: Issue,
    /// Who: a SPIFFE ID, a DNS name, an e-mail address, or else a common name.
    #[arg(long, value_name = "IDENTITY")]
    identity: String,
    /// The field that bears it, where its form does not tell.
    #[arg(long)]
    source: Option<SourceWord>,
    /// The files' name: NAME.pem and NAME.key.
    #[arg(long, value_name = "NAME", default_value = "client", value_parser = file_name)]
    file_name: String,
}

#[derive(Debug, clap::Args)]
struct Issue {
    /// The authority's folder.
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// The folder to write to; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    days: LeafDays,
    /// Overwrite what is there.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct AuthorityDays {
    /// How many days it is valid.
    #[arg(long, default_value_t = AUTHORITY_LIFETIME.as_secs() / DAY_S, value_parser = days())]
    days: u64,
}

#[derive(Debug, clap::Args)]
struct LeafDays {
    /// How many days it is valid.
    #[arg(long, default_value_t = LEAF_LIFETIME.as_secs() / DAY_S, value_parser = days())]
    days: u64,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    /// The authority's folder.
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// The certificate's file, or its serial number in hex.
    #[arg(value_name = "FILE|SERIAL")]
    certificate: String,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// A certificate in PEM; of several, the first is shown.
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SourceWord {
    Spiffe,
    Dns,
    Email,
    Cn,
}

/// Runs it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Ca(args) => ca(&args),
        Command::Server(args) => server(&args),
        Command::Client(args) => client(&args),
        Command::Revoke(args) => revoke(&args),
        Command::Show(args) => show(&args.file),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn ca(args: &Ca) -> anyhow::Result<()> {
    let lifetime = Duration::from_secs(args.days.days * DAY_S);
    let name = args.name.clone().map_or_else(unique_name, Ok)?;
    Authority::new(&name, lifetime)?.save(&args.out, args.force)?;
    let file = |name: &str| args.out.join(name).display().to_string();
    println!("{}  the authority: what clients and listeners trust", file(CERTIFICATE_FILE));
    println!("{}  the revocation list: name it in `crls`", file(REVOCATION_FILE));
    println!("{}  its key: keep it secret, no server needs it", file(KEY_FILE));
    Ok(())
}

fn server(args: &Server) -> anyhow::Result<()> {
    let Issue { ca, out, days, force } = &args.issue;
    let authority = Authority::load(ca)?;
    let issued = authority.issue_server(&args.names, Duration::from_secs(days.days * DAY_S))?;
    let (certificate, key) = issued.save(out, &args.file_name, *force)?;
    println!("certificate = {:?}", certificate.display().to_string());
    println!("key = {:?}", key.display().to_string());
    println!("client_ca = {:?}", ca.join(CERTIFICATE_FILE).display().to_string());
    println!("crls = [{:?}]", ca.join(REVOCATION_FILE).display().to_string());
    Ok(())
}

fn client(args: &Client) -> anyhow::Result<()> {
    let Issue { ca, out, days, force } = &args.issue;
    let source = args.source.map_or_else(|| Source::guess(&args.identity), Source::from);
    let authority = Authority::load(ca)?;
    let lifetime = Duration::from_secs(days.days * DAY_S);
    let issued = authority.issue_client(source, &args.identity, lifetime)?;
    let (certificate, key) = issued.save(out, &args.file_name, *force)?;
    println!("{}  {} {}", certificate.display(), source.word(), args.identity);
    println!("{}  its key", key.display());
    println!("serial number {}", issued.serial);
    Ok(())
}

fn revoke(args: &Revoke) -> anyhow::Result<()> {
    let file = Path::new(&args.certificate);
    let serial = if file.is_file() {
        Authority::load(&args.ca)?.own_serial(file)?
    } else {
        args.certificate.clone()
    };
    let list = args.ca.join(REVOCATION_FILE);
    if Authority::revoke_in(&args.ca, &serial)? {
        println!("{serial} is revoked: {} says so now", list.display());
    } else {
        println!("{serial} was revoked before: {} says so", list.display());
    }
    Ok(())
}

fn show(file: &Path) -> anyhow::Result<()> {
    let shown = file.display();
    let pem = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    let der = CertificateDer::from_pem_slice(&pem)
        .map_err(|_| anyhow::anyhow!("{shown} has no certificate in PEM"))?;
    let (_, certificate) = X509Certificate::from_der(&der)
        .map_err(|_| anyhow::anyhow!("{shown} is not an X.509 certificate"))?;
    let found: Vec<_> = Source::ALL
        .into_iter()
        .map(|source| (source, Identity::from_certificate(&der, &[source])))
        .collect();
    println!("subject      {}", certificate.subject());
    println!("issuer       {}", certificate.issuer());
    println!("serial       {}", crate::net::identity::serial(&certificate)?);
    println!("fingerprint  {}", crate::net::identity::fingerprint(&der));
    println!("not before   {}", date(certificate.validity().not_before.timestamp()));
    println!("not after    {}", date(certificate.validity().not_after.timestamp()));
    println!("identity, by the source that a listener's `identity` names:");
    for (source, found) in found {
        let shown = match found {
            Ok(identity) => identity.name.to_string(),
            Err(IdentityError::Missing { .. }) => "-".to_owned(),
            Err(error) => format!("refused: {error}"),
        };
        println!("  {:<10} {shown}", source.word());
    }
    Ok(())
}

/// Two authorities of one name could not be told apart in a bundle or by their lists.
fn unique_name() -> anyhow::Result<String> {
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| anyhow::anyhow!("no random numbers"))?;
    Ok(format!("Palisade CA {:08x}", u32::from_be_bytes(bytes)))
}

fn date(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

fn days() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=LIFETIME_MAX.as_secs() / DAY_S)
}

fn file_name(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > 100 || text.starts_with('.') || !text.chars().all(plain) {
        return Err("a file name is of letters, digits, `-`, `_` and `.`; folders go into --out");
    }
    Ok(text.to_owned())
}

impl From<SourceWord> for Source {
    fn from(word: SourceWord) -> Self {
        match word {
            SourceWord::Spiffe => Self::Spiffe,
            SourceWord::Dns => Self::Dns,
            SourceWord::Email => Self::Email,
            SourceWord::Cn => Self::Cn,
        }
    }
}
