//! PostgreSQL's lexer, as strict as can be: what two readers could read differently is an error.
//!
//! It follows `src/backend/parser/scan.l` with `standard_conforming_strings` on. Everything above
//! it (where a statement ends, what is a function's name) is decided on these tokens and not on
//! those of a general SQL parser.

use std::borrow::Cow;

/// Why a text cannot be read with certainty.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub(super) struct ScanError(pub &'static str);

/// What a token is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A keyword or an identifier without quotes.
    Word,
    /// An identifier in double quotes.
    Quoted,
    /// `'...'` or `N'...'`.
    Text,
    /// `E'...'`.
    Escaped,
    /// `B'...'` or `X'...'`.
    Bits,
    /// `$tag$...$tag$`.
    Dollar,
    /// A number without a sign.
    Number,
    /// `$1`.
    Parameter,
    /// One of `( ) [ ] , . ;`.
    Punctuation,
    /// A run of operator characters and colons: possibly several operators in a row.
    Operator,
}

/// A token and where it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    /// As written, with quotes.
    pub raw: &'a str,
    /// Of its first byte in the text.
    pub start: usize,
}

impl<'a> Token<'a> {
    /// Whether it is this keyword (lower case), without quotes.
    pub fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.raw.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is one of these keywords.
    pub fn is_any(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }

    /// Whether it is this punctuation or operator.
    pub fn is_sign(&self, sign: &str) -> bool {
        matches!(self.kind, Kind::Punctuation | Kind::Operator) && self.raw == sign
    }

    /// The name that PostgreSQL makes of it, if it is a word or a quoted identifier.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        match self.kind {
            Kind::Word if self.raw.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Some(Cow::Owned(self.raw.to_ascii_lowercase()))
            }
            Kind::Word => Some(Cow::Borrowed(self.raw)),
            Kind::Quoted => {
                let inner = &self.raw[1..self.raw.len() - 1];
                Some(match inner.contains('"') {
                    true => Cow::Owned(inner.replace("\"\"", "\"")),
                    false => Cow::Borrowed(inner),
                })
            }
            _ => None,
        }
    }

    /// The value of a string literal that is written plainly.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self.kind {
            Kind::Text | Kind::Escaped => {
                let open = self.raw.find('\'')? + 1;
                let inner = &self.raw[open..self.raw.len() - 1];
                if self.kind == Kind::Escaped && inner.contains('\\') {
                    return None;
                }
                Some(match inner.contains('\'') {
                    true => Cow::Owned(inner.replace("''", "'")),
                    false => Cow::Borrowed(inner),
                })
            }
            Kind::Dollar => {
                let tag = self.raw[1..].find('$')? + 2;
                Some(Cow::Borrowed(&self.raw[tag..self.raw.len() - tag]))
            }
            _ => None,
        }
    }

    /// Of the byte after its last.
    pub fn end(&self) -> usize {
        self.start + self.raw.len()
    }
}

/// The tokens of a text, without comments and white space.
pub(super) fn scan(text: &str) -> Result<Vec<Token<'_>>, ScanError> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0 };
    let mut tokens: Vec<Token<'_>> = Vec::new();
    while scanner.skip_blank()? {
        let start = scanner.at;
        let kind = scanner.token()?;
        if let Some(before) = tokens.last() {
            let strings = matches!(before.kind, Kind::Text | Kind::Escaped | Kind::Bits);
            // After a line end the lexer glues both together, with the rules of the first.
            if strings && scanner.bytes[start] == b'\'' {
                return Err(ScanError("a string that goes on in another literal"));
            }
        }
        tokens.push(Token { kind, raw: &text[start..scanner.at], start });
    }
    Ok(tokens)
}

/// The statements of a text: its tokens between semicolons, without empty ones.
pub(super) fn statements<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    tokens.split(|token| token.is_sign(";")).filter(|statement| !statement.is_empty()).collect()
}

const PUNCTUATION: &[u8] = b"()[],.;";

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=:".contains(&byte)
}

