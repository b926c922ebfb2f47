//! A leader: a process that connects with its token, looks at nothing but its own memory, writes
//! in every way there is, and stops itself where it is told to.

use std::fmt::Write as _;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tokio::time::sleep;

use super::enter::enter;
use super::errand::{Errand, Fate, Line, Point};
use crate::rig::postgres::{Answer, Told, Wire, copy_data, extended, query, tagged};
use crate::trial::Chance;

pub const AGAIN: Duration = Duration::from_millis(30);

/// Whether it goes on in the same session.
enum After {
    Session,
    Nothing,
}

struct Leader {
    errand: Errand,
    chance: Chance,
    wire: Wire,
    /// What it believes the counter to be.
    counter: u64,
    made: u32,
    settled: u32,
}

fn say(line: &Line) {
    println!("{}", serde_json::to_string(line).unwrap());
}

pub fn end(why: impl ToString) -> ! {
    say(&Line::Ended { why: why.to_string() });
    // Past the test harness: nothing is left to be torn down.
    std::process::exit(0);
}

/// Leads until it is told to stop, or that others do.
pub async fn lead(errand: Errand) {
    let chance = Chance::of(errand.seed, &[u64::from(errand.resource), errand.token]);
    let wire = enter(&errand).await;
    let mut leader = Leader { errand, chance, wire, counter: 0, made: 0, settled: 0 };
    loop {
        if leader.open().await.is_none() {
            sleep(AGAIN).await;
            leader.wire = enter(&leader.errand).await;
            continue;
        }
        loop {
            if leader.errand.enough.exists() {
                end("enough");
            }
            if let After::Nothing = leader.write().await {
                leader.wire = enter(&leader.errand).await;
                break;
            }
            let pause = leader.chance.within(0..=15);
            sleep(Duration::from_millis(pause)).await;
        }
    }
}

pub fn complain(what: String) {
    say(&Line::Complaint { what });
}

impl Leader {
    /// Settles what older leaders have prepared, and reads what it builds on. `None`: cut.
    async fn open(&mut self) -> Option<()> {
        loop {
            let resource = self.errand.resource;
            let sql = format!("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'r{resource}-%'");
            let left = self.rows(&sql).await?;
            if left.is_empty() {
                break;
            }
            for gid in left.iter().map(|row| &row[0]) {
                let word = if self.chance.percent(50) { "COMMIT" } else { "ROLLBACK" };
                // Another may have been faster, or it may be busy still.
                let answer = self.wire.simple(&format!("{word} PREPARED '{gid}'")).await;
                answer.status?;
            }
        }
        let sql = format!("SELECT n, counter FROM clock WHERE resource = {}", self.errand.resource);
        let rows = self.rows(&sql).await?;
        let (seen, counter) = (rows[0][0].parse().unwrap(), rows[0][1].parse().unwrap());
        self.counter = counter;
        say(&Line::Opened { seen, counter });
        Some(())
    }

    async fn rows(&mut self, sql: &str) -> Option<Vec<Vec<String>>> {
        let answer = self.wire.simple(sql).await;
        answer.status?;
        match answer.errors.first() {
            None => Some(answer.rows().to_vec()),
            Some(told) => {
                // Who serves it cannot for now.
                if told.code() != "57P03" {
                    complain(format!("{sql}: {told:?}"));
                }
                None
            }
        }
    }

    /// The name of a new write, its row and what it would make of the counter.
    fn begin(&mut self) -> (String, String) {
        self.made += 1;
        let Errand { resource, token, .. } = self.errand;
        // Two processes with one token do not have one name.
        let write = format!("r{resource}-t{token}-{}-{}", std::process::id(), self.made);
        self.counter += 1;
        say(&Line::Begun { write: write.clone() });
        // At the point where something is to happen, there has to be time for it.
        let slow_ms = match self.is_due() {
            Some(Point::Idle | Point::InTransaction | Point::InCopy) | None => 0,
            Some(_) => self.chance.one_of(&[0, 200, 1_500]),
        };
        let row = format!("{resource}, {token}, '{write}', {}, {slow_ms}", self.counter);
        (write, row)
    }

