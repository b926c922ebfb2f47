//! Split brain, scene by scene, on one way to the database.
//!
//! A table holds one row, with the list of accepted orders and a document. A leader reads the
//! list, adds an order, and writes the row. An order whose write was answered with yes has been
//! accepted: if it is not in the list at the end, an update has been lost.

use std::time::Instant;

use anyhow::{Context, bail, ensure};

use super::super::paint::Tone;
use super::super::story::{Line, ORDERS, Seal, TOKEN_A, TOKEN_B, order};
use super::super::telling::Outcome;
use super::client::{Answer, Client, Frozen, Session};

/// Bytes of the document, so that a statement takes long enough to freeze in.
const DOCUMENT_BYTES: usize = 1 << 20;

/// One way to the database, and what has been promised on it.
pub(super) struct Play {
    seal: Seal,
    table: &'static str,
    clients: [Client; 2],
    a: Option<Session>,
    b: Option<Session>,
    /// The process that serves leader A at the server.
    a_process: String,
    orders: Vec<String>,
    accepted: Vec<String>,
    frozen: Option<(String, Frozen)>,
    late: Option<String>,
}

impl Play {
    /// A play that has not begun, by clients of leader A and leader B.
    pub(super) fn new(seal: Seal, table: &'static str, clients: [Client; 2]) -> Self {
        Self {
            seal,
            table,
            clients,
            a: None,
            b: None,
            a_process: String::new(),
            orders: Vec::new(),
            accepted: Vec::new(),
            frozen: None,
            late: None,
        }
    }

    /// Leader A begins its session, reads, and accepts some orders.
    pub(super) async fn a_writes(&mut self) -> anyhow::Result<Line> {
        let mut session = self.clients[0].open().await.context("the session of leader A")?;
        let rows = session.query("SELECT pg_backend_pid()").await?;
        self.a_process = rows.concat().concat();
        self.read(&mut session).await?;
        let line = self.accept(&mut session, "A", TOKEN_A).await?;
        self.a = Some(session);
        Ok(line)
    }

    /// Leader A begins to send one more order, and stops half-way.
    pub(super) async fn a_freezes(&mut self) -> anyhow::Result<Line> {
        let session = self.a.take().context("leader A has no session")?;
        let order = order(self.orders.len() + 1, "A", TOKEN_A);
        let frozen = session.freeze(&self.update(Some(&order))).await?;
        self.frozen = Some((order, frozen));
        Ok((Tone::Plain, format!("half of {} KiB sent", DOCUMENT_BYTES >> 10)))
    }

    /// Leader B begins its session: where a fence is, that is where it brings its token.
    pub(super) async fn b_seals(&mut self) -> anyhow::Result<Line> {
        let began = Instant::now();
        let mut session = self.clients[1].open().await.context("the session of leader B")?;
        let ms = began.elapsed().as_millis();
        let process = &self.a_process;
        let asked = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {process}");
        let is_gone = session.query(&asked).await?.concat() == ["0"];
        self.b = Some(session);
        Ok(match (self.seal, is_gone) {
            (Seal::Evidence, true) => {
                let told = format!("sealed in {ms} ms; A's session is gone at the server");
                (Tone::Good, told)
            }
            (Seal::Evidence, false) => bail!("there is a seal, and A's session is still there"),
            (_, true) => bail!("A's session has ended, and nobody has ended it"),
            (Seal::Nothing, false) => {
                (Tone::Plain, "nothing there to seal with; A's session stays".to_owned())
            }
            (Seal::Noted, false) => (Tone::Plain, format!("{TOKEN_B} is noted; A's session stays")),
        })
    }

    /// Leader B reads.
    pub(super) async fn b_reads(&mut self) -> anyhow::Result<Line> {
        let mut session = self.b.take().context("leader B has no session")?;
        self.read(&mut session).await?;
        self.b = Some(session);
        Ok((Tone::Plain, format!("{} orders", self.orders.len())))
    }

    /// Leader B accepts some orders.
    pub(super) async fn b_writes(&mut self) -> anyhow::Result<Line> {
        let mut session = self.b.take().context("leader B has no session")?;
        let line = self.accept(&mut session, "B", TOKEN_B).await?;
        self.b = Some(session);
        Ok(line)
    }

    /// Leader A wakes up and sends the other half.
    pub(super) async fn a_thaws(&mut self) -> anyhow::Result<Line> {
        let (order, frozen) = self.frozen.take().context("leader A is not frozen")?;
        let (tone, told, late) = match frozen.thaw().await? {
            Answer::Done(_, done) => {
                self.accepted.push(order);
                (Tone::Bad, format!("{done}: the old list is back"), done)
            }
            Answer::Refused(refused) => (Tone::Good, refused.to_string(), refused.code),
        };
        self.late = Some(late);
        Ok((tone, told))
    }

    /// Reads the table back and counts.
    pub(super) async fn count(&mut self) -> anyhow::Result<Outcome> {
        self.b_reads().await?;
        if let Some(session) = self.b.take() {
            session.close().await;
        }
        let lost = self.accepted.iter().filter(|order| !self.orders.contains(order)).count();
        let late = self.late.clone().context("leader A has not woken up")?;
        Ok(Outcome { accepted: self.accepted.len(), stored: self.orders.len(), lost, late })
    }

    async fn accept(
        &mut self,
        session: &mut Session,
        name: &str,
        token: u64,
    ) -> anyhow::Result<Line> {
        for _ in 0..ORDERS {
            let order = order(self.orders.len() + 1, name, token);
            session.query(&self.update(Some(&order))).await.context("a write was refused")?;
            self.orders.push(order.clone());
            self.accepted.push(order);
        }
        let last = self.orders.len();
        Ok((Tone::Plain, format!("orders {} to {last} accepted", last + 1 - ORDERS)))
    }

    async fn read(&mut self, session: &mut Session) -> anyhow::Result<()> {
        let asked = format!("SELECT unnest(accepted) FROM {}", self.table);
        let rows = session.query(&asked).await.context("a read was refused")?;
        ensure!(rows.iter().all(|row| row.len() == 1), "the list has another shape");
        self.orders = rows.concat();
        Ok(())
    }

    fn update(&self, more: Option<&String>) -> String {
        let orders: Vec<_> =
            self.orders.iter().chain(more).map(|order| format!("'{order}'")).collect();
        let document = ".".repeat(DOCUMENT_BYTES);
        let list = orders.join(", ");
        format!("UPDATE {} SET accepted = ARRAY[{list}], document = '{document}'", self.table)
    }
}