fn starts_identifier(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn goes_on_identifier(byte: u8) -> bool {
    starts_identifier(byte) || byte.is_ascii_digit() || byte == b'$'
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn take_while(&mut self, accepts: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&accepts) {
            self.at += 1;
        }
    }

    /// Steps over white space and comments; false at the end.
    fn skip_blank(&mut self) -> Result<bool, ScanError> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return Ok(false),
                (Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0c'), _) => self.at += 1,
                (Some(b'-'), Some(b'-')) => self.take_while(|byte| byte != b'\n' && byte != b'\r'),
                (Some(b'/'), Some(b'*')) => self.skip_comment()?,
                _ => return Ok(true),
            }
        }
    }

    /// Comments nest.
    fn skip_comment(&mut self) -> Result<(), ScanError> {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(0), _) | (None, _) => return Err(ScanError("a comment without an end")),
                _ => self.at += 1,
            }
        }
    }

    fn token(&mut self) -> Result<Kind, ScanError> {
        let byte = self.bytes[self.at];
        let quoted = self.peek(1) == Some(b'\'');
        match byte {
            b'\'' => self.string(1, false).map(|()| Kind::Text),
            b'n' | b'N' if quoted => self.string(2, false).map(|()| Kind::Text),
            b'e' | b'E' if quoted => self.string(2, true).map(|()| Kind::Escaped),
            b'b' | b'B' | b'x' | b'X' if quoted => self.string(2, false).map(|()| Kind::Bits),
            b'u' | b'U'
                if self.peek(1) == Some(b'&') && matches!(self.peek(2), Some(b'\'' | b'"')) =>
            {
                Err(ScanError(
                    "U&'...' and U&\"...\", whose escapes can be chosen: write it plainly",
                ))
            }
            b'"' => self.quoted_identifier(),
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => self.number(),
            _ if starts_identifier(byte) => self.word(),
            _ if PUNCTUATION.contains(&byte) => {
                self.at += 1;
                Ok(Kind::Punctuation)
            }
            _ if is_operator(byte) => {
                self.operator();
                Ok(Kind::Operator)
            }
            _ => Err(ScanError("a character that no statement has outside of quotes")),
        }
    }

    /// From its prefix of so many bytes, quote included, to the closing quote.
    fn string(&mut self, prefix: usize, escapes: bool) -> Result<(), ScanError> {
        self.at += prefix;
        loop {
            match self.peek(0) {
                None | Some(0) => return Err(ScanError("a string without an end")),
                Some(b'\'') if self.peek(1) == Some(b'\'') => self.at += 2,
                Some(b'\'') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') if escapes => self.at += 2,
                Some(_) => self.at += 1,
            }
        }
    }

    fn quoted_identifier(&mut self) -> Result<Kind, ScanError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek(0) {
                None | Some(0) => return Err(ScanError("a quoted name without an end")),
                Some(b'"') if self.peek(1) == Some(b'"') => self.at += 2,
                Some(b'"') if self.at == start + 1 => return Err(ScanError("an empty name")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Kind::Quoted);
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn dollar(&mut self) -> Result<Kind, ScanError> {
        const STRAY: ScanError = ScanError("a stray dollar sign");
        let start = self.at;
        self.at += 1;
        if self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.take_while(|byte| byte.is_ascii_digit());
            return match self.peek(0) {
                Some(byte) if goes_on_identifier(byte) => Err(ScanError("a parameter with a tail")),
                _ => Ok(Kind::Parameter),
            };
        }
        if self.peek(0).is_some_and(starts_identifier) {
            self.take_while(|byte| goes_on_identifier(byte) && byte != b'$');
        }
        if self.peek(0) != Some(b'$') {
            return Err(STRAY);
        }
        self.at += 1;
        let tag = &self.text[start..self.at];
        let body = &self.text[self.at..];
        let end = memchr::memmem::find(body.as_bytes(), tag.as_bytes())
            .ok_or(ScanError("a dollar-quoted string without an end"))?;
        if body[..end].contains('\0') {
            return Err(STRAY);
        }
        self.at += end + tag.len();
        Ok(Kind::Dollar)
    }

    fn number(&mut self) -> Result<Kind, ScanError> {
        self.take_while(|byte| byte.is_ascii_digit());
        if self.peek(0) == Some(b'.') && self.peek(1) != Some(b'.') {
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if self.peek(1 + sign).is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1 + sign;
                self.take_while(|byte| byte.is_ascii_digit());
            }
        }
        match self.peek(0) {
            // 0x1f and 1_000 are one number or a number and a name, by the version.
            Some(byte) if goes_on_identifier(byte) => Err(ScanError("a number with a tail")),
            _ => Ok(Kind::Number),
        }
    }

    fn word(&mut self) -> Result<Kind, ScanError> {
        let start = self.at;
        self.take_while(goes_on_identifier);
        let word = &self.text[start..self.at];
        // PostgreSQL folds ASCII only; others fold a long s into the S of SELECT.
        let folds = || word.to_uppercase().is_ascii() || word.to_lowercase().is_ascii();
        match word.is_ascii() || !(word.chars().any(char::is_whitespace) || folds()) {
            true => Ok(Kind::Word),
            false => Err(ScanError("a name with characters that readers fold differently")),
        }
    }

    /// Up to where a comment begins.
    fn operator(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(is_operator) {
            let comment = matches!(
                (self.peek(0), self.peek(1)),
                (Some(b'-'), Some(b'-')) | (Some(b'/'), Some(b'*'))
            );
            if comment && self.at > start {
                return;
            }
            self.at += 1;
        }
    }
}
