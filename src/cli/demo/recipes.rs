//! Commands to copy while the demo goes on running.

use std::fmt::Write;

use super::paint::{Paint, Tone};
use super::story::{BUCKET, TOKEN_A, TOKEN_B};
use super::world::World;

/// What to try, with the addresses and files of this run.
pub(super) fn recipes(paint: Paint, world: &World) -> String {
    let fenced = world.fenced();
    let certs = fenced.certs().display();
    let url = format!("https://localhost:{}", fenced.address().port());
    let curl = |name: &str| {
        format!("curl --cacert {certs}/ca.pem --cert {certs}/{name}.pem --key {certs}/{name}.key")
    };
    let object = format!("{url}/{BUCKET}/orders/note.txt");
    let entries = [
        (
            "A write by the leader that holds the token:".to_owned(),
            format!("{} -H 'Fencing-Token: {TOKEN_B}' -T /etc/hostname {object}", curl("leader-b")),
        ),
        (
            "The same by the leader of before, which is told 412:".to_owned(),
            format!("{} -H 'Fencing-Token: {TOKEN_A}' -T /etc/hostname {object}", curl("leader-a")),
        ),
        ("A read, which needs no token:".to_owned(), format!("{} {object}", curl("leader-a"))),
        (
            "The AWS CLI, set up by files of its own; the token is in the environment:".to_owned(),
            format!(
                "export AWS_CONFIG_FILE={0}/aws/config AWS_SHARED_CREDENTIALS_FILE={0}/aws/credentials \\\n    \
                 AWS_ENDPOINT_URL={url} AWS_CA_BUNDLE={certs}/ca.pem FENCING_TOKEN={TOKEN_B}\n  \
                 aws s3 cp /etc/hostname s3://{BUCKET}/orders/note.txt",
                world.dir().display()
            ),
        ),
        (
            "Marks, holders and takeovers, in a browser:".to_owned(),
            format!("http://{}/", fenced.admin()),
        ),
    ];
    let mut text = format!("{}\n\n", paint.paint(Tone::Bold, "Palisade goes on running. Try:"));
    for (what, command) in entries {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{}\n  {command}\n\n", paint.paint(Tone::Faint, &what));
    }
    let _ = writeln!(text, "Everything is in {}. Ctrl-C ends.", world.dir().display());
    text
}
