//! What drivers do, step by step; then anything, against a model of the server.

use proptest::prelude::*;

use super::super::fuzzing::backend::Message;
use super::super::fuzzing::play::{Action, MESSAGES, Play};
use super::*;

/// `steps`: `>` and the tags of a client, `<` and the tags of a server (`Z` with its status), and
/// what is said then: `idle`, `quiet`, `busy`, `copying`, `unsure`.
#[track_caller]
fn check(steps: &str) -> Tracker {
    let mut tracker = Tracker::new();
    for step in steps.split_ascii_whitespace() {
        match (step.split_at(1), step) {
            ((">", tags), _) => tags.bytes().for_each(|tag| tracker.client(tag)),
            (("<", tags), _) => {
                let mut tags = tags.bytes();
                while let Some(tag) = tags.next() {
                    let status = (tag == b'Z').then(|| tags.next().unwrap());
                    tracker.server(tag, status);
                }
            }
            (_, said) => {
                let is = match () {
                    () if tracker.is_copying_in() => "copying",
                    () if tracker.is_idle() => "idle",
                    () if tracker.is_quiet() => "quiet",
                    () if tracker.is_in_doubt() => "unsure",
                    () => "busy",
                };
                assert_eq!(is, said, "{steps}\n{tracker:?}");
            }
        }
    }
    tracker
}

#[test]
fn statements() {
    check("idle >Q busy <TDDC busy <ZI idle");
    check(">Q <CZT quiet >Q <EZE quiet >Q <CZI idle");
    check(">F busy <VZI idle");
    check(">PBDE busy >H <12TDC busy >S busy <ZI idle");
    check(">PBES >PBES >Q busy <12CZI busy <12CZI busy <CZI idle");
    check(">PBE <E busy >PBES <ZI idle");
    check(">Q <NSACNSA busy <ZI <NSA idle >X idle");
    check(">Q <HddcCZI idle");
    check(">dcf idle >HX idle >S busy <ZI idle");
    check(">p busy");
}

#[test]
fn copies() {
    check(">Q <G copying >ddc busy <C busy <ZI idle");
    check(">Q <G copying >ddf busy <EZI idle");
    check(">Q <G copying >d <E busy >ddc <ZI idle >dc idle");
    check(">Qddc busy <G busy <CZI idle");
    check(">Qddc <EZI idle >Q <G copying >c <CZI idle");
    check(">Q <G >c <C busy <G copying >c <CZI idle");
    check(">Qcc <G busy <C busy <G busy <CZI idle");
    check(">Q <W copying >ddS copying >c <c busy <CZI idle");
    // The extended protocol, with the Sync that libpq and tokio-postgres send at once.
    check(">PBDES <12nG copying >dd copying >c busy >S busy <CZI idle");
    check(">PBDEH <12nG copying >ddS copying >c busy <C busy >S <ZI idle");
    check(">PBEdcS <12G busy <CZI idle");
    check(">PBESdcS <12G busy <CZI idle");
    check(">PBESdc <12G busy <C busy >S <ZI idle");
    check(">PBEdc <12G busy >S <EZI idle");
}

/// A COPY that fails over what is mixed into its data leaves the end of a later one's data.
#[test]
fn copies_behind_copies() {
    check(">Q <G copying >Q busy >dcS <EZI busy <G busy <CZI busy <ZI idle");
    check(">QPBEdc <G busy >S <EZI busy <2G busy <CZI idle");
    check(">PQScdc <1G busy <CZI busy >S <ZI idle");
}

#[test]
fn a_copy_that_fails_may_have_eaten_syncs() {
    check(">PBES <12G >dd <E unsure >S unsure <ZI unsure >Q unsure <C busy <ZI idle");
    // The first was not eaten.
    check(">PBES <12G >dcS <E unsure <ZIZI unsure >PBE <1 busy <2C >S <ZI idle");
    // The second comes late.
    check(">PBES <12G >dcS <E unsure <ZI unsure >Q <ZI unsure <TC busy <ZI idle");
    // Nobody knows whose error it is, or what was skipped.
    check(">PBES <12G >dcS <EZI >Q <EZI unsure >Q <CZI unsure");
    check(">PBES <12G >dc <E >PBES <ZI unsure >Q <CZI unsure");
    check(">PBES <12G >dcQ <E >S <ZI unsure >Q <CZI unsure");
    check(">PBEScPBES <12G <EZI >Q <CZI unsure");
}

