//! How a leader gets in.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::errand::{Errand, Way};
use super::leader::{AGAIN, complain, end};
use crate::rig::postgres::{DATABASE, Told, Wire};

/// How long one of several Palisades may take to let it in.
const DOOR_TIMEOUT: Duration = Duration::from_secs(3);

/// Connects, again and again where that may help.
pub async fn enter(errand: &Errand) -> Wire {
    let (begun, patience) = (Instant::now(), Duration::from_millis(errand.patience_ms));
    for turn in 0.. {
        let (token, resource) = (errand.token.to_string(), format!("r{}", errand.resource));
        let mut parameters = vec![("user", "app"), ("database", DATABASE)];
        let stream = match &errand.way {
            Way::Palisade { addresses, door } => {
                parameters.push(("palisade.token", &token));
                parameters.push(("palisade.resource", &resource));
                match addresses[..] {
                    [address] => door.tls(address).await,
                    _ => {
                        let address = addresses[(errand.token + turn) as usize % addresses.len()];
                        let entering = tokio::time::timeout(DOOR_TIMEOUT, door.tls(address));
                        entering.await.unwrap_or_else(|_| Err(Told::cut()))
                    }
                }
            }
            Way::Socket(path) => match tokio::net::UnixStream::connect(path).await {
                Ok(stream) => Ok(Box::new(stream) as _),
                Err(_) => Err(Told::cut()),
            },
        };
        let opened = match stream {
            Ok(stream) => Wire::open(stream, &parameters).await,
            Err(told) => Err(told),
        };
        match opened {
            Ok(wire) => return wire,
            Err(told) if told.code() == "PF001" => end("stale"),
            // Nobody listens; it is starting; a takeover takes long.
            Err(told) if ["CUT", "57P03", "PF007", "53300", "57P01"].contains(&told.code()) => {}
            Err(told) => complain(format!("at the start: {told:?}")),
        }
        if errand.enough.exists() {
            end("enough");
        }
        if begun.elapsed() > patience {
            complain(format!("not let in within {patience:?}"));
            end("patience");
        }
        sleep(AGAIN).await;
    }
    unreachable!("it has no patience left")
}
