//! Pass-through: the client itself proves to the server who it is, and Palisade relays both.
//!
//! SCRAM with channel binding binds the proof to one TLS connection, and here are two. So the
//! mechanism with it is taken out of what the server offers. A client that could have bound then
//! says so, and a server that could have, too, refuses that: it has to be told not to bind.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::codec::frame::{self, HEADER_BYTES, Side};
use super::codec::message::read::{self, ErrorFields};
use super::codec::message::write;
use super::codec::startup::Startup;
use super::opening;
use super::server::Front;
use super::upstream::{Backend, LoginError, NOTICES_MAX, PARAMETERS_MAX, Wire};
use crate::net::tls::ServerStream;

/// Messages of the client while it proves itself, and the longest of them in bytes.
const PROOFS_MAX: usize = 16;
const PROOF_BYTES_MAX: usize = 16 * 1024;

/// AuthenticationOk and the offer of SASL mechanisms.
const OK: u32 = 0;
const SASL: u32 = 10;
/// What ends a mechanism's name that binds to the TLS connection.
const PLUS: &[u8] = b"-PLUS";

/// Logs a client in by its own proofs, within `login_timeout`.
pub(super) async fn log_in(
    front: &Front,
    client: &mut ServerStream,
    startup: &Startup,
    role: &str,
    database: &str,
    parameters: &[(String, String)],
) -> Result<Backend, LoginError> {
    let upstream = &front.listener.upstream;
    let logging_in = async {
        let (stream, host) = front.connector.connect().await?;
        let broken = |why: String| LoginError::Protocol { upstream: upstream.name.clone(), why };
        let mut wire = Wire::new(stream);
        let mut packet = Vec::new();
        let mut all = vec![
            ("user".to_owned(), role.to_owned()),
            ("database".to_owned(), database.to_owned()),
        ];
        all.extend_from_slice(parameters);
        write::startup(&mut packet, &all);
        wire.send(&packet).await.map_err(|error| broken(error.to_string()))?;
        let mut negotiation = Vec::new();
        opening::negotiate(&mut negotiation, startup);
        let gone = |error: std::io::Error| broken(format!("the client hung up: {error}"));
        client.write_all(&negotiation).await.map_err(gone)?;
        let (mut proofs, mut key) = (0, None);
        let (mut reported, mut notices) = (Vec::new(), Vec::new());
        loop {
            let message = wire.message().await.map_err(|error| broken(error.to_string()))?;
            match message.tag {
                b'R' => {
                    let code = message.body.first_chunk().map(|code| u32::from_be_bytes(*code));
                    let body = match code {
                        Some(OK) => continue,
                        Some(SASL) => without_binding(&message.body),
                        Some(_) => message.body,
                        None => return Err(broken("a malformed message".to_owned())),
                    };
                    let is_last = code == Some(12);
                    let mut relayed = Vec::new();
                    write::message(&mut relayed, b'R', |out| out.extend_from_slice(&body));
                    client.write_all(&relayed).await.map_err(gone)?;
                    client.flush().await.map_err(gone)?;
                    if is_last {
                        continue;
                    }
                    proofs += 1;
                    if proofs > PROOFS_MAX {
                        return Err(broken("it is never convinced".to_owned()));
                    }
                    let proof = proof(client).await.map_err(gone)?;
                    wire.send(&proof).await.map_err(|error| broken(error.to_string()))?;
                }
                b'E' => return Err(LoginError::Refused { body: message.body, host }),
                b'S' if reported.len() < PARAMETERS_MAX => {
                    if let Ok((name, value)) = read::parameter_status(&message.body) {
                        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                        reported.push((text(name), text(value)));
                    }
                }
                b'K' => {
                    let read = read::backend_key(&message.body);
                    let (pid, secret) = read.map_err(|error| broken(error.to_string()))?;
                    key = Some((pid, Box::<[u8]>::from(secret)));
                }
                b'N' if notices.len() < NOTICES_MAX => {
                    let mut notice = Vec::new();
                    write::message(&mut notice, b'N', |out| out.extend_from_slice(&message.body));
                    notices.push(notice);
                }
                b'Z' => break,
                _ => {}
            }
        }
        let (pid, secret) =
            key.ok_or_else(|| broken("it gives no key to cancel with".to_owned()))?;
        let (stream, rest) = wire.into_parts();
        Ok(Backend { stream, host, pid, secret, parameters: reported, notices, rest })
    };
    let late = |_| LoginError::Timeout { upstream: upstream.name.clone(), limit: "login_timeout" };
    timeout(upstream.login_timeout, logging_in).await.map_err(late)?
}

/// A whole password message of the client, header and all.
async fn proof(client: &mut ServerStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES];
    client.read_exact(&mut bytes).await?;
    let header = frame::header(Side::Client, &bytes).map_err(std::io::Error::other)?;
    let header = header.filter(|header| header.tag == b'p' && header.len <= PROOF_BYTES_MAX);
    let header =
        header.ok_or_else(|| std::io::Error::other("it sent something else than a proof"))?;
    bytes.resize(HEADER_BYTES + header.len, 0);
    client.read_exact(&mut bytes[HEADER_BYTES..]).await?;
    Ok(bytes)
}

/// The offer without the mechanisms that bind to a TLS connection.
fn without_binding(body: &[u8]) -> Vec<u8> {
    let (code, names) = body.split_at(4.min(body.len()));
    let mut kept = code.to_vec();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if !name.ends_with(PLUS) {
            kept.extend_from_slice(name);
            kept.push(0);
        }
    }
    kept.push(0);
    kept
}

/// What to do where a server's refusal comes of standing in the middle.
pub(super) fn mend(body: &[u8]) -> Option<&'static str> {
    let fields = ErrorFields::parse(body).ok()?;
    (fields.code.starts_with("28") && fields.message.contains("channel binding")).then_some(
        "set channel_binding=disable in the DSN: with pass-through the client's TLS ends at Palisade; \
         or have Palisade log in itself, with login = \"held\"",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_binds_is_not_offered() {
        let offer = b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        assert_eq!(without_binding(offer), b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    }
}
