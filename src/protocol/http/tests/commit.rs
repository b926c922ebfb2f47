//! The second look at the fence, with nobody else to cut the write.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use smallvec::{SmallVec, smallvec};

use super::rig::{Rig, SEAL_WAIT};
use crate::fence::{Action, Token};
use crate::gate::Admission;
use crate::protocol::http::asked::Wanted;
use crate::protocol::http::body::{FencedBody, Source};
use crate::protocol::http::flight::{BodyFault, Flight};

async fn admit(rig: &Rig, path: &str, token: u64) -> Admission {
    let matched = rig.service.front.listener.rules.find(path).unwrap().unwrap();
    let wanted = Wanted { matched, action: Action::Write };
    let bid = wanted.bid(&Rig::peer("leader-a"), Token::new(0, token), Some(SEAL_WAIT));
    rig.gate.admit(&bid).await.unwrap()
}

fn body(admissions: SmallVec<[Admission; 1]>, len: Option<u64>) -> (FencedBody, Arc<Flight>) {
    let flight = Arc::new(Flight::new(admissions, true));
    let source = Source::Held(Bytes::from("abc"));
    (FencedBody::new(source, len, None, Arc::clone(&flight)), flight)
}

#[tokio::test]
async fn the_last_bytes_wait_for_the_fence() {
    for len in [Some(3), None] {
        let rig = Rig::new().await;
        let (mut going, flight) = body(smallvec![admit(&rig, "/data/1/x", 1).await], len);
        let frame = going.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "abc");
        assert!(going.frame().await.is_none());
        assert!(flight.is_committed() && flight.is_done(), "{len:?}");
        flight.settle();

        let (mut outranked, flight) = body(smallvec![admit(&rig, "/data/1/x", 2).await], len);
        drop(admit(&rig, "/data/1/x", 3).await);
        assert_eq!(outranked.frame().await.unwrap().unwrap_err(), BodyFault::Cut, "{len:?}");
        assert_eq!(flight.fault(), Some(&BodyFault::Cut));
        assert!(!flight.is_committed());
    }
}

#[tokio::test]
async fn a_write_to_two_resources_goes_on_only_with_both() {
    let rig = Rig::new().await;
    let both = smallvec![admit(&rig, "/data/1/x", 1).await, admit(&rig, "/data/2/x", 1).await];
    let (mut body, flight) = body(both, Some(3));
    drop(admit(&rig, "/data/2/x", 2).await);
    assert_eq!(body.frame().await.unwrap().unwrap_err(), BodyFault::Cut);
    assert_eq!(rig.in_flight("data/1").await, (0, 0, 0), "it is still counted as in flight");
    assert_eq!(flight.outranked_by().unwrap().0.resource().as_str(), "data/2");
}
