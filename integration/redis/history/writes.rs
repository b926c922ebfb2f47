//! What a leader writes: every way that there is, each with the points at which it may stop.

use std::time::Duration;

use tokio::time::sleep;

use super::errand::{Fate, Point};
use super::leader::{Leader, complain, fate, word};
use super::network::SLOW;
use crate::rig::redis::{Value, command};

/// Appends, takes its time, and counts.
const SCRIPT: &str = "
local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end
local till = now() + ARGV[2]
redis.call('RPUSH', KEYS[1], ARGV[1])
while now() < till do end
redis.call('INCR', KEYS[2])
return 1";
/// How long a pop waits, in seconds: longer than it takes until something comes.
const POP_SECONDS: &str = "3";

impl Leader {
    /// One write, or some. `None`: the session is over.
    pub async fn write(&mut self) -> Option<()> {
        let kind = match self.is_due() {
            Some(Point::HasRead) => 1,
            Some(Point::InPipeline | Point::PipelineSent) => 2,
            Some(Point::InMulti | Point::ExecSent) => 3,
            Some(Point::InScript) => 4,
            Some(Point::InPop) => 5,
            Some(Point::InMove) => 6,
            Some(_) => 0,
            None => self.chance.within(0..=6),
        };
        let is_good = match kind {
            0 => self.append().await?,
            1 => self.count().await?,
            2 => self.pipeline().await?,
            3 => self.transaction().await?,
            4 => self.script().await?,
            5 => self.pop().await?,
            _ => self.take().await?,
        };
        // What it has in mind may not be what is there.
        if is_good { Some(()) } else { self.open().await }
    }

    /// From now on what it sends takes its time between Palisade and the server: within the time
    /// that a takeover waits, and beyond. Or it does not.
    async fn slow_down(&mut self, points: &[Point]) -> Option<()> {
        let is_due = self.is_due().is_some_and(|due| points.contains(&due));
        if !is_due || self.is_slow || !self.has_palisade() {
            return Some(());
        }
        self.is_slow = true;
        let ms = self.chance.one_of(&[0, 60, 250, 1_500]);
        let named = self.wire.call(&["CLIENT", "SETNAME", &format!("{SLOW}{ms}")]).await;
        (fate(&named) == Fate::Applied).then_some(())
    }

    /// What stands in the log, and behind the number of the counter.
    fn entry(&self, write: &str) -> String {
        format!("{} {write}", self.errand.token)
    }

    fn counted(&mut self, write: &str) -> String {
        self.counter += 1;
        format!("{} {}", self.counter, self.entry(write))
    }

    async fn append(&mut self) -> Option<bool> {
        self.slow_down(&[Point::HalfSent, Point::Sent]).await?;
        let write = self.begin("append");
        let bytes = command(&["RPUSH", &self.key("log"), &self.entry(&write)]);
        if self.is_due() == Some(Point::HalfSent) {
            let (first, rest) = bytes.split_at(bytes.len() / 2);
            self.wire.send(first).await;
            // Longer than it takes to pass it on.
            sleep(Duration::from_millis(5)).await;
            self.stop_at(Point::HalfSent);
            self.wire.send(rest).await;
        } else {
            self.wire.send(&bytes).await;
        }
        self.stop_at(Point::Sent);
        let is_good = self.settle(&[write]).await;
        self.stop_at(Point::Answered);
        is_good
    }

    /// Read, modify, write.
    async fn count(&mut self) -> Option<bool> {
        // Half of them build on what they have known since they began to lead.
        if self.is_due().is_some() || self.chance.percent(50) {
            self.counter = self.read_counter().await?;
        }
        self.slow_down(&[Point::HasRead]).await?;
        self.stop_at(Point::HasRead);
        let write = self.begin("count");
        let value = self.counted(&write);
        self.send(&["SET", &self.key("counter"), &value]).await;
        self.settle(&[write]).await
    }

    async fn pipeline(&mut self) -> Option<bool> {
        self.slow_down(&[Point::InPipeline, Point::PipelineSent]).await?;
        let mut writes = Vec::new();
        let count = self.chance.within(4..=8);
        for index in 0..count {
            if index == count / 2 {
                self.stop_at(Point::InPipeline);
            }
            if index % 2 == 0 {
                let write = self.begin("append");
                self.send(&["RPUSH", &self.key("log"), &self.entry(&write)]).await;
                writes.push(write);
            } else {
                let write = self.begin("count");
                let value = self.counted(&write);
                self.send(&["SET", &self.key("counter"), &value]).await;
                writes.push(write);
            }
        }
        self.stop_at(Point::PipelineSent);
        self.settle(&writes).await
    }

