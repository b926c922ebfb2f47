//! The end of a session, and what its client is told of it; refusals within one.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::codec::message::write::{self, Severity};
use super::refusal::Problem;
use super::session::{Flow, Session, Skip};

/// How long a client may take to read why its session ends, and a server that it does.
pub const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// No statement: the server answers with an error that has this word in it.
pub(super) const UNDOING: &str = "palisade_refuses_this_batch";

impl Session {
    /// Ends the session, and tells the client why.
    pub(super) async fn end(&mut self, problem: Problem) -> Flow {
        self.front.tell_ended(&self.peer, &problem);
        self.leave(Some(&problem)).await
    }

    /// Ends the session. What may still run at the server is ended there.
    pub(super) async fn leave(&mut self, problem: Option<&Problem>) -> Flow {
        self.hold.reap();
        // It is closed never.
        let front = std::sync::Arc::clone(&self.front);
        let _turn = front.endings.acquire().await;
        if self.tracker.is_idle() && self.from_client.is_between_messages() {
            // The server is to end as after any other session; whether it hears it is no matter.
            write::terminate(&mut self.to_server);
            let goodbye = async {
                self.server.write_all(&self.to_server).await?;
                self.server.shutdown().await?;
                // Until its process has come to its end.
                while self.server.read(&mut [0; 256]).await? > 0 {}
                std::io::Result::Ok(())
            };
            let _ = timeout(FAREWELL_TIMEOUT, goodbye).await;
        }
        let Some(mut client) = self.client.take() else { return Flow::End };
        let farewell = async {
            client.write_all(&self.to_client).await?;
            client.write_all(self.from_server.cleared()).await?;
            let count = self.from_server.cleared().len();
            self.from_server.gone(count);
            // In the middle of a message of the server's there is no place for another.
            if let Some(problem) = problem.filter(|_| self.from_server.is_between_messages()) {
                client.write_all(&problem.error(Severity::Fatal)).await?;
            }
            client.shutdown().await
        };
        let _ = timeout(FAREWELL_TIMEOUT, farewell).await;
        Flow::End
    }

    /// Refuses the client's next message, and with it its batch. The session goes on.
    pub(super) fn refuse(&mut self, problem: &Problem) -> Flow {
        self.front.tell_refused(&self.peer, problem);
        let error = problem.error(Severity::Error);
        let Ok(Some(header)) = self.from_client.next() else { return Flow::Go };
        if self.is_batch_open {
            // What has been forwarded of the batch is answered first, and then undone by an error
            // of the server's own, in whose place the client gets this one.
            self.late_error = Some(error);
            write::message(&mut self.to_server, b'P', |out| {
                out.push(0);
                write::put_text(out, UNDOING);
                out.extend_from_slice(&[0, 0]);
            });
            self.tracker.client(b'P');
            write::sync(&mut self.to_server);
            self.tracker.client(b'S');
            self.is_batch_open = false;
            self.skip = Skip::Served;
            return Flow::Go;
        }
        self.to_client.extend_from_slice(&error);
        match header.tag {
            b'Q' | b'F' => {
                self.from_client.skip(&header);
                write::ready(&mut self.to_client, self.tracker.status());
            }
            _ => self.skip = Skip::Own,
        }
        Flow::Go
    }
}
