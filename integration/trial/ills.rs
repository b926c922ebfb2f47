//! Bad disks, frozen writers, revoked certificates: the faults that need a scene of their own.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::conductor::{Conductor, PATIENCE, POLL, open, plain};
use super::leaders::Write;
use super::shim::Disk;
use crate::history::Told;
use crate::rig::{Client, Process};

/// Takeovers that come in the middle of their uploads, and how often that is tried.
const HITS: usize = 2;
const TURNS_MAX: usize = 8;
/// Uploads in each.
const RACERS: u64 = 48;

impl Conductor {
    /// The ledger takes no raises from then on, says so, and is well after a start.
    pub(super) async fn sync_fails(&mut self, is_killed: bool) -> Result<bool, String> {
        let before = self.shim.disk_faults();
        self.ledger_fails(Disk::SyncFails).await?;
        let has_hit = self.shim.disk_faults() > before;
        self.shim.disk(Disk::Good);
        // It cannot know what is on the disk before it has been opened again.
        self.raises_are_refused().await?;
        match is_killed {
            true => self.kill(),
            false => drop(self.rig.palisade().end()),
        }
        self.start().await?;
        Ok(has_hit)
    }

    /// The same with a disk that is full, also at the next start.
    pub(super) async fn disk_full(&mut self) -> Result<bool, String> {
        let before = self.shim.disk_faults();
        self.ledger_fails(Disk::Full).await?;
        let has_hit = self.shim.disk_faults() > before;
        self.kill();
        self.rig.launch();
        let ended = self.rig.palisade().wait(PATIENCE);
        let said = self.rig.palisade().everything();
        if ended.success() || !said.contains("make room") {
            return Err(format!("a start on a full disk: {ended}: {said}"));
        }
        self.shim.disk(Disk::Good);
        self.start().await?;
        Ok(has_hit)
    }

    /// Raises wait, and nobody else does.
    pub(super) async fn sync_hangs(&mut self, ms: u64) -> Result<bool, String> {
        let (stage, other) = (self.stage(), self.other_stage());
        let before = self.shim.disk_faults();
        let holder = open(&self.crew, "leader-a", &other).await?;
        self.shim.disk(Disk::SyncHangs);
        let crew = self.crew.clone();
        let mut opening = JoinSet::new();
        opening.spawn(async move { open(&crew, "leader-b", &stage).await });
        let outcome = async {
            self.reads_go_on().await?;
            self.holder_goes_on(&other, holder).await?;
            sleep(Duration::from_millis(ms)).await;
            match opening.try_join_next() {
                Some(opened) => Err(format!("a raise that is not durable: {opened:?}")),
                None => Ok(()),
            }
        };
        let outcome = outcome.await;
        self.shim.disk(Disk::Good);
        outcome?;
        opening.join_next().await.expect("one was begun").map_err(|error| error.to_string())??;
        Ok(self.shim.disk_faults() > before)
    }

    async fn ledger_fails(&mut self, disk: Disk) -> Result<(), String> {
        let other = self.other_stage();
        let holder = open(&self.crew, "leader-a", &other).await?;
        self.shim.disk(disk);
        self.raises_are_refused().await?;
        self.reads_go_on().await?;
        self.holder_goes_on(&other, holder).await
    }

    /// A write at a mark that was durable before needs no ledger.
    async fn holder_goes_on(&self, stage: &str, holder: (u64, Client)) -> Result<(), String> {
        let (token, client) = holder;
        let name = self.name("holder", token);
        let write = Write { resource: stage, token, name, planned: plain(0, 0) };
        match self.crew.write(&client, write).await {
            Told::Applied => Ok(()),
            told => Err(format!("a write at the mark was {told:?}")),
        }
    }

    /// Whoever brings a larger token is told that the ledger is the reason, and to try again.
    async fn raises_are_refused(&self) -> Result<(), String> {
        let stage = self.stage();
        let token = self.log.token(&stage, 1);
        let client = self.crew.client("leader-b", token);
        let path = format!("/{stage}/object-0");
        let deadline = Instant::now() + PATIENCE;
        for turn in 0.. {
            let name = format!("{}.{turn}", self.name("refused", token));
            let client =
                client.clone().with("x-amz-meta-token", token).with("x-amz-meta-write", &name);
            self.log.begin(&name);
            let reply = client.try_send(Method::PUT, &path, name.clone()).await;
            self.log.told(&name, &reply);
            let reply = reply?;
            let refusal = reply.header("fencing-refusal");
            match (reply.status.as_u16(), refusal) {
                (503, "ledger_unavailable") if !reply.header("retry-after").is_empty() => break,
                (503, _) if Instant::now() < deadline => sleep(POLL * 4).await,
                (status, _) => {
                    return Err(format!("without a ledger: {status} {}", reply.text()));
                }
            }
        }
        Ok(())
    }

