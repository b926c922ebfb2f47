//! The ways to the replicas, for clients of each protocol.

use std::time::{Duration, Instant};

use super::{Behind, Cluster};
use crate::rig::client::Client;
use crate::rig::{Duplex, Reply, postgres, redis};

/// How long whoever insists does so.
const PATIENCE: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(50);

impl Cluster {
    /// A client of a replica, which shows the certificate of that name.
    pub fn client(&self, replica: usize, who: &str) -> Client {
        let (chain, key) = self.certs.of(who);
        Client::mtls(self.replicas[replica].address, &self.certs.ca, &chain, &key)
    }

    /// A client whose writes the history checker can follow.
    pub fn writer(&self, replica: usize, who: &str, token: u64, write: &str) -> Client {
        let client = self.client(replica, who).token(token);
        client.with("x-amz-meta-token", token).with("x-amz-meta-write", write)
    }

    /// Seals the resource of a path.
    pub async fn seal(&self, replica: usize, who: &str, token: u64, path: &str) -> Reply {
        let path = format!("/.palisade/seal?path={path}");
        self.client(replica, who).token(token).send(http::Method::POST, &path, "").await
    }

    /// Seals it, again and again as long as it may be tried again.
    pub async fn insist(&self, replica: usize, who: &str, token: u64, path: &str) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.seal(replica, who, token, path).await;
            if reply.status != 503 || Instant::now() > deadline {
                return reply;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Waits until one write of the path's resource is that far at that replica.
    pub async fn one_is(&self, replica: usize, stage: &str, path: &str) {
        let status = format!("/.palisade/status?path={path}");
        crate::rig::eventually(&format!("a write is {stage}"), async || {
            self.client(replica, "leader-b").get(&status).await.json()[stage] == 1
        })
        .await;
    }

    /// A session with PostgreSQL through a replica, or what is said instead.
    pub async fn pg(
        &self,
        replica: usize,
        who: &str,
        token: u64,
    ) -> Result<postgres::Wire, postgres::Told> {
        let (chain, key) = self.certs.of(who);
        let door = postgres::Door { ca: self.certs.ca.clone(), chain, key };
        let stream: Box<dyn Duplex> = door.tls(self.replicas[replica].address).await?;
        let token = token.to_string();
        let parameters =
            [("user", "app"), ("database", postgres::DATABASE), ("palisade.token", &token)];
        postgres::Wire::open(stream, &parameters).await
    }

    /// A session with Redis through a replica, or what is said instead.
    pub async fn redis(
        &self,
        replica: usize,
        who: &str,
        token: u64,
        key: &str,
    ) -> Result<redis::Wire, String> {
        let stream = self.door(who).tls(self.replicas[replica].address).await;
        let mut wire = redis::Wire::raw(stream.map_err(|_| redis::CUT.to_owned())?);
        match wire.say(&format!("AUTH token={token},key={key} x")).await.as_str() {
            "OK" => Ok(wire),
            told => Err(told.to_owned()),
        }
    }

    /// A session with PostgreSQL, asked for again and again as long as that may help.
    pub async fn insist_pg(&self, replica: usize, who: &str, token: u64) -> postgres::Wire {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.pg(replica, who, token).await {
                Ok(wire) => return wire,
                Err(told) => {
                    assert_ne!(told.code(), "PF001", "{told:?}");
                    assert!(Instant::now() < deadline, "{told:?}");
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// A session with Redis, asked for again and again as long as that may help.
    pub async fn insist_redis(
        &self,
        replica: usize,
        who: &str,
        token: u64,
        key: &str,
    ) -> redis::Wire {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.redis(replica, who, token, key).await {
                Ok(wire) => return wire,
                Err(told) => {
                    assert!(!told.starts_with("-FENCED"), "{told}");
                    assert!(Instant::now() < deadline, "{told}");
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// What a child process needs to find the way.
    pub fn door(&self, who: &str) -> redis::Door {
        let (chain, key) = self.certs.of(who);
        redis::Door { ca: self.certs.ca.clone(), chain, key }
    }

    /// The store; fails where it is another.
    pub fn s3(&mut self) -> &mut crate::rig::Store {
        match &mut self.store {
            Behind::S3(store) => store,
            _ => panic!("there is no S3"),
        }
    }

    /// The store; fails where it is another.
    pub fn postgres(&mut self) -> &mut postgres::Server {
        match &mut self.store {
            Behind::Postgres(server) => server,
            _ => panic!("there is no PostgreSQL"),
        }
    }

    /// The store; fails where it is another.
    pub fn redis_server(&mut self) -> &mut redis::Server {
        match &mut self.store {
            Behind::Redis(server) => server,
            _ => panic!("there is no Redis"),
        }
    }
}