    fn told(&mut self, write: &str, fate: Fate) {
        self.settled += 1;
        say(&Line::Told { write: write.to_owned(), fate });
    }

    /// Stops here, if this is where it has to.
    fn point(&mut self, point: Point) {
        if self.is_due() == Some(point) {
            self.errand.point = None;
            say(&Line::At { point });
            let signal = if self.errand.is_fatal { Signal::KILL } else { Signal::STOP };
            kill_process(getpid(), signal).unwrap();
        }
    }

    /// The point at which its next write has to stop.
    fn is_due(&self) -> Option<Point> {
        self.errand.point.filter(|_| self.settled >= self.errand.after)
    }

    /// One write, or some.
    async fn write(&mut self) -> After {
        let kind = match self.is_due() {
            Some(Point::Idle | Point::StatementHalfSent | Point::StatementSent) => 0,
            Some(Point::InTransaction | Point::CommitSent) => 1,
            Some(Point::InCopy | Point::CopySent) => 2,
            Some(Point::InPipeline) => 3,
            Some(Point::Prepared | Point::CommitPreparedSent) => 4,
            None => self.chance.within(0..=4),
        };
        let after = match kind {
            0 => self.statement().await,
            1 => self.transaction().await,
            2 => self.copy().await,
            3 => self.pipeline().await,
            _ => self.prepared().await,
        };
        match after {
            Some(()) => After::Session,
            None => After::Nothing,
        }
    }

    /// What an answer says of writes, if it is not that they are applied. `None`: the session
    /// is over.
    async fn failed(&mut self, writes: &[String], answer: &Answer) -> Option<()> {
        let fate = fate(answer);
        for write in writes {
            self.told(write, fate);
        }
        answer.status?;
        self.wire.simple("ROLLBACK").await.status?;
        self.open().await
    }

    async fn statement(&mut self) -> Option<()> {
        let (write, row) = self.begin();
        let ms = self.chance.within(0..=40);
        let sql = format!(
            "INSERT INTO log (resource, token, write, value, slow_ms) SELECT {row} FROM pg_sleep({})",
            ms as f64 / 1_000.0
        );
        let message = query(&sql);
        self.point(Point::Idle);
        let (first, rest) = message.split_at(message.len() / 2);
        self.wire.send(first).await;
        self.point(Point::StatementHalfSent);
        self.wire.send(rest).await;
        self.point(Point::StatementSent);
        let answer = self.wire.answer().await;
        // In the simple protocol this is sent after the commit.
        if answer.tags == ["INSERT 0 1"] {
            self.told(&write, Fate::Applied);
            return answer.status.map(|_| ());
        }
        self.failed(&[write], &answer).await
    }

    async fn transaction(&mut self) -> Option<()> {
        let mut writes = Vec::new();
        let before = self.counter;
        let mut statements = vec!["BEGIN".to_owned()];
        for _ in 0..self.chance.within(1..=3) {
            let (write, row) = self.begin();
            writes.push(write);
            statements.push(format!(
                "INSERT INTO log (resource, token, write, value, slow_ms) VALUES ({row})"
            ));
        }
        for sql in statements {
            let answer = self.wire.simple(&sql).await;
            if !answer.errors.is_empty() || answer.status.is_none() {
                // Nobody has said COMMIT.
                return self.undone(&writes, &answer).await;
            }
        }
        self.point(Point::InTransaction);
        if self.is_due().is_none() && self.chance.percent(15) {
            let answer = self.wire.simple("ROLLBACK").await;
            self.counter = before;
            return self.undone(&writes, &answer).await;
        }
        self.wire.send(&query("COMMIT")).await;
        self.point(Point::CommitSent);
        let answer = self.wire.answer().await;
        self.decided(&writes, &answer, "COMMIT").await
    }

    /// Writes that were rolled back, or never committed.
    async fn undone(&mut self, writes: &[String], answer: &Answer) -> Option<()> {
        for write in writes {
            self.told(write, Fate::NotApplied);
        }
        answer.status?;
        if !answer.errors.is_empty() {
            self.wire.simple("ROLLBACK").await.status?;
            return self.open().await;
        }
        Some(())
    }

