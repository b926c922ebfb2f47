//! The register step by step: the story of one takeover, and what it tells about it.

use crate::fence::{
    Ask, Claim, Cut, Effect, Effects, Fate, Granted, Holder, Intent, Linger, Loaded, Mark, Permit,
    RaiseOutcome, Record, Refusal, Register, Takeover, Ticket, Token, TokenRules,
};

fn claim(counter: u64) -> Claim {
    Claim { token: Token::new(0, counter), holder: Holder::new(format!("leader {counter}")) }
}

fn record(mark: u64, grant: u64) -> Record {
    let mark = if mark == 0 { Mark::default() } else { claim(mark) };
    Record { mark, grant: Token::new(0, grant), behind: false }
}

fn ask(fence: &mut Register, ticket: u64, token: u64, intent: Intent) -> Effects {
    fence.ask(Ask {
        ticket: Ticket(ticket),
        claim: claim(token),
        intent,
        may_raise: true,
        rules: TokenRules::default(),
    })
}

fn write(fence: &mut Register, ticket: u64, token: u64) -> Effects {
    ask(fence, ticket, token, Intent::Write)
}

fn found(mark: u64, grant: u64, leftovers: bool) -> Loaded {
    Loaded::Found { record: record(mark, grant), leftovers }
}

fn done(mark: u64, grant: u64) -> RaiseOutcome {
    RaiseOutcome::Done(record(mark, grant))
}

fn waits(ticket: u64) -> Effect {
    Effect::Wait { ticket: Ticket(ticket) }
}

fn raise(to: u64, quiesced: bool) -> Effect {
    Effect::Raise { to: claim(to), quiesced }
}

fn grant(at: u64) -> Effect {
    Effect::Grant { at: Token::new(0, at) }
}

/// At its mark.
fn granted(fence: &mut Register) -> Effects {
    fence.granted(fence.mark_at_least().token, Granted::Done { behind: false })
}

fn refuse(ticket: u64, refusal: Refusal) -> Effect {
    Effect::Refuse { ticket: Ticket(ticket), refusal }
}

fn stale(ticket: u64, token: u64, mark: u64) -> Effect {
    refuse(ticket, Refusal::Stale { token: Token::new(0, token), mark: claim(mark) })
}

#[track_caller]
fn check<const N: usize>(effects: Effects, expected: [Effect; N]) {
    assert_eq!(effects.as_slice(), expected);
}

/// The permits in the effects, in their order.
fn permits(effects: Effects) -> Vec<Permit> {
    let permit = |effect| match effect {
        Effect::Admit { permit, .. } => Some(permit),
        _ => None,
    };
    effects.into_iter().filter_map(permit).collect()
}

fn evidence(effects: &Effects) -> Takeover {
    let told = |effect: &Effect| match effect {
        Effect::Opened(evidence) => Some(Takeover::clone(evidence)),
        _ => None,
    };
    effects.iter().find_map(told).expect("the takeover has ended")
}

/// An open fence at the mark 1.
fn open() -> Register {
    let mut fence = Register::new(4);
    check(write(&mut fence, 100, 1), [waits(100), Effect::Load]);
    fence.withdraw(Ticket(100));
    check(fence.loaded(found(1, 1, false)), []);
    assert!(fence.is_idle());
    fence
}

fn admit(fence: &mut Register, ticket: u64, token: u64) -> Permit {
    permits(write(fence, ticket, token)).pop().expect("admitted at once")
}

#[test]
fn the_first_leader_of_a_resource() {
    let mut fence = Register::new(4);
    assert_eq!(fence.mark(), None);
    check(write(&mut fence, 1, 3), [waits(1), Effect::Load]);
    check(write(&mut fence, 2, 3), [waits(2)]);
    check(fence.loaded(found(0, 0, false)), [raise(3, true)]);
    let effects = fence.raised(done(3, 3));
    let expected = Takeover { from: Mark::default(), to: claim(3), ..Takeover::default() };
    assert_eq!(evidence(&effects), expected);
    assert_eq!(permits(effects).len(), 2);
    assert_eq!((fence.mark(), fence.in_flight()), (Some(&claim(3)), (2, 0, 0)));
}

