//! The stage: three stores, a compare-and-forward proxy, and a Palisade, all on loopback.

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::client::Client;
use super::fenced::{Fenced, SECRET_KEY, STORE_KEY_ID};
use super::naive::{self, Naive};
use super::story::{BUCKET, Play, Seal, TOKEN_A, TOKEN_B};
use crate::cli::store::{self, Store};

/// Any port of this machine that is free.
pub(super) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Everything that runs.
pub(super) struct World {
    direct: Store,
    naive: Naive,
    fenced: Fenced,
    // Behind the proxies; they serve until they are dropped.
    _stores: [Store; 2],
    dir: Dir,
}

/// Where the files are.
#[derive(Debug)]
pub(super) struct Dir {
    pub(super) path: PathBuf,
    is_temporary: bool,
}

impl World {
    /// Makes and starts everything, in that folder or in a temporary one.
    pub(super) async fn build(dir: Option<PathBuf>) -> anyhow::Result<Self> {
        let dir = Dir::make(dir)?;
        let direct = open_store(&dir.path.join("store-without-fence")).await?;
        let compared = open_store(&dir.path.join("store-compared")).await?;
        let naive = naive::serve(compared.address(), LOOPBACK).await?;
        let settings = store::Settings {
            credentials: Some((STORE_KEY_ID.to_owned(), SECRET_KEY.to_owned())),
            ..bucket(&dir.path.join("store"))
        };
        let guarded = store::serve(settings, LOOPBACK).await?;
        let fenced = Fenced::start(&dir.path, guarded.address()).await?;
        Ok(Self { direct, naive, fenced, _stores: [compared, guarded], dir })
    }

    /// The story on each way, not begun.
    pub(super) fn plays(&self) -> anyhow::Result<[Play; 3]> {
        let open = |seal, address| {
            Play::new(
                seal,
                Client::new(address, None, TOKEN_A),
                Client::new(address, None, TOKEN_B),
            )
        };
        Ok([
            open(Seal::Nothing, self.direct.address()),
            open(Seal::Noted, self.naive.address()),
            Play::new(Seal::Evidence, self.fenced.leader_a()?, self.fenced.leader_b()?),
        ])
    }

    /// The Palisade of the story.
    pub(super) fn fenced(&self) -> &Fenced {
        &self.fenced
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir.path
    }

    /// Stops everything in order.
    pub(super) async fn close(self) {
        self.fenced.stop().await;
    }
}

async fn open_store(dir: &Path) -> anyhow::Result<Store> {
    store::serve(bucket(dir), LOOPBACK).await
}

fn bucket(dir: &Path) -> store::Settings {
    let buckets = vec![BUCKET.to_owned()];
    store::Settings { dir: dir.to_owned(), buckets, ..store::Settings::default() }
}

impl Dir {
    /// Makes that folder, or a temporary one that goes when this is dropped.
    ///
    /// # Errors
    /// It cannot be made, or is not empty.
    pub(super) fn make(asked: Option<PathBuf>) -> anyhow::Result<Self> {
        // Private keys are going to lie in it.
        let mut private = DirBuilder::new();
        private.mode(0o700);
        let Some(path) = asked else {
            let name = format!("palisade-demo-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            private.create(&path).with_context(|| format!("making {}", path.display()))?;
            return Ok(Self { path, is_temporary: true });
        };
        private
            .recursive(true)
            .create(&path)
            .with_context(|| format!("making {}", path.display()))?;
        let mut entries =
            path.read_dir().with_context(|| format!("looking into {}", path.display()))?;
        anyhow::ensure!(
            entries.next().is_none(),
            "{} is not empty: name a folder that is, or one that is not there yet",
            path.display()
        );
        Ok(Self { path: std::path::absolute(path)?, is_temporary: false })
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if self.is_temporary {
            // What is left behind is in the folder for temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
