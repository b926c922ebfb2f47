//! Histories that are good, and each kind that is not.

use super::*;

const RESOURCE: u32 = 0;

fn wrote(key: &str, token: u64, write: &str, value: Option<u64>) -> Vec<Event> {
    let (key, write) = (key.to_owned(), write.to_owned());
    vec![Event::Wrote(Wrote { key, token, write, value }), Event::Rest]
}

fn log(token: u64, write: &str) -> Vec<Event> {
    wrote("log", token, write, None)
}

fn popped(item: &str, by: &'static str) -> Vec<Event> {
    vec![Event::Popped { item: item.to_owned(), by }, Event::Rest]
}

fn told(write: &str, fate: Fate) -> Line {
    Line::Told { write: write.to_owned(), fate }
}

fn given(write: &str, item: &str) -> Line {
    Line::Popped { write: write.to_owned(), item: item.to_owned() }
}

fn story(token: u64, lines: &[Line]) -> Story {
    let names = ["p", "q", "r", "x-script"];
    let begun = names.map(|write| Line::Begun { write: write.to_owned() });
    Story { resource: RESOURCE, token, lines: [&begun[..], lines].concat() }
}

fn check(events: &[Vec<Event>], stories: &[Story], expected: &str) {
    let events = BTreeMap::from([(RESOURCE, events.concat())]);
    assert_eq!(judge(&events, stories).err().unwrap_or_default(), expected);
}

#[test]
fn order_and_answers() {
    let good = [log(1, "p"), log(1, "q"), log(2, "r")];
    let opened = |log| Line::Opened { log, taken: 0 };
    let told_all = [opened(2), told("q", Fate::Applied), told("s", Fate::NotApplied)];
    check(&good, &[story(2, &told_all)], "");
    check(&good, &[story(2, &[told("p", Fate::Unknown), told("s", Fate::Unknown)])], "");
    let late = "r0: q with token 1 was applied when the leader with token 2 had read";
    check(&good, &[story(2, &[opened(1)])], late);
    let lost = "s was acknowledged and is not there";
    check(&good, &[story(1, &[told("s", Fate::Applied)])], lost);
    let lie = "p was refused and is there";
    check(&good, &[story(1, &[told("p", Fate::NotApplied)])], lie);
    check(&[], &[story(1, &[told("s", Fate::Applied)])], lost);
    let complaint = Line::Complaint { what: "no".to_owned() };
    check(&good, &[story(1, &[complaint])], "r0, token 1: no");

    let back = [log(2, "p"), wrote("counter", 1, "q", Some(1))];
    let after = "r0: q with token 1 was applied after p with token 2";
    check(&back, &[story(1, &[])], after);
    check(&[log(1, "x")], &[story(1, &[])], "nobody has written x");
    check(&[log(1, "p"), log(1, "p")], &[story(1, &[])], "p was applied twice to log");
}

#[test]
fn values() {
    let counter = |token, write, value| wrote("counter", token, write, Some(value));
    let lost = "r0: lost update: q made 5 of the counter, which p had made 5";
    check(&[counter(1, "p", 5), counter(2, "q", 5)], &[story(1, &[])], lost);
    check(&[counter(1, "p", 5), counter(2, "q", 6)], &[story(1, &[])], "");
    // Also one that nobody knew of: its leader has looked again since.
    let unknown = [told("q", Fate::Unknown)];
    let late = [counter(1, "p", 5), counter(1, "q", 5), counter(1, "r", 6)];
    check(&late, &[story(1, &unknown)], lost);
    check(&[counter(1, "p", 5), counter(2, "q", 5)], &[story(1, &unknown)], lost);

    let both = |second: &[Event]| {
        let first = Event::Wrote(Wrote {
            key: "a".to_owned(),
            token: 1,
            write: "p".to_owned(),
            value: Some(1),
        });
        vec![[&[first], second].concat()]
    };
    check(&both(&wrote("b", 1, "p", Some(1))), &[story(1, &[])], "");
    check(&both(&[Event::Rest]), &[story(1, &[])], "r0: Some(\"p\") beside None");

    let entry = log(1, "x-script")[0].clone();
    check(&[vec![entry.clone(), Event::Tallied, Event::Rest]], &[story(1, &[])], "");
    let half = [vec![entry, Event::Rest]];
    check(&half, &[story(1, &[])], "r0: 1 scripts counted 0 times");
}

#[test]
fn what_is_taken() {
    let begun = |write: &str| Line::Begun { write: write.to_owned() };
    let one = [popped("i", "pop")];
    check(&one, &[story(1, &[given("x-pop", "i")])], "");
    check(&one, &[story(1, &[])], "r0: i is gone, and nobody has it");
    // Killed, told that nobody knows, told that it has nothing.
    check(&one, &[story(1, &[begun("x-pop")])], "");
    check(&one, &[story(1, &[begun("x-pop"), told("x-pop", Fate::Unknown)])], "");
    let refused = [begun("x-pop"), told("x-pop", Fate::NotApplied)];
    check(&one, &[story(1, &refused)], "r0: i is gone, and nobody has it");
    // Another kind, and another time.
    check(&one, &[story(1, &[begun("x-take")])], "r0: i is gone, and nobody has it");
    let after = [log(2, "p"), popped("i", "pop"), log(3, "q")];
    check(&after, &[story(2, &[begun("x-pop")])], "");
    for token in [1, 4] {
        let gone = "r0: i is gone, and nobody has it";
        check(&after, &[story(token, &[begun("x-pop")])], gone);
    }
    let twice = [given("x-pop", "i"), given("y-pop", "i")];
    check(&one, &[story(1, &twice)], "r0: x-pop and y-pop were both given i");
    check(&[], &[story(1, &[given("x-pop", "i")])], "x-pop was given i, which is there still");

    let order = [log(2, "p"), popped("i", "pop")];
    let after = "r0: x-pop with token 1 was applied after p with token 2";
    check(&order, &[story(1, &[given("x-pop", "i")])], after);
    let taken = [popped("i", "take")];
    let late = "r0: x-take with token 1 was applied when the leader with token 2 had read";
    let opened = story(2, &[Line::Opened { log: 0, taken: 0 }]);
    check(&taken, &[story(1, &[given("x-take", "i")]), opened], late);
}