#[test]
fn a_takeover_cuts_and_waits() {
    let mut fence = open();
    let (streams, answered, broken) =
        (admit(&mut fence, 1, 1), admit(&mut fence, 2, 1), admit(&mut fence, 3, 1));
    let answered = fence.commit(answered).expect("nothing came first");
    let broken = fence.commit(broken).expect("nothing came first");
    check(ask(&mut fence, 4, 2, Intent::Seal), [waits(4), raise(2, false)]);
    check(write(&mut fence, 5, 1), [waits(5)]);
    check(fence.raised(done(2, 1)), [Effect::Cut, stale(5, 1, 2), Effect::Quiesce]);
    check(write(&mut fence, 6, 1), [stale(6, 1, 2)]);
    assert_eq!(fence.commit(streams), Err(Cut));
    check(fence.settle(answered, Fate::Known), []);
    check(fence.settle(broken, Fate::Unknown), []);
    assert_eq!(fence.in_flight(), (0, 0, 1));
    check(fence.expire(Linger::Unknown), [grant(2)]);
    let effects = granted(&mut fence);
    let told = evidence(&effects);
    assert_eq!((told.cut, told.awaited, told.unknown, told.leftovers), (1, 2, 1, false));
    assert_eq!((told.from, told.to), (claim(1), claim(2)));
    assert!(matches!(&effects[1], Effect::Sealed { ticket: Ticket(4), evidence: Some(_) }));
    assert!(fence.is_idle());
}

#[test]
fn time_alone_settles_no_sent_write() {
    let mut fence = open();
    let permit = admit(&mut fence, 1, 1);
    let sent = fence.commit(permit).expect("nothing came first");
    write(&mut fence, 2, 2);
    check(fence.raised(done(2, 1)), [Effect::Quiesce]);
    for linger in [Linger::Leftovers, Linger::Unknown] {
        check(fence.expire(linger), []);
    }
    assert_eq!(fence.in_flight(), (0, 1, 0));
    check(fence.settle(sent, Fate::Unknown), []);
    assert_eq!(fence.in_flight(), (0, 0, 1));
    check(fence.expire(Linger::Unknown), [grant(2)]);
    assert_eq!(evidence(&granted(&mut fence)).unknown, 1);
}

#[test]
fn leftovers_hold_up_the_next_leader_only() {
    let mut fence = Register::new(4);
    write(&mut fence, 1, 1);
    let permit = permits(fence.loaded(found(1, 1, true))).remove(0);
    fence.release(permit);
    check(write(&mut fence, 2, 2), [waits(2), raise(2, false)]);
    check(fence.raised(done(2, 1)), [Effect::Quiesce]);
    assert!(fence.has_leftovers());
    check(fence.expire(Linger::Leftovers), [grant(2)]);
    assert!(evidence(&granted(&mut fence)).leftovers);
}

#[test]
fn a_takeover_of_a_dead_process_is_finished() {
    let mut fence = Register::new(4);
    write(&mut fence, 1, 2);
    check(fence.loaded(found(2, 1, true)), [Effect::Quiesce]);
    check(fence.expire(Linger::Leftovers), [grant(2)]);
    let effects = granted(&mut fence);
    assert_eq!(evidence(&effects).from.token, Token::new(0, 1));
    assert_eq!(permits(effects).len(), 1);
}

#[test]
fn a_raise_that_fails_changes_nothing() {
    let mut fence = open();
    let permit = admit(&mut fence, 1, 1);
    check(write(&mut fence, 2, 2), [waits(2), raise(2, false)]);
    check(write(&mut fence, 3, 1), [waits(3)]);
    let effects = fence.raised(RaiseOutcome::Failed);
    assert_eq!(effects[0], refuse(2, Refusal::LedgerUnavailable));
    assert_eq!(permits(effects).len(), 1);
    assert!(fence.commit(permit).is_ok());
}

#[test]
fn a_raise_of_unknown_outcome_is_looked_up() {
    for (mark, again) in [(2, false), (1, true)] {
        let mut fence = open();
        let permit = admit(&mut fence, 1, 1);
        write(&mut fence, 2, 2);
        check(fence.raised(RaiseOutcome::Unknown), [Effect::Load]);
        assert_eq!(fence.mark(), None);
        let effects = fence.loaded(found(mark, 1, false));
        if again {
            check(effects, [raise(2, false)]);
            assert!(fence.commit(permit).is_ok());
        } else {
            check(effects, [Effect::Cut, grant(2)]);
            assert_eq!(fence.commit(permit), Err(Cut));
        }
    }
}

