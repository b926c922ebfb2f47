//! The token of a request.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::malformed::Malformed;
use crate::fence::Token;

/// The name of the header that carries the token, unless the configuration names another,
/// and of the answer's header that says under which token it was admitted.
pub const TOKEN_HEADER: HeaderName = HeaderName::from_static("fencing-token");

/// The token that a request brings, or `None`.
///
/// # Errors
/// When it is none, or there are two.
pub fn find(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Token>, Malformed> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Malformed::new(format!("there are several {name} headers"), "send one"));
    }
    let text = value.to_str().map_err(|_| {
        Malformed::new(format!("{name} is not ASCII"), "send a decimal number such as 42")
    })?;
    let token = text.parse::<Token>();
    token.map(Some).map_err(|error| Malformed::new(error.to_string(), format!("correct {name}")))
}

/// A token as the value of a header.
pub fn header_of(token: Token) -> HeaderValue {
    match token.incarnation() {
        0 => HeaderValue::from(token.counter()),
        _ => HeaderValue::try_from(token.to_string()).expect("a token is digits and a point"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_one_token_or_none() {
        let check = |values: &[&str], expected: Result<Option<Token>, ()>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TOKEN_HEADER, value.parse().unwrap());
            }
            assert_eq!(find(&headers, &TOKEN_HEADER).map_err(drop), expected, "{values:?}");
        };
        check(&[], Ok(None));
        check(&["42"], Ok(Some(Token::new(0, 42))));
        check(&["1.3"], Ok(Some(Token::new(1, 3))));
        for bad in [&["42", "42"][..], &["42, 43"], &[""], &["0"], &["-1"], &["42 "], &["0x2a"]] {
            check(bad, Err(()));
        }
    }
}
