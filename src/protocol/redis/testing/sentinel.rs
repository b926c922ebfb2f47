//! A Sentinel that watches one primary.

use std::time::{Duration, Instant};

use super::{PATIENCE, Process, Server};

/// A running Sentinel. It is enough alone to begin a failover.
pub(in crate::protocol::redis) struct Sentinel {
    process: Process,
}

impl Sentinel {
    /// What it calls the primary.
    pub(in crate::protocol::redis) const SERVICE: &str = "main";

    /// It takes half a second of silence for a death.
    pub(in crate::protocol::redis) fn start(primary: &Server) -> Self {
        Self::start_with(primary, "")
    }

    /// With more lines of configuration, such as `requirepass secret`.
    pub(in crate::protocol::redis) fn start_with(primary: &Server, more: &str) -> Self {
        let (watched, auth) = (
            primary.port(),
            match &primary.password {
                Some(password) => format!("sentinel auth-pass main {password}\n"),
                None => String::new(),
            },
        );
        let process = Process::start(|dir, port| {
            let file = dir.join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\n\
                 sentinel monitor main 127.0.0.1 {watched} 1\n\
                 sentinel down-after-milliseconds main 500\n\
                 sentinel failover-timeout main 3000\n{auth}{more}\n",
                dir.display(),
            );
            std::fs::write(&file, text).expect("a file");
            vec![file.display().to_string(), "--sentinel".to_owned()]
        });
        Self { process }
    }

    /// Its TCP port on 127.0.0.1.
    pub(in crate::protocol::redis) fn port(&self) -> u16 {
        self.process.port
    }

    /// Waits until it knows that many replicas: before, no failover can be.
    pub(in crate::protocol::redis) async fn knows_replicas(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        loop {
            let known = self.ask(&["SENTINEL", "REPLICAS", Self::SERVICE]).await;
            if matches!(known, Ok(redis::Value::Array(known)) if known.len() >= count) {
                return;
            }
            assert!(Instant::now() < until, "the Sentinel does not see the replicas");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Begins a failover, as soon as it has a replica that is good enough.
    pub(in crate::protocol::redis) async fn fail_over(&self) {
        let until = Instant::now() + PATIENCE;
        while let Err(error) = self.ask(&["SENTINEL", "FAILOVER", Self::SERVICE]).await {
            assert!(Instant::now() < until, "it does not begin: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it answers to one command.
    pub(in crate::protocol::redis) async fn ask(
        &self,
        command: &[&str],
    ) -> redis::RedisResult<redis::Value> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port()))?;
        let mut client = client.get_multiplexed_async_connection().await?;
        let (name, args) = command.split_first().expect("a command");
        redis::cmd(name).arg(args).query_async(&mut client).await
    }

    /// Kills it.
    pub(in crate::protocol::redis) fn crash(&mut self) {
        self.process.crash();
    }
}
