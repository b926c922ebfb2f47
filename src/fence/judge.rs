//! Judges a claim against a mark: the contract's table of admission.

use super::{Action, Ask, Claim, Mark, Refusal, Token, TokenRules};

/// What becomes of a claim.
pub(super) enum Verdict {
    /// It is at the mark.
    Current,
    /// It is above the mark, and may be there.
    Raise,
    /// It is refused.
    Refuse(Refusal),
}

/// What is said to a claim at a mark that is known and does not move.
pub(super) fn judge(mark: &Mark, ask: &Ask) -> Verdict {
    let Claim { token, holder } = &ask.claim;
    if *token < mark.token {
        Verdict::Refuse(Refusal::Stale { token: *token, mark: mark.clone() })
    } else if *token == mark.token {
        if *holder == mark.holder || ask.rules.share {
            Verdict::Current
        } else {
            Verdict::Refuse(Refusal::Conflict { token: *token, holder: mark.holder.clone() })
        }
    } else {
        let limit = limit_above(mark.token, *token, &ask.rules);
        if *token > limit || token.counter() > Token::MAX.counter() {
            Verdict::Refuse(Refusal::Implausible { token: *token, mark: mark.token, limit })
        } else if !ask.may_raise {
            Verdict::Refuse(Refusal::Forbidden { action: Action::Raise })
        } else {
            Verdict::Raise
        }
    }
}

/// The largest token that is believed in the incarnation of `token`, or, where that is one
/// to come, in the last one.
fn limit_above(mark: Token, token: Token, rules: &TokenRules) -> Token {
    let last = rules.incarnation.max(mark.incarnation());
    let incarnation = token.incarnation().min(last);
    // A later incarnation starts counting again; the mark's own goes on from the mark.
    let from = if incarnation == mark.incarnation() { mark.counter() } else { 0 };
    let counter = from.saturating_add(rules.max_jump).min(Token::MAX.counter());
    Token::new(incarnation, counter)
}
