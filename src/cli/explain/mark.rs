//! How a token is compared with the mark, in the order of the contract's table.

use crate::fence::{Action, Token};
use crate::rules::{HolderKind, Rule};

/// A token that an identity brings under a rule.
pub(super) struct Compared<'a> {
    pub(super) rule: &'a Rule,
    pub(super) identity: &'a str,
    pub(super) token: Token,
    /// What happens to it when it is stale.
    pub(super) below: &'a str,
    /// What happens when it is not.
    pub(super) verb: &'a str,
}

impl Compared<'_> {
    /// One case a line.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { rule, identity, token, below, verb } = self;
        if is_beyond(*token) {
            return vec![format!("token {token}: refused as implausible, whatever the mark")];
        }
        let equal = match (rule.tokens.share, rule.holder) {
            (true, _) => format!("{verb}, whoever brought it first"),
            (false, HolderKind::Identity) => {
                format!("{verb} if {identity} brought it first, else refused as conflict")
            }
            (false, HolderKind::Certificate) => {
                format!(
                    "{verb} if this very certificate brought it first, else refused as conflict"
                )
            }
        };
        let above = if rule.who.may(identity, Action::Raise) {
            format!(
                "a takeover: the mark is raised, older writes settle, then {verb} (more than {} \
                 above the mark: refused as implausible)",
                rule.tokens.max_jump
            )
        } else {
            "refused as forbidden: this identity may not raise".to_owned()
        };
        let mut lines = vec![
            format!("token {token} against the mark"),
            format!("  below it: {below}"),
            format!("  equal: {equal}"),
            format!("  above it: {above}"),
        ];
        if token.incarnation() > rule.tokens.incarnation {
            lines.push(format!(
                "  implausible unless the mark is in incarnation {} already: the rule says {}",
                token.incarnation(),
                rule.tokens.incarnation
            ));
        }
        lines
    }
}

/// Whether no mark makes it plausible.
pub(super) fn is_beyond(token: Token) -> bool {
    token.counter() > Token::MAX.counter()
}
