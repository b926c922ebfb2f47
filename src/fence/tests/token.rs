//! Tokens as text, and their order.

use proptest::prelude::*;

use crate::fence::{Token, TokenError};

fn check(text: &str, expected: Result<(u32, u64), TokenError>) {
    let expected = expected.map(|(incarnation, counter)| Token::new(incarnation, counter));
    assert_eq!(text.parse::<Token>(), expected, "{text:?}");
}

#[test]
fn parses_decimal_numbers() {
    check("1", Ok((0, 1)));
    check("42", Ok((0, 42)));
    check("0000000042", Ok((0, 42))); // ZooKeeper pads
    check("1.3", Ok((1, 3)));
    check("0.7", Ok((0, 7)));
    check("01.03", Ok((1, 3)));
    check("9223372036854775807", Ok((0, i64::MAX as u64)));
    check("9223372036854775808", Ok((0, i64::MAX as u64 + 1))); // implausible, but a token
    check("18446744073709551615", Ok((0, u64::MAX)));
    check("4294967295.18446744073709551615", Ok((u32::MAX, u64::MAX)));
}

#[test]
fn refuses_everything_else() {
    for (text, error) in [
        ("", TokenError::Empty),
        (".", TokenError::Empty),
        ("1.", TokenError::Empty),
        (".1", TokenError::Empty),
        ("0", TokenError::Zero),
        ("000", TokenError::Zero),
        ("1.0", TokenError::Zero),
        ("18446744073709551616", TokenError::TooLarge),
        ("4294967296.1", TokenError::TooLarge),
        ("99999999999999999999999.1", TokenError::TooLarge),
        ("+1", TokenError::NotANumber),
        ("-1", TokenError::NotANumber),
        (" 1", TokenError::NotANumber),
        ("1 ", TokenError::NotANumber),
        ("1\n", TokenError::NotANumber),
        ("1_000", TokenError::NotANumber),
        ("1,5", TokenError::NotANumber),
        ("1e3", TokenError::NotANumber),
        ("0x10", TokenError::NotANumber),
        ("1.2.3", TokenError::NotANumber),
        ("a", TokenError::NotANumber),
        ("1.a", TokenError::NotANumber),
        ("\u{0661}", TokenError::NotANumber), // a decimal digit, but not of ours
        ("\u{ff11}", TokenError::NotANumber),
    ] {
        check(text, Err(error));
    }
}

#[test]
fn a_later_incarnation_outranks_every_counter() {
    assert!(Token::new(1, 1) > Token::new(0, u64::MAX));
    assert!(Token::new(0, 2) > Token::new(0, 1));
    assert!(Token::new(0, 1) > Token::ZERO);
}

#[test]
fn the_incarnation_zero_is_left_out() {
    assert_eq!(Token::new(0, 42).to_string(), "42");
    assert_eq!(Token::new(1, 3).to_string(), "1.3");
}

proptest! {
    #[test]
    fn text_and_back(incarnation: u32, counter in 1..=u64::MAX) {
        let token = Token::new(incarnation, counter);
        prop_assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn any_text_is_a_token_with_one_meaning_or_none(text in "[0-9. +a]{0,24}|.{0,12}") {
        if let Ok(token) = text.parse::<Token>() {
            prop_assert!(token > Token::ZERO);
            prop_assert!(text.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
            prop_assert_eq!(token.to_string().parse(), Ok(token));
        }
    }
}
