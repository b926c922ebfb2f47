//! The end of a session, and what its client is told of it.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::pending::Entry;
use super::refusal::Problem;
use super::session::{Flow, Reply, Session};
use crate::net::tls::ServerStream;

/// How long a client may take to read why its connection ends.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What is read at once of what nobody looks at.
const REST_BYTES: usize = 16 * 1024;

impl Session {
    /// Ends the session, and tells the client why.
    pub(super) async fn end(&mut self, problem: Problem) -> Flow {
        self.front.tell_ended(&self.peer, &problem);
        // Also one that waits for nothing: what it may be sending now is not done.
        self.leave(Some(&problem).filter(|_| !self.is_told)).await
    }

    /// Ends the session. What may still run at the server is ended there.
    pub(super) async fn leave(&mut self, problem: Option<&Problem>) -> Flow {
        self.hold.reap();
        let Some(mut client) = self.client.take() else { return Flow::End };
        let mut pending = std::mem::take(&mut self.pending);
        // It is closed never.
        let turn = self.front.endings.acquire().await;
        let farewell = async {
            client.write_all(&self.to_client).await?;
            client.write_all(self.from_server.cleared()).await?;
            // Palisade's own answers wait for nobody.
            while let Some(Entry::Own(answer, _)) = pending.first() {
                client.write_all(answer).await?;
                pending.answered();
            }
            // In the middle of an answer of the server's there is no place for another.
            let is_between = self.reply == Reply::None || self.replies.is_between();
            if let Some(problem) = problem.filter(|_| is_between) {
                client.write_all(&problem.error()).await?;
            }
            client.shutdown().await?;
            drop(turn);
            // A connection that is closed with bytes unread is reset, and the client might not
            // come to read why. Nobody can tell whether there are any on their way.
            // Not an array: every session would have room for it, all the time.
            let mut rest = vec![0; REST_BYTES];
            while client.read(&mut rest).await? > 0 {}
            std::io::Result::Ok(())
        };
        let _ = timeout(FAREWELL_TIMEOUT, farewell).await;
        Flow::End
    }
}

/// Tells a client why it gets no session.
pub(super) async fn farewell(mut stream: Box<ServerStream>, problem: &Problem) {
    let telling = async {
        stream.write_all(&problem.error()).await?;
        stream.shutdown().await
    };
    // Whoever does not read it does not learn why.
    let _ = timeout(FAREWELL_TIMEOUT, telling).await;
}
