//! Split brain, scene by scene, on one way to the store.
//!
//! The store holds one document, the list of accepted orders. A leader reads it, appends an
//! order, and writes it back. An order whose write was answered with yes has been accepted:
//! if it is not in the document at the end, an update has been lost.

use anyhow::Context;
use bytes::Bytes;
use http::{Method, StatusCode};

use super::client::{Client, Frozen, Reply};
use super::paint::Tone;
use super::telling::Outcome;

/// The bucket that the story is played in.
pub(super) const BUCKET: &str = "demo";
/// The object that holds the list.
pub(super) const DOCUMENT: &str = "/demo/orders/accepted.txt";
/// Leader A's token.
pub(super) const TOKEN_A: u64 = 33;
/// Leader B's token: the election gave it the next one.
pub(super) const TOKEN_B: u64 = 34;
/// Orders that a leader accepts in one scene.
pub(super) const ORDERS: usize = 3;
/// Bytes of the document, so that an upload takes long enough to freeze in.
const DOCUMENT_BYTES: usize = 1 << 20;

/// What happened in a scene, for people.
pub(super) type Line = (Tone, String);

/// How a new leader makes sure that the one before is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Seal {
    /// By Palisade's seal, which answers with evidence.
    Evidence,
    /// Not at all.
    Nothing,
    /// By showing its token, which is noted.
    Noted,
}

/// One way to the store, and what has been promised on it.
#[derive(Debug)]
pub(super) struct Play {
    seal: Seal,
    a: Client,
    b: Client,
    orders: Vec<String>,
    accepted: Vec<String>,
    frozen: Option<(String, Frozen)>,
    verdict: Option<StatusCode>,
}

impl Play {
    /// A play that has not begun.
    pub(super) fn new(seal: Seal, a: Client, b: Client) -> Self {
        Self { seal, a, b, orders: Vec::new(), accepted: Vec::new(), frozen: None, verdict: None }
    }

    /// Leader A reads, and accepts some orders.
    pub(super) async fn a_writes(&mut self) -> anyhow::Result<Line> {
        let a = self.a.clone();
        self.read(&a).await?;
        self.accept(&a, "A", TOKEN_A).await
    }

    /// Leader A begins to upload one more order, and stops half-way.
    pub(super) async fn a_freezes(&mut self) -> anyhow::Result<Line> {
        let order = self.next_order("A", TOKEN_A);
        let document = self.document(Some(&order));
        let frozen = self.a.freeze(DOCUMENT, document).await?;
        self.frozen = Some((order, frozen));
        Ok((Tone::Plain, format!("half of {} KiB sent", DOCUMENT_BYTES >> 10)))
    }

    /// Leader B makes sure that no older write can land any more, as far as it can.
    pub(super) async fn b_seals(&mut self) -> anyhow::Result<Line> {
        match self.seal {
            Seal::Nothing => Ok((Tone::Plain, "nothing there to seal with".to_owned())),
            Seal::Noted => {
                self.b.send(Method::HEAD, DOCUMENT, Bytes::new()).await?;
                Ok((Tone::Plain, format!("{TOKEN_B} is noted; A's upload stays open")))
            }
            Seal::Evidence => {
                let path = format!("/.palisade/seal?path={DOCUMENT}");
                let reply = self.b.send(Method::POST, &path, Bytes::new()).await?;
                anyhow::ensure!(reply.status.is_success(), "no seal: {}", told(&reply));
                let evidence: serde_json::Value = serde_json::from_slice(&reply.body)?;
                let cut = &evidence["takeover"]["cut"];
                let ms = &evidence["quiesce_ms"];
                Ok((Tone::Good, format!("sealed in {ms} ms; uploads cut: {cut}")))
            }
        }
    }

    /// Leader B reads, with its token.
    pub(super) async fn b_reads(&mut self) -> anyhow::Result<Line> {
        let b = self.b.clone();
        self.read(&b).await?;
        Ok((Tone::Plain, format!("{} orders", self.orders.len())))
    }

    /// Leader B accepts some orders.
    pub(super) async fn b_writes(&mut self) -> anyhow::Result<Line> {
        let b = self.b.clone();
        self.accept(&b, "B", TOKEN_B).await
    }

    /// Leader A wakes up and sends the other half.
    pub(super) async fn a_thaws(&mut self) -> anyhow::Result<Line> {
        let (order, frozen) = self.frozen.take().context("leader A is not frozen")?;
        let reply = frozen.thaw().await?;
        self.verdict = Some(reply.status);
        if reply.status.is_success() {
            self.accepted.push(order);
            return Ok((Tone::Bad, format!("{}: the old list is back", reply.status)));
        }
        Ok((Tone::Good, told(&reply)))
    }

    /// Reads the store back and counts.
    pub(super) async fn count(&mut self) -> anyhow::Result<Outcome> {
        let b = self.b.clone();
        self.read(&b).await?;
        let lost = self.accepted.iter().filter(|order| !self.orders.contains(order)).count();
        let late = self.verdict.context("leader A has not woken up")?.to_string();
        Ok(Outcome { accepted: self.accepted.len(), stored: self.orders.len(), lost, late })
    }

    async fn accept(&mut self, client: &Client, name: &str, token: u64) -> anyhow::Result<Line> {
        for _ in 0..ORDERS {
            let order = self.next_order(name, token);
            let document = self.document(Some(&order));
            let reply = client.send(Method::PUT, DOCUMENT, document).await?;
            anyhow::ensure!(reply.status.is_success(), "a write was refused: {}", told(&reply));
            self.orders.push(order.clone());
            self.accepted.push(order);
        }
        let last = self.orders.len();
        Ok((Tone::Plain, format!("orders {} to {last} accepted", last + 1 - ORDERS)))
    }

    async fn read(&mut self, client: &Client) -> anyhow::Result<()> {
        let reply = client.send(Method::GET, DOCUMENT, Bytes::new()).await?;
        self.orders = match reply.status {
            StatusCode::NOT_FOUND => Vec::new(),
            StatusCode::OK => orders(&reply.body),
            _ => anyhow::bail!("a read was refused: {}", told(&reply)),
        };
        Ok(())
    }

    fn next_order(&self, name: &str, token: u64) -> String {
        order(self.orders.len() + 1, name, token)
    }

    fn document(&self, more: Option<&String>) -> Bytes {
        let mut text: String =
            self.orders.iter().chain(more).flat_map(|order| [order.as_str(), "\n"]).collect();
        let padding = DOCUMENT_BYTES.saturating_sub(text.len() + 1);
        text.extend(std::iter::repeat_n('.', padding));
        text.push('\n');
        Bytes::from(text)
    }
}

/// An order as it stands in the list.
pub(super) fn order(number: usize, name: &str, token: u64) -> String {
    format!("order {number}, by leader {name} under token {token}")
}

fn orders(document: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(document);
    text.lines().filter(|line| line.starts_with("order ")).map(str::to_owned).collect()
}

fn told(reply: &Reply) -> String {
    match reply.message() {
        Some(message) => format!("{}: {message}", reply.status),
        None => reply.status.to_string(),
    }
}
