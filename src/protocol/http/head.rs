//! What the head of a request decides alone: the same for serving it and for explaining it.

use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::{StatusCode, request};

use super::malformed::Malformed;
use super::problem::{Denial, Problem};
use super::session::wait;
use super::settings::Listener;
use super::speech::{Speech, Understood};
use super::{integrity, reserved, token};
use crate::fence::Token;

/// A head that can be read in exactly one way.
pub struct Head<'h> {
    /// The host that it is for.
    pub host: HeaderValue,
    /// The token that it brings.
    pub token: Option<Token>,
    /// Who is asked.
    pub asks: Asks<'h>,
}

/// Whom a request is for.
pub enum Asks<'h> {
    /// Palisade itself, for what follows the reserved prefix.
    Palisade(&'h str),
    /// The store; with how long it wants to wait at most, where it says so.
    Store(Understood, Option<Duration>),
}

impl<'h> Head<'h> {
    /// Reads a head.
    ///
    /// # Errors
    /// When it could be read in two ways, or in none.
    pub fn read(
        listener: &Listener,
        speech: &Speech,
        head: &'h request::Parts,
        has_body: bool,
    ) -> Result<Self, Box<Problem>> {
        if head.headers.len() > listener.limits.headers_max {
            // HTTP/2 has no such bound of its own.
            let malformed = Malformed::new("there are too many headers", "send fewer");
            return Err(malformed.with_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE).into());
        }
        let name = integrity::check(head, &listener.token_header)?;
        let token =
            token::find(&head.headers, &listener.token_header).map_err(Denial::TokenMalformed)?;
        let host = match head.headers.get(HOST) {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(name)
                .map_err(|_| Malformed::new("Host is not ASCII", "correct it"))?,
        };
        if let Some(rest) = reserved::name(head.uri.path(), &listener.prefix) {
            return Ok(Self { host, token, asks: Asks::Palisade(rest) });
        }
        let understood = speech.classify(head, name, has_body)?;
        let mut targets = understood.operation.targets.iter();
        if targets.any(|target| reserved::name(&target.path, &listener.prefix).is_some()) {
            let mend = "write the reserved prefix as it is configured";
            return Err(Malformed::new("the reserved prefix is encoded", mend).into());
        }
        let asks = Asks::Store(understood, wait(&head.headers)?);
        Ok(Self { host, token, asks })
    }
}
