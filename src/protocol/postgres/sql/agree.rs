//! Whether sqlparser saw the same tokens as PostgreSQL's lexer would.

use sqlparser::tokenizer::{Location, Token as Theirs, TokenWithSpan};

use super::scan::{Kind, Token};

/// A token, or a run of operators: where it begins and ends.
#[derive(Debug, Eq, PartialEq)]
struct Place {
    start: Location,
    end: Location,
    operator: bool,
}

/// Compares token by token: the place, and whether it is an operator, a name, a string or a number.
/// How a run of operator characters is cut up is no matter: none of `pg_catalog`'s writes.
pub(super) fn agree(text: &str, ours: &[Token<'_>], theirs: &[TokenWithSpan]) -> bool {
    let mut merged: Vec<(Place, Option<&Theirs>)> = Vec::with_capacity(ours.len());
    for token in
        theirs.iter().filter(|token| !matches!(token.token, Theirs::Whitespace(_) | Theirs::EOF))
    {
        let operator = is_operator(&token.token);
        let (start, end) = (token.span.start, token.span.end);
        match merged.last_mut() {
            Some((last, _)) if operator && last.operator && last.end == start => last.end = end,
            _ => merged.push((Place { start, end, operator }, Some(&token.token))),
        }
    }
    if merged.len() != ours.len() {
        return false;
    }
    let mut places = Locations::new(text);
    ours.iter().zip(merged).all(|(token, (place, theirs))| {
        let operator = token.kind == Kind::Operator;
        let ours = Place { start: places.of(token.start), end: places.of(token.end()), operator };
        ours == place && (operator || theirs.is_some_and(|theirs| is_same_kind(token, theirs)))
    })
}

fn is_operator(token: &Theirs) -> bool {
    !matches!(
        token,
        Theirs::Word(_)
            | Theirs::Number(..)
            | Theirs::SingleQuotedString(_)
            | Theirs::DollarQuotedString(_)
            | Theirs::SingleQuotedByteStringLiteral(_)
            | Theirs::NationalStringLiteral(_)
            | Theirs::EscapedStringLiteral(_)
            | Theirs::HexStringLiteral(_)
            | Theirs::Comma
            | Theirs::LParen
            | Theirs::RParen
            | Theirs::LBracket
            | Theirs::RBracket
            | Theirs::Period
            | Theirs::SemiColon
    ) && !matches!(token, Theirs::Placeholder(name) if name.starts_with('$'))
}

fn is_same_kind(ours: &Token<'_>, theirs: &Theirs) -> bool {
    match (ours.kind, theirs) {
        (Kind::Word, Theirs::Word(word)) => word.quote_style.is_none() && word.value == ours.raw,
        (Kind::Quoted, Theirs::Word(word)) => {
            word.quote_style == Some('"') && ours.name().is_some_and(|name| name == word.value)
        }
        (Kind::Text, Theirs::SingleQuotedString(text) | Theirs::NationalStringLiteral(text)) => {
            ours.text().is_some_and(|ours| ours == *text)
        }
        (Kind::Escaped, Theirs::EscapedStringLiteral(_))
        | (Kind::Bits, Theirs::SingleQuotedByteStringLiteral(_) | Theirs::HexStringLiteral(_))
        | (Kind::Dollar, Theirs::DollarQuotedString(_)) => true,
        (Kind::Number, Theirs::Number(digits, false)) => digits == ours.raw,
        (Kind::Parameter, Theirs::Placeholder(name)) => name == ours.raw,
        (Kind::Punctuation, sign) => sign.to_string() == ours.raw,
        _ => false,
    }
}

/// From byte offsets, asked in rising order, to lines and columns.
struct Locations<'a> {
    text: &'a str,
    at: usize,
    place: Location,
}

impl<'a> Locations<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, place: Location { line: 1, column: 1 } }
    }

    fn of(&mut self, offset: usize) -> Location {
        for character in self.text[self.at..offset].chars() {
            if character == '\n' {
                self.place.line += 1;
                self.place.column = 1;
            } else {
                self.place.column += 1;
            }
        }
        self.at = offset;
        self.place
    }
}