#[test]
fn what_no_server_says() {
    check("<ZI unsure");
    check(">Q <CZX unsure");
    check(">Q <G <C unsure");
    check(">Q <GG unsure");
    check("<G unsure");
    check(">Q <GZI unsure");
    let mut tracker = Tracker::new();
    tracker.client(b'Q');
    tracker.server(b'Z', None);
    assert!(tracker.is_in_doubt_forever());
}

#[test]
fn progress() {
    let told = |steps| {
        let Progress { is_begun, is_simple, is_completed, is_failed } = check(steps).progress();
        [is_begun, is_simple, is_completed, is_failed].map(u8::from)
    };
    assert_eq!(told(""), [0, 0, 0, 0]);
    assert_eq!(told(">Q"), [1, 1, 0, 0]);
    assert_eq!(told(">Q <C"), [1, 1, 1, 0]);
    assert_eq!(told(">Q <CE"), [1, 1, 1, 1]);
    assert_eq!(told(">Q <CEZI"), [0, 0, 0, 0]);
    assert_eq!(told(">PBES <12C"), [1, 0, 1, 0]);
    assert_eq!(told(">PBESQ <12E"), [1, 0, 0, 1]);
    assert_eq!(told(">PBESQ <12EZI"), [1, 1, 0, 0]);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut tracker = Tracker::new();
    (0..100_000).for_each(|_| tracker.client(b'S'));
    (0..100_000).for_each(|_| tracker.server(b'Z', Some(b'I')));
    assert!(tracker.is_idle());
    (0..2000).for_each(|_| "QS".bytes().for_each(|tag| tracker.client(tag)));
    assert!(tracker.is_in_doubt_forever());
}

/// What drivers send in one go.
pub(crate) fn flows() -> impl Strategy<Value = Vec<Message>> {
    let pick = |tag: u8| {
        let of_tag: Vec<_> = MESSAGES.iter().copied().filter(|it| it.tag() == tag).collect();
        proptest::sample::select(of_tag)
    };
    let flow = |tags: &str| tags.bytes().map(pick).collect::<Vec<_>>();
    prop_oneof![
        6 => proptest::sample::select(MESSAGES).prop_map(|message| vec![message]),
        4 => pick(b'Q').prop_map(|message| vec![message]),
        3 => flow("PBES"),
        2 => flow("PBE"),
        2 => flow("PBESdcS"),
        3 => flow("dcS"),
        2 => flow("ddc"),
        2 => flow("Qdc"),
        1 => flow("PBEdcS"),
    ]
}

/// Messages of one client, a few things between one and the next.
fn actions() -> impl Strategy<Value = Vec<Action>> {
    let other = prop_oneof![
        8 => Just(Action::Serve),
        8 => Just(Action::Deliver),
        1 => Just(Action::Tell),
    ];
    let between = prop_oneof![
        3 => Just(Vec::new()),
        2 => proptest::collection::vec(other, 1..12),
        2 => Just([Action::Serve, Action::Deliver].repeat(12)),
    ];
    let flow = (flows(), proptest::collection::vec(between, 7));
    proptest::collection::vec(flow, 1..8).prop_map(|flows| {
        let mut actions = Vec::new();
        for (messages, between) in flows {
            for (message, between) in messages.into_iter().zip(between) {
                actions.push(Action::Forward(message));
                actions.extend(between);
            }
        }
        actions
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12_000))]
    #[test]
    fn never_idle_with_something_outstanding(actions in actions(), is_modern: bool) {
        let mut play = Play::new(is_modern);
        for action in actions {
            play.act(action);
        }
        play.finish();
    }
}
