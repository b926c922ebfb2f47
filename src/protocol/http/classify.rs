//! What a request of generic HTTP does: the method tells reads from writes.

use http::Method;

use super::malformed::Malformed;
use super::operation::{Operation, Target};
use super::path;
use crate::fence::Action;

/// The operation of a request that has passed the integrity check.
///
/// # Errors
/// When its path can be read in two ways, or a read has a body: stores that ignore such a
/// body take it for the next request.
pub fn classify(method: &Method, raw_path: &str, has_body: bool) -> Result<Operation, Malformed> {
    let (name, action) = match *method {
        Method::GET => ("GET", Action::Read),
        Method::HEAD => ("HEAD", Action::Read),
        Method::OPTIONS => ("OPTIONS", Action::Read),
        Method::DELETE => ("DELETE", Action::Write),
        Method::PATCH => ("PATCH", Action::Write),
        Method::POST => ("POST", Action::Write),
        Method::PUT => ("PUT", Action::Write),
        _ => ("OTHER", Action::Write),
    };
    if action == Action::Read && has_body {
        return Err(Malformed::new("a read has a body", "send it without, or use POST"));
    }
    Ok(Operation { name, targets: vec![Target { path: path::decode(raw_path)?, action }] })
}
