//! Commands to copy while the demo goes on running.

use std::fmt::Write;

use super::paint::{Paint, Tone};
use super::story::{BUCKET, DOCUMENT, TOKEN_A, TOKEN_B};
use super::world::World;

/// What to try, with the addresses and files of this run.
pub(super) fn recipes(paint: Paint, world: &World) -> String {
    let fenced = world.fenced();
    let certs = fenced.certs().display();
    let url = format!("https://localhost:{}", fenced.address().port());
    let curl = |name: &str, rest: String| {
        format!(
            "curl -sSi --cacert {certs}/ca.pem --cert {certs}/{name}.pem --key {certs}/{name}.key \\\n    {rest}"
        )
    };
    let note = format!("/{BUCKET}/orders/note.txt");
    let put = |token: u64| format!("-H 'Fencing-Token: {token}' -T /etc/hostname {url}{note}");
    let aws = format!(
        "export FENCING_TOKEN={TOKEN_B} PALISADE_CERT={certs}/leader-b.pem PALISADE_KEY={certs}/leader-b.key \\\n    \
         AWS_ACCESS_KEY_ID=unused AWS_SECRET_ACCESS_KEY=unused AWS_DEFAULT_REGION=us-east-1 \\\n    \
         AWS_CA_BUNDLE={certs}/ca.pem PYTHONPATH={0}/aws \\\n    \
         AWS_CONFIG_FILE={0}/aws/config-$(aws --version 2>&1 | sed 's|aws-cli/\\(.\\).*|v\\1|')\n  \
         aws --endpoint-url {url} s3 cp /etc/hostname s3:/{note}",
        world.dir().display()
    );
    let entries = [
        ("A write by the leader that holds the token:", curl("leader-b", put(TOKEN_B))),
        ("The same by the leader before it, which is told 412:", curl("leader-a", put(TOKEN_A))),
        ("A read, which needs no token:", curl("leader-a", format!("{url}{note}"))),
        ("The AWS CLI, with a plugin that sends the token and shows the certificate:", aws),
        (
            "The seal of the next leader, with its evidence:",
            curl(
                "leader-a",
                format!(
                    "-H 'Fencing-Token: {}' -X POST '{url}/.palisade/seal?path={DOCUMENT}'",
                    TOKEN_B + 1
                ),
            ),
        ),
        ("Marks, holders and takeovers, in a browser:", format!("http://{}/", fenced.admin())),
    ];
    let mut text = format!("{}\n\n", paint.paint(Tone::Bold, "Palisade goes on running. Try:"));
    for (what, command) in entries {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{}\n  {command}\n\n", paint.paint(Tone::Faint, what));
    }
    let _ = writeln!(text, "Everything is in {}. Ctrl-C ends.", world.dir().display());
    text
}
