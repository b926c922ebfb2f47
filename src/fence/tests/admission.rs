//! Every row of the contract's admission table that is the fence's to decide.

use crate::fence::{
    Action, Ask, Claim, Effect, Holder, Intent, Loaded, Mark, Record, Refusal, Register, Ticket,
    Token, TokenRules,
};

const JUMP_MAX: u64 = 100;
const RULES: TokenRules = TokenRules { max_jump: JUMP_MAX, incarnation: 0, share: false };

fn claim(holder: &str, token: Token) -> Claim {
    Claim { token, holder: Holder::new(holder) }
}

fn count(counter: u64) -> Token {
    Token::new(0, counter)
}

/// What the fence says to a writer, at a mark that A holds.
fn verdict(mark: Token, who: &str, token: Token, may_raise: bool, rules: TokenRules) -> Effect {
    let mark = Mark { token: mark, holder: Holder::new("A") };
    let mut fence = Register::new(1);
    let ask = |claim: Claim, may_raise| Ask {
        ticket: Ticket(7),
        claim,
        intent: Intent::Write,
        may_raise,
        rules,
    };
    fence.ask(ask(mark.clone(), false));
    let grant = mark.token;
    fence.withdraw(Ticket(7));
    fence.loaded(Loaded::Found { record: Record { mark, grant, behind: false }, leftovers: false });
    assert!(!fence.is_busy());
    let mut effects = fence.ask(ask(claim(who, token), may_raise));
    // A raise is told after the request was put in the queue.
    effects.pop().expect("every request has an effect")
}

fn refuses(mark: Token, who: &str, token: Token, may_raise: bool, rules: TokenRules) -> Refusal {
    match verdict(mark, who, token, may_raise, rules) {
        Effect::Refuse { ticket: Ticket(7), refusal } => refusal,
        other => panic!("{who} with {token} at {mark}: {other:?}"),
    }
}

fn raises(mark: Token, who: &str, token: Token, rules: TokenRules) {
    let expected = Effect::Raise { to: claim(who, token), quiesced: true };
    assert_eq!(verdict(mark, who, token, true, rules), expected, "{token} at {mark}");
}

fn is_implausible(mark: Token, token: Token, rules: TokenRules, limit: Token) {
    let expected = Refusal::Implausible { token, mark, limit };
    assert_eq!(refuses(mark, "B", token, true, rules), expected);
}

#[test]
fn below_the_mark_is_stale() {
    for who in ["A", "B"] {
        for may_raise in [true, false] {
            let mark = Mark { token: count(5), holder: Holder::new("A") };
            let expected = Refusal::Stale { token: count(4), mark };
            assert_eq!(refuses(count(5), who, count(4), may_raise, RULES), expected);
        }
    }
    let share = TokenRules { share: true, ..RULES };
    assert_eq!(refuses(count(5), "A", count(4), true, share).reason(), "stale");
    let old = refuses(Token::new(1, 1), "A", count(900), true, RULES);
    assert_eq!(old.reason(), "stale");
}

#[test]
fn at_the_mark_the_holder_is_admitted() {
    let admitted = verdict(count(5), "A", count(5), false, RULES);
    assert!(matches!(admitted, Effect::Admit { ticket: Ticket(7), .. }), "{admitted:?}");
}

#[test]
fn at_the_mark_another_identity_is_a_conflict() {
    for may_raise in [true, false] {
        let expected = Refusal::Conflict { token: count(5), holder: Holder::new("A") };
        assert_eq!(refuses(count(5), "B", count(5), may_raise, RULES), expected);
    }
}

#[test]
fn at_the_mark_a_shared_token_is_for_all() {
    let rules = TokenRules { share: true, ..RULES };
    let admitted = verdict(count(5), "B", count(5), false, rules);
    assert!(matches!(admitted, Effect::Admit { .. }), "{admitted:?}");
}

#[test]
fn above_the_mark_who_may_raise_raises() {
    raises(count(5), "B", count(6), RULES);
    raises(count(5), "A", count(6), RULES);
    raises(count(5), "B", count(5 + JUMP_MAX), RULES);
    raises(Token::ZERO, "A", count(1), RULES);
}

#[test]
fn above_the_mark_who_may_not_raise_is_forbidden() {
    let expected = Refusal::Forbidden { action: Action::Raise };
    for who in ["A", "B"] {
        assert_eq!(refuses(count(5), who, count(6), false, RULES), expected);
    }
}

#[test]
fn far_above_the_mark_is_implausible() {
    let limit = count(5 + JUMP_MAX);
    for counter in [6 + JUMP_MAX, i64::MAX as u64, u64::MAX] {
        is_implausible(count(5), count(counter), RULES, limit);
    }
    is_implausible(count(5), Token::new(1, 1), RULES, limit);
    // Said to everybody: who may not raise learns no less.
    assert_eq!(refuses(count(5), "B", count(500), false, RULES).reason(), "implausible");
}

#[test]
fn counters_above_the_largest_are_never_believed() {
    let rules = TokenRules { max_jump: u64::MAX, ..RULES };
    let last = Token::MAX.counter();
    raises(count(5), "B", count(last), rules);
    is_implausible(count(5), count(last + 1), rules, count(last));
    is_implausible(count(last), count(last + 1), rules, count(last));
    is_implausible(count(last), count(u64::MAX), RULES, count(last));
}

#[test]
fn a_later_incarnation_counts_from_zero() {
    let rules = TokenRules { incarnation: 2, ..RULES };
    raises(count(5000), "B", Token::new(2, JUMP_MAX), rules);
    raises(count(5000), "B", Token::new(1, JUMP_MAX), rules);
    is_implausible(count(5), Token::new(2, 1 + JUMP_MAX), rules, Token::new(2, JUMP_MAX));
    is_implausible(count(5), Token::new(3, 1), rules, Token::new(2, JUMP_MAX));
    // At a mark beyond the rule's incarnation, the mark's own is meant.
    raises(Token::new(3, 5), "B", Token::new(3, 5 + JUMP_MAX), rules);
    is_implausible(Token::new(3, 5), Token::new(4, 1), rules, Token::new(3, 5 + JUMP_MAX));
}

#[test]
fn a_later_incarnation_does_not_free_the_jumps_of_the_one_before() {
    let rules = TokenRules { incarnation: 2, ..RULES };
    is_implausible(count(5), count(6 + JUMP_MAX), rules, count(5 + JUMP_MAX));
    is_implausible(count(5), Token::new(1, 1 + JUMP_MAX), rules, Token::new(1, JUMP_MAX));
    is_implausible(Token::ZERO, count(1 + JUMP_MAX), rules, count(JUMP_MAX));
}

#[test]
fn what_may_be_tried_again_says_so() {
    let stale = Refusal::Stale { token: count(1), mark: Mark::default() };
    let conflict = Refusal::Conflict { token: count(1), holder: Holder::new("A") };
    let forbidden = Refusal::Forbidden { action: Action::Write };
    let limit = count(3);
    let implausible = Refusal::Implausible { token: count(9), mark: count(1), limit };
    for (refusal, retryable) in [
        (stale, false),
        (conflict, false),
        (forbidden, false),
        (implausible, false),
        (Refusal::LedgerUnavailable, true),
        (Refusal::Overloaded { limit: "takeover_queue_max" }, true),
        (Refusal::Unsettled, true),
    ] {
        assert_eq!(refusal.is_retryable(), retryable, "{refusal}");
    }
}