    /// Four keys at once, two of which have to stay the same.
    async fn transaction(&mut self) -> Option<bool> {
        if self.chance.percent(50) {
            let watched = self.wire.call(&["WATCH", &self.key("a"), &self.key("b")]).await;
            if fate(&watched) != Fate::Applied {
                return Some(false);
            }
            self.counter = self.read_counter().await?;
        }
        self.slow_down(&[Point::ExecSent]).await?;
        let write = self.begin("exec");
        let (before, value) = (self.counter, self.counted(&write));
        let mut lines = vec![vec!["MULTI".to_owned()]];
        if self.has_palisade() && self.chance.percent(50) {
            let token = self.errand.token.to_string();
            lines.push(["PALISADE", "TOKEN", &token].map(str::to_owned).to_vec());
        }
        for name in ["counter", "a", "b"] {
            lines.push(vec!["SET".to_owned(), self.key(name), value.clone()]);
        }
        lines.push(vec!["RPUSH".to_owned(), self.key("log"), self.entry(&write)]);
        // All at once, as most clients do it; or one by one.
        let is_at_once = match self.is_due() {
            Some(Point::InMulti) => false,
            due => due == Some(Point::ExecSent) || self.chance.percent(50),
        };
        let is_given_up = self.is_due().is_none() && self.chance.percent(10);
        for line in &lines {
            self.send(line).await;
            if !is_at_once && !self.is_queued(&write).await? {
                self.counter = before;
                return Some(false);
            }
        }
        self.stop_at(Point::InMulti);
        self.send(&[if is_given_up { "DISCARD" } else { "EXEC" }]).await;
        self.stop_at(Point::ExecSent);
        // Whatever is refused aborts it, and EXEC's own answer tells so.
        for _ in lines.iter().filter(|_| is_at_once) {
            let answer = self.wire.answer().await;
            self.heed(answer.as_ref());
        }
        let answer = self.wire.answer().await;
        let fate = match &answer {
            None if self.is_fenced => Fate::NotApplied,
            None => Fate::Unknown,
            // Somebody has written to what it watches.
            Some(Value::Null) => Fate::NotApplied,
            Some(_) if is_given_up => Fate::NotApplied,
            Some(value) => fate(value),
        };
        self.told(&write, fate);
        answer.map(|_| fate == Fate::Applied)
    }

    /// Whether a command of a transaction was queued; what was not is not applied.
    async fn is_queued(&mut self, write: &str) -> Option<bool> {
        let answer = self.wire.answer().await;
        let is_good = matches!(&answer, Some(Value::Simple(_)));
        if !is_good {
            // Nobody has said EXEC.
            self.told(write, Fate::NotApplied);
            if let Some(Value::Error(told)) = &answer
                && !["FENCED", "TRYAGAIN", "UNKNOWN"].contains(&word(told))
            {
                complain(format!("in a transaction: {told}"));
            }
            if answer.is_some() {
                // A refused one leaves the transaction open.
                self.send(&["DISCARD"]).await;
                self.wire.answer().await?;
            }
        }
        answer.map(|_| is_good)
    }

    async fn script(&mut self) -> Option<bool> {
        self.slow_down(&[Point::InScript]).await?;
        let write = self.begin("script");
        let ms = match self.is_due() {
            // Within the time that a takeover waits, and beyond.
            Some(Point::InScript) => self.chance.one_of(&[60, 200, 700]),
            _ => self.chance.within(0..=3),
        };
        let (log, tally) = (self.key("log"), self.key("tally"));
        let (entry, ms) = (self.entry(&write), ms.to_string());
        self.send(&["EVAL", SCRIPT, "2", &log, &tally, &entry, &ms]).await;
        self.stop_at(Point::InScript);
        self.settle(&[write]).await
    }

    /// Takes from a queue that others fill: nobody else has what it gets.
    async fn pop(&mut self) -> Option<bool> {
        let queue = self.key("queue");
        if self.is_due() == Some(Point::InPop) {
            // So that it has to wait.
            while self.got("pop", &["LPOP", &queue], &[]).await? {}
        }
        self.slow_down(&[Point::InPop]).await?;
        // Now and then it comes right behind a write.
        let mut ahead = Vec::new();
        if self.chance.percent(40) {
            let write = self.begin("append");
            self.send(&["RPUSH", &self.key("log"), &self.entry(&write)]).await;
            ahead.push(write);
        }
        self.got("pop", &["BLPOP", &queue, POP_SECONDS], &ahead).await?;
        Some(true)
    }

    /// The same, but it goes to the end of another list.
    async fn take(&mut self) -> Option<bool> {
        let (jobs, taken) = (self.key("jobs"), self.key("taken"));
        if self.is_due() == Some(Point::InMove) {
            while self.got("take", &["LMOVE", &jobs, &taken, "LEFT", "RIGHT"], &[]).await? {}
        }
        self.slow_down(&[Point::InMove]).await?;
        let words = ["BLMOVE", &jobs, &taken, "LEFT", "RIGHT", POP_SECONDS];
        self.got("take", &words, &[]).await?;
        Some(true)
    }

    /// Whether it got something; `ahead` is what was sent before and is not answered yet.
    /// `None`: the session is over.
    async fn got(&mut self, kind: &str, words: &[&str], ahead: &[String]) -> Option<bool> {
        let write = self.begin(kind);
        self.send(words).await;
        match words[0] {
            "BLPOP" => self.stop_at(Point::InPop),
            "BLMOVE" => self.stop_at(Point::InMove),
            _ => {}
        }
        let is_good = self.settle(ahead).await;
        let answer = match is_good {
            Some(_) => self.wire.answer().await,
            None => None,
        };
        match &answer {
            None if self.is_fenced => self.told(&write, Fate::NotApplied),
            None => self.told(&write, Fate::Unknown),
            Some(Value::Null) => self.told(&write, Fate::NotApplied),
            Some(Value::Bulk(_)) => self.popped(&write, answer.as_ref()?.to_string()),
            Some(Value::List('*', pair)) => self.popped(&write, pair[1].to_string()),
            Some(Value::Error(_)) => {
                let fate = fate(answer.as_ref()?);
                self.told(&write, fate);
            }
            Some(other) => {
                complain(format!("{words:?} is answered {other}"));
                self.told(&write, Fate::Unknown);
            }
        }
        let is_error = matches!(&answer, Some(Value::Error(_)));
        if is_error || is_good == Some(false) {
            self.open().await?;
        }
        answer.map(|answer| !matches!(answer, Value::Null | Value::Error(_)))
    }
}
