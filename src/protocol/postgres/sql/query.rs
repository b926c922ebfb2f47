//! Queries: SELECT, VALUES, TABLE and WITH.

use sqlparser::ast::Statement;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token as Theirs, TokenWithSpan, Tokenizer};

use super::read::Reason;
use super::scan::{Kind, Token, scan};
use super::set::setting;
use super::{agree, calls, tree};

/// How many tokens a query may have, without the literals of lists: its tree, which may be as deep
/// as there are operators in a chain, is dropped on the stack. tests/size.rs holds the stack to 1 MiB.
const TOKENS_MAX: usize = 4_096;

/// How many joins: sqlparser takes some stack for each that it has not seen the ON of.
const JOINS_MAX: usize = 100;

/// Levels of parentheses, subqueries and the like.
const DEPTH_MAX: usize = 100;

/// Whether these tokens of the text are a query that reads.
///
/// # Errors
/// Why they are not.
pub(super) fn reads(text: &str, tokens: &[Token<'_>]) -> Result<(), Reason> {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return Err(Reason::unknown("a query without words"));
    };
    self::text_reads(&text[first.start..last.end()])
}

/// The same for a text of its own.
///
/// # Errors
/// Why it does not.
pub(super) fn text_reads(text: &str) -> Result<(), Reason> {
    let ours = scan(text).map_err(|error| Reason::unknown(error.0))?;
    if weight(&ours) > TOKENS_MAX {
        return Err(Reason::fixed(
            "the statement has more words than are looked at: send values as parameters",
        ));
    }
    if ours.iter().filter(|token| token.is("join")).count() > JOINS_MAX {
        return Err(Reason::fixed("the statement has more joins than are looked at"));
    }
    let dialect = PostgreSqlDialect {};
    let unread = || Reason::unknown("two readers split it up differently");
    let theirs = Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|_| unread())?;
    if !agree::agree(text, &ours, &theirs) {
        return Err(unread());
    }
    if is_table(&ours) {
        return Ok(());
    }
    let theirs = without_only(theirs);
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(theirs);
    let statements =
        parser.parse_statements().map_err(|error| Reason::unknown(&error.to_string()))?;
    let [Statement::Query(query)] = statements.as_slice() else {
        return Err(Reason::unknown("it is no single query"));
    };
    let names = tree::reads(query)?;
    calls::reads(&ours, &names)
}

/// `TABLE name`, which sqlparser does not read in full.
fn is_table(tokens: &[Token<'_>]) -> bool {
    let [table, rest @ ..] = tokens else { return false };
    let rest = match rest {
        [only, rest @ ..] if only.is("only") => rest,
        _ => rest,
    };
    table.is("table")
        && match setting(rest) {
            Some((_, [])) => true,
            Some((_, [star])) => star.is_sign("*"),
            _ => false,
        }
}

/// Leaves out the ONLY of `FROM ONLY name`, which sqlparser takes for the table's name.
fn without_only(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut before = None;
    let mut kept = Vec::with_capacity(tokens.len());
    for token in tokens {
        let keyword = match &token.token {
            Theirs::Whitespace(_) => {
                kept.push(token);
                continue;
            }
            Theirs::Word(word) => Some(word.keyword),
            _ => None,
        };
        let of_table = matches!(before, Some(Some(Keyword::FROM | Keyword::JOIN) | None));
        if keyword != Some(Keyword::ONLY) || !of_table {
            kept.push(token);
        }
        before = Some(keyword);
    }
    kept
}

/// The number of tokens, without those of plain lists: `1, 2, 3`.
fn weight(tokens: &[Token<'_>]) -> usize {
    let literal = |token: &Token<'_>| {
        !matches!(token.kind, Kind::Word | Kind::Quoted | Kind::Punctuation | Kind::Operator)
    };
    let pairs = tokens.windows(2).filter(|pair| pair[0].is_sign(",") && literal(&pair[1]));
    tokens.len() - 2 * pairs.count()
}
