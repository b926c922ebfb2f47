//! Marks moved from ledger to ledger.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::fate::Fate;
use super::memory::World;
use super::process;
use crate::fence::{Resource, Token};
use crate::ledger::contract::{mark, resource};
use crate::ledger::embedded::Embedded;
use crate::ledger::replicated::marks::{
    Import, Imported, Marked, export, export_ledger, import_ledger,
};
use crate::ledger::{HISTORY_MAX, Ledger, Raised};

fn marked(name: &str, counter: u64) -> Marked {
    let at = |counter| UNIX_EPOCH + Duration::from_secs(1_000 + counter);
    let raised = |counter| Raised {
        token: Token::new(0, counter),
        holder: mark(counter, "one").holder,
        at: at(counter),
    };
    Marked {
        resource: resource(name),
        mark: mark(counter, "one"),
        history: (counter.saturating_sub(3).max(1)..=counter).map(raised).collect(),
        grants: 0,
    }
}

#[tokio::test]
async fn marks_go_from_store_to_store_and_never_down() {
    let world = World::new();
    let wire = world.wire();
    let marks: Vec<_> = (1..=300).map(|i| marked(&format!("db/{i:03}"), i)).collect();
    let mut import = Import::begin(wire.clone()).await.unwrap();
    let outcomes = import.put(&marks).await.unwrap();
    assert!(outcomes.iter().all(|o| *o == Imported::Raised { from: Token::ZERO }), "{outcomes:?}");
    let again = import.put(&marks).await.unwrap();
    for (outcome, marked) in again.into_iter().zip(&marks) {
        assert_eq!(outcome, Imported::Present { mark: marked.mark.clone() });
    }
    // Page by page, and a page that is not full is the last.
    let (mut found, mut after) = (Vec::new(), None::<Resource>);
    loop {
        let page = export(&*wire, after.as_ref(), 70).await.unwrap();
        after = page.last().map(|marked| marked.resource.clone());
        let is_last = page.len() < 70;
        found.extend(page);
        if is_last {
            break;
        }
    }
    assert_eq!(found, marks);
    // Lower is refused, higher is raised with what is told of it, what cannot be is said.
    world.put(&resource("broken"), b"?");
    let lower = marked("db/300", 299);
    let higher = marked("db/001", 9);
    let nothing = Marked { mark: mark(0, "one"), ..marked("db/002", 1) };
    let outcomes = import.put(&[lower, higher, nothing, marked("broken", 4)]).await.unwrap();
    assert_eq!(outcomes[0], Imported::Present { mark: mark(300, "one") });
    assert_eq!(outcomes[1], Imported::Raised { from: Token::new(0, 1) });
    for (outcome, why) in [(&outcomes[2], "outranks nothing"), (&outcomes[3], "`broken`")] {
        assert!(matches!(outcome, Imported::Refused { why: said } if said.contains(why)));
    }
    import.end().await.unwrap();
    assert!(world.sessions().is_empty());
    let page = export(&*wire, None, 10).await.unwrap_err().to_string();
    assert!(page.contains("`broken`"), "{page}");
}

#[tokio::test]
async fn a_lost_answer_and_a_faster_leader_are_no_trouble() {
    let world = World::new();
    let (ledger, _) = process(&world, "r1").await;
    let wire = world.wire();
    ledger.raise(&resource("a"), &mark(5, "two"), true).await;
    let mut import = Import::begin(wire.clone()).await.unwrap();
    wire.set(|faults| faults.swaps = Fate::LostAfter);
    let outcomes = import.put(&[marked("a", 7), marked("b", 7)]).await.unwrap();
    assert!(outcomes.iter().all(|o| *o == Imported::Present { mark: mark(7, "one") }));
    wire.set(|faults| faults.swaps = Fate::LostBefore);
    let outcomes = import.put(&[marked("a", 8)]).await.unwrap();
    assert!(matches!(&outcomes[0], Imported::Refused { why } if why.contains("import it again")));
    wire.set(|faults| faults.swaps = Fate::Answered);
    let found = ledger.load(&resource("a")).await.unwrap();
    assert_eq!((found.mark, found.grant), (mark(7, "one"), Token::new(0, 5)));
    let history = ledger.entry(&resource("a")).await.unwrap().unwrap().history;
    let tokens: Vec<_> = history.iter().map(|raised| raised.token.counter()).collect();
    assert_eq!(tokens, [5, 6, 7]);
    wire.set(|faults| faults.frozen = Some("it has lost something"));
    assert!(Import::begin(wire).await.is_err());
}

#[tokio::test]
async fn marks_go_to_a_file_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = Embedded::open(&folder.path().join("ledger"), Default::default()).unwrap();
    file.raise(&resource("db/2"), &mark(1, "old"), true).await;
    file.raise(&resource("db/3"), &mark(9, "higher"), true).await;
    let marks: Vec<_> = (1..=3).map(|i| marked(&format!("db/{i}"), i + 1)).collect();
    let outcomes = import_ledger(&file, &marks).await;
    let wanted = [
        Imported::Raised { from: Token::ZERO },
        Imported::Raised { from: Token::new(0, 1) },
        Imported::Present { mark: mark(9, "higher") },
    ];
    assert_eq!(outcomes, wanted);
    assert_eq!(file.load(&resource("db/2")).await.unwrap().grant, Token::new(0, 1));
    let found = export_ledger(&file, Some(&resource("db/1")), 10).await.unwrap();
    let names: Vec<_> =
        found.iter().map(|found| (found.mark.token.counter(), found.grants)).collect();
    assert_eq!(names, [(3, 1), (9, 1)]);
    assert!(found.iter().all(|found| found.history.len() <= HISTORY_MAX));
    let world = World::new();
    let mut import = Import::begin(Arc::clone(&world.wire()) as _).await.unwrap();
    import.put(&found).await.unwrap();
    import.end().await.unwrap();
    let back = export(&*world.wire(), None, 10).await.unwrap();
    assert_eq!(back[0].mark, mark(3, "one"));
    assert_eq!((back.len(), back[0].grants), (2, 0));
    file.close().await.unwrap();
}