#[test]
fn nobody_waits_for_a_ledger_out_of_reach() {
    let mut fence = Register::new(4);
    write(&mut fence, 1, 1);
    write(&mut fence, 2, 1);
    let unavailable = |ticket| refuse(ticket, Refusal::LedgerUnavailable);
    check(fence.loaded(Loaded::Unavailable), [unavailable(1), unavailable(2)]);
    check(write(&mut fence, 3, 1), [waits(3), Effect::Load]);
    // The same in the middle of a takeover: the next request takes it up again.
    check(fence.loaded(found(2, 1, false)), [stale(3, 1, 2), grant(2)]);
    check(write(&mut fence, 4, 2), [waits(4)]);
    check(fence.granted(fence.mark_at_least().token, Granted::Failed), [unavailable(4)]);
    check(write(&mut fence, 5, 2), [waits(5), grant(2)]);
}

#[test]
fn a_takeover_that_the_ledger_failed_keeps_its_evidence() {
    let mut fence = open();
    let (streams, waits_for_answer) = (admit(&mut fence, 1, 1), admit(&mut fence, 2, 1));
    let sent = fence.commit(waits_for_answer).expect("nothing came first");
    write(&mut fence, 3, 2);
    fence.raised(done(2, 1));
    check(fence.settle(sent, Fate::Unknown), []);
    check(fence.expire(Linger::Unknown), [grant(2)]);
    fence.granted(fence.mark_at_least().token, Granted::Failed);
    fence.release(streams);
    check(write(&mut fence, 4, 2), [waits(4), grant(2)]);
    let told = evidence(&granted(&mut fence));
    assert_eq!((told.from, told.to), (claim(1), claim(2)));
    assert_eq!((told.cut, told.awaited, told.unknown), (1, 1, 1));
    assert_eq!(fence.in_flight(), (1, 0, 0)); // the new leader's
}

#[test]
fn a_third_leader_during_the_takeover_of_the_second() {
    let mut fence = open();
    let permit = admit(&mut fence, 1, 1);
    let sent = fence.commit(permit).expect("nothing came first");
    check(write(&mut fence, 2, 2), [waits(2), raise(2, false)]);
    check(write(&mut fence, 3, 3), [waits(3)]);
    check(fence.raised(done(2, 1)), [raise(3, false)]);
    check(fence.raised(done(3, 1)), [stale(2, 2, 3), Effect::Quiesce]);
    check(fence.settle(sent, Fate::Known), [grant(3)]);
    let effects = granted(&mut fence);
    assert_eq!((evidence(&effects).from, evidence(&effects).to), (claim(1), claim(3)));
    assert_eq!(permits(effects).len(), 1);
}

#[test]
fn nobody_is_judged_against_a_mark_that_is_about_to_move() {
    let rules = TokenRules { max_jump: 1, ..TokenRules::default() };
    let asked = |fence: &mut Register, ticket, token| {
        let (ticket, claim) = (Ticket(ticket), claim(token));
        fence.ask(Ask { ticket, claim, intent: Intent::Write, may_raise: true, rules })
    };
    let mut fence = Register::new(4);
    check(asked(&mut fence, 1, 1), [waits(1), Effect::Load]);
    check(asked(&mut fence, 2, 2), [waits(2)]);
    check(fence.loaded(found(0, 0, false)), [raise(1, true)]);
    check(asked(&mut fence, 3, 3), [waits(3)]);
    check(fence.raised(done(1, 1)), [raise(2, true)]);
    check(fence.raised(done(2, 2)), [stale(1, 1, 2), raise(3, true)]);
}

#[test]
fn the_queue_is_bounded() {
    let mut fence = Register::new(2);
    let full = |ticket| refuse(ticket, Refusal::Overloaded { limit: "takeover_queue_max" });
    write(&mut fence, 1, 1);
    write(&mut fence, 2, 1);
    check(write(&mut fence, 3, 2), [full(3)]);
    fence.withdraw(Ticket(1));
    check(write(&mut fence, 4, 1), [waits(4)]);
    let effects = fence.loaded(found(1, 1, false));
    assert_eq!(permits(effects).len(), 2);
}

#[test]
fn a_waiter_that_goes_away_leaves_the_takeover_running() {
    let mut fence = open();
    write(&mut fence, 1, 2);
    fence.withdraw(Ticket(1));
    assert_eq!(evidence(&fence.raised(done(2, 2))).to, claim(2));
    assert!(fence.is_idle());
}