    async fn decided(&mut self, writes: &[String], answer: &Answer, tag: &str) -> Option<()> {
        if answer.tags == [tag] {
            for write in writes {
                self.told(write, Fate::Applied);
            }
            return answer.status.map(|_| ());
        }
        self.failed(writes, answer).await
    }

    async fn copy(&mut self) -> Option<()> {
        self.wire
            .send(&query("COPY log (resource, token, write, value, slow_ms) FROM STDIN CSV"))
            .await;
        let answer = self.wire.answer().await;
        if !answer.is_copying {
            return self.failed(&[], &answer).await;
        }
        let mut writes = Vec::new();
        let mut data = String::new();
        for _ in 0..self.chance.within(2..=4) {
            let (write, row) = self.begin();
            writeln!(data, "{}", row.replace(", ", ",").replace('\'', "")).unwrap();
            writes.push(write);
        }
        let (first, rest) = data.split_at(data.len() / 2);
        self.wire.send(&copy_data(first)).await;
        self.point(Point::InCopy);
        self.wire.send(&copy_data(rest)).await;
        self.wire.send(&tagged(b'c', &[])).await;
        self.point(Point::CopySent);
        let answer = self.wire.answer().await;
        let tag = format!("COPY {}", writes.len());
        self.decided(&writes, &answer, &tag).await
    }

    async fn pipeline(&mut self) -> Option<()> {
        let mut writes = Vec::new();
        for index in 0..4 {
            let (write, row) = self.begin();
            writes.push(write);
            let sql = format!(
                "INSERT INTO log (resource, token, write, value, slow_ms) SELECT {row} FROM pg_sleep(0.01)"
            );
            self.wire.send(&[extended(&sql, &[]), tagged(b'S', &[])].concat()).await;
            if index == 1 {
                self.point(Point::InPipeline);
            }
        }
        while !writes.is_empty() {
            let answer = self.wire.answer().await;
            // Only ReadyForQuery says that it is committed.
            if answer.errors.is_empty() && answer.status.is_some() {
                let write = writes.remove(0);
                self.told(&write, Fate::Applied);
            } else if answer.status.is_some() {
                let write = writes.remove(0);
                self.told(&write, fate(&answer));
                self.counter = 0;
            } else {
                // The last word is for all that has no answer.
                return self.failed(&writes, &answer).await;
            }
        }
        match self.counter {
            // What it has in mind is not what is there.
            0 => self.open().await,
            _ => Some(()),
        }
    }

    async fn prepared(&mut self) -> Option<()> {
        let (write, row) = self.begin();
        for sql in [
            "BEGIN".to_owned(),
            format!("INSERT INTO log (resource, token, write, value, slow_ms) VALUES ({row})"),
        ] {
            let answer = self.wire.simple(&sql).await;
            if !answer.errors.is_empty() || answer.status.is_none() {
                return self.undone(&[write], &answer).await;
            }
        }
        let answer = self.wire.simple(&format!("PREPARE TRANSACTION '{write}'")).await;
        if answer.tags != ["PREPARE TRANSACTION"] {
            return self.failed(&[write], &answer).await;
        }
        self.point(Point::Prepared);
        self.wire.send(&query(&format!("COMMIT PREPARED '{write}'"))).await;
        self.point(Point::CommitPreparedSent);
        let answer = self.wire.answer().await;
        if answer.tags == ["COMMIT PREPARED"] {
            self.told(&write, Fate::Applied);
            return answer.status.map(|_| ());
        }
        // Whoever comes next may commit it.
        self.told(&write, Fate::Unknown);
        answer.status?;
        self.open().await
    }
}

/// What an answer without success says of the writes that it is for.
fn fate(answer: &Answer) -> Fate {
    match answer.errors.last().map(Told::code) {
        // The server's own error, and the session goes on: rolled back.
        Some(_) if answer.status.is_some() => Fate::NotApplied,
        Some("PF001") => Fate::NotApplied,
        _ => Fate::Unknown,
    }
}