    /// A process that writes stops in the middle of its upload, and goes on when there is a
    /// new leader.
    pub(super) async fn freeze_writer(&mut self, ms: u64) -> Result<bool, String> {
        let stage = self.stage();
        let (token, _) = open(&self.crew, "leader-a", &stage).await?;
        let name = self.name("frozen", token);
        self.log.begin(&name);
        let body = self.rig.dir().join("body");
        std::fs::write(&body, vec![b'a'; 1 << 20]).unwrap();
        let (cert, key) = self.rig.certs.of("leader-a");
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--limit-rate",
            "512K",
            "-H",
            "Expect:",
            "-w",
            "\nstatus %{http_code}\n",
        ])
        .args(["-H", &format!("Fencing-Token: {token}")])
        .args(["-H", &format!("x-amz-meta-token: {token}")])
        .args(["-H", &format!("x-amz-meta-write: {name}")])
        .arg("--cacert")
        .arg(&self.rig.certs.ca)
        .arg("--cert")
        .arg(cert)
        .arg("--key")
        .arg(key)
        .arg("-T")
        .arg(&body)
        .arg(format!("https://localhost:{}/{stage}/object-0", self.rig.address.port()));
        let mut writer = Process::start(&mut curl, "curl", self.rig.dir());
        self.sees(&stage, |status| status["streaming"] == 1).await?;
        writer.freeze();
        self.log.count(|counts| counts.freezes += 1);
        sleep(Duration::from_millis(ms)).await;
        open(&self.crew, "leader-b", &stage).await?;
        writer.thaw();
        let deadline = Instant::now() + PATIENCE;
        while writer.is_running() && Instant::now() < deadline {
            sleep(POLL).await;
        }
        self.log.forbid(&name);
        let said = writer.everything();
        match said.contains("status 412") {
            true => Ok(true),
            false => Err(format!("a writer that was frozen over a takeover: {said}")),
        }
    }

    /// A leader with a certificate of its own loses it in the middle of an upload.
    pub(super) async fn revoke(&mut self) -> Result<bool, String> {
        let stage = self.stage();
        let who = format!("leader-revoked-{}", self.count);
        self.rig.certs.issue_client(&who, &who);
        let token = self.log.token(&stage, 1);
        let client = self.rig.client(&who).token(token);
        let until = Instant::now() + PATIENCE;
        if self.crew.seal(&client, &stage, token, until).await.is_none() {
            return Err(format!("{who} could not lead"));
        }
        let (name, again) = (self.name("revoked", token), self.name("again", token));
        self.log.begin(&name);
        let path = format!("/{stage}/object-0");
        let tagged = client.clone().with("x-amz-meta-token", token);
        let mut upload =
            tagged.clone().with("x-amz-meta-write", &name).begin(Method::PUT, &path, 1 << 16);
        upload.send(vec![b'a'; 1 << 15]).await;
        self.sees(&stage, |status| status["streaming"] == 1).await?;
        self.rig.certs.revoke(&who);
        self.rig.palisade().reload();
        while !upload.is_answered() {
            if Instant::now() >= until {
                return Err("an upload with a revoked certificate is not cut".to_owned());
            }
            sleep(POLL).await;
        }
        self.log.forbid(&name);
        // It is not let in again, so nothing of it can be in the store.
        self.log.begin(&again);
        let reply = tagged.with("x-amz-meta-write", &again).try_send(Method::PUT, &path, "x").await;
        self.log.forbid(&again);
        if let Ok(reply) = reply {
            return Err(format!("{who} was let in again: {} {}", reply.status, reply.text()));
        }
        open(&self.crew, "leader-b", &stage).await?;
        Ok(true)
    }

    /// Uploads whose last bytes come before, while and after the mark moves. The store takes its
    /// time, so that what slips through the second look at the fence lands under the new leader.
    pub(super) async fn race(&mut self, mut span_ms: u64) -> Result<bool, String> {
        let mut hits = 0;
        for turn in 0..TURNS_MAX {
            let stage = self.stage();
            let (token, client) = open(&self.crew, "leader-a", &stage).await?;
            let client = client.with("x-amz-meta-token", token).with("x-amz-meta-delay-ms", 150);
            let path = format!("/{stage}/object-0");
            let mut uploads = Vec::new();
            for index in 0..RACERS {
                let name = format!("{}.{turn}.{index}", self.name("race", token));
                self.log.begin(&name);
                let client = client.clone().with("x-amz-meta-write", &name);
                let mut upload = client.begin(Method::PUT, &path, 2);
                upload.send("a").await;
                uploads.push((name, upload));
            }
            self.sees(&stage, |status| status["streaming"] == RACERS).await?;
            // Held until all are at the start.
            self.shim.disk(Disk::SyncHangs);
            let (crew, resource) = (self.crew.clone(), stage.clone());
            let mut opening = JoinSet::new();
            opening.spawn(async move { open(&crew, "leader-b", &resource).await });
            let is_raising = self.sees(&stage, |status| status["busy"] == true).await;
            self.shim.disk(Disk::Good);
            is_raising?;
            let mut ending = JoinSet::new();
            for (index, (name, mut upload)) in (0..).zip(uploads) {
                let log = Arc::clone(&self.log);
                let at = Duration::from_micros(span_ms * 1_000 * index / RACERS);
                ending.spawn(async move {
                    sleep(at).await;
                    upload.send("b").await;
                    let reply = upload.finish().await;
                    log.told(&name, &reply)
                });
            }
            let told = ending.join_all().await;
            opening.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
            // How long the ledger takes is the machine's affair.
            match (told.contains(&Told::Applied), told.contains(&Told::NotApplied)) {
                (true, true) => hits += 1,
                (_, false) => span_ms *= 2,
                (false, true) => span_ms = (span_ms / 2).max(1),
            }
            if hits == HITS {
                break;
            }
        }
        Ok(hits > 0)
    }
}
