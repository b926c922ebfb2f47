//! Rows changed by compare-and-swap: all of a batch in one transaction, and those who lose in it
//! do not fail the rest.

use tokio::time::Instant;

use super::client::{Client, Repeat};
use super::failure::Failure;
use super::grpc::Method;
use super::keys::Keys;
use super::wire::{
    Compare, CompareResult, CompareTarget, CompareWith, KeyValue, Op, PutRequest, RangeRequest,
    RangeResponse, RequestOp, ResponseOp, TxnRequest, TxnResponse,
};
use crate::fence::SessionId;
use crate::ledger::replicated::store::{Stored, Swap, Swapped};

/// How many rows one transaction changes. etcd's `--max-txn-ops` is 128 by default, for each of a
/// transaction's three lists, and the session takes one of them; the rest is room for an etcd
/// that was set to a little less.
pub(super) const SWAPS_MAX: usize = 100;

/// How many bytes of rows one transaction carries, names included. etcd's `--max-request-bytes`
/// is 1.5 MiB by default; a row's name comes three times.
const SWAPS_BYTES_MAX: usize = 1 << 20;

/// How often a batch is tried again without those who have lost in it. Each time at least one is
/// out, and rows that many change at once have one takeover at a time.
const ROUNDS_MAX: usize = 8;

/// Carries out some changes; one answer for each.
pub(super) async fn swap(
    client: &Client,
    keys: &Keys,
    session: &SessionId,
    swaps: &[Swap],
) -> Vec<Swapped> {
    let mut ends = Vec::with_capacity(swaps.len());
    for batch in batches(swaps) {
        ends.extend(transact(client, keys, session, batch).await);
    }
    ends
}

/// Cuts what is too much for one request.
fn batches(swaps: &[Swap]) -> Vec<&[Swap]> {
    let mut batches = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (index, swap) in swaps.iter().enumerate() {
        let size = swap.text.len() + 3 * swap.resource.as_str().len();
        let is_full = index - first == SWAPS_MAX || bytes + size > SWAPS_BYTES_MAX;
        if is_full && index > first {
            batches.push(&swaps[first..index]);
            (first, bytes) = (index, 0);
        }
        bytes += size;
    }
    batches.push(&swaps[first..]);
    batches
}

async fn transact(
    client: &Client,
    keys: &Keys,
    session: &SessionId,
    swaps: &[Swap],
) -> Vec<Swapped> {
    let mut ends: Vec<Option<Swapped>> = vec![None; swaps.len()];
    let begun = Instant::now();
    for round in 0..ROUNDS_MAX {
        let waiting: Vec<usize> = (0..swaps.len()).filter(|&index| ends[index].is_none()).collect();
        if waiting.is_empty() || (round > 0 && begun.elapsed() >= client.timeout) {
            break;
        }
        let request = request(keys, session, waiting.iter().map(|&index| &swaps[index]));
        let answer = client.call::<TxnResponse>(Method::TXN, &request, Repeat::Never).await;
        let found = judge(answer, waiting.iter().map(|&index| &swaps[index]));
        for (index, end) in waiting.into_iter().zip(found) {
            ends[index] = end;
        }
    }
    let beaten = || {
        let what = "etcd: other rows of the same batch kept changing; try again";
        Swapped::Failed(what.to_owned())
    };
    ends.into_iter().map(|end| end.unwrap_or_else(beaten)).collect()
}

fn request<'a>(
    keys: &Keys,
    session: &SessionId,
    swaps: impl Iterator<Item = &'a Swap>,
) -> TxnRequest {
    let session = keys.session(session);
    let mut request = TxnRequest {
        compare: vec![is_there(session.clone())],
        success: Vec::new(),
        failure: vec![range(session)],
    };
    for Swap { resource, expected, text } in swaps {
        let key = keys.row(resource.as_str());
        request.compare.push(is_at(key.clone(), *expected));
        request.success.push(put(key.clone(), text.clone(), 0));
        request.failure.push(range(key));
    }
    request
}

/// What a transaction's answer says of each: `None` for those that only others stood in the way of.
fn judge<'a>(
    answer: Result<TxnResponse, Failure>,
    swaps: impl ExactSizeIterator<Item = &'a Swap>,
) -> Vec<Option<Swapped>> {
    let all = |end: Swapped| vec![Some(end); swaps.len()];
    let answer = match answer {
        Ok(answer) => answer,
        Err(Failure { is_undone: true, what, .. }) => return all(Swapped::Failed(what)),
        Err(Failure { what, .. }) => return all(Swapped::Unknown(what)),
    };
    if answer.succeeded {
        let revision = answer.header.map_or(0, |header| header.revision);
        return all(match u64::try_from(revision) {
            Ok(revision) if revision > 0 => Swapped::Done(revision),
            _ => Swapped::Unknown("etcd: an answer without a revision".to_owned()),
        });
    }
    let found: Option<Vec<RangeResponse>> =
        answer.responses.into_iter().map(|ResponseOp { range }| range).collect();
    let mut found = found.unwrap_or_default().into_iter();
    if found.len() != swaps.len() + 1 {
        return all(Swapped::Failed("etcd: an answer that does not tell what is there".to_owned()));
    }
    if found.next().is_some_and(|session| session.kvs.is_empty()) {
        return all(Swapped::NoSession);
    }
    let mut differs = Vec::new();
    for (swap, row) in swaps.zip(found) {
        let current = row.kvs.into_iter().next().map(stored);
        let version = current.as_ref().map_or(0, |current| current.version);
        differs.push((version != swap.expected).then_some(Swapped::Differs(current)));
    }
    differs
}

/// A row as etcd has it.
pub(super) fn stored(kv: KeyValue) -> Stored {
    // What etcd counts from 1 is never negative.
    Stored { text: kv.value, version: u64::try_from(kv.mod_revision).unwrap_or(0) }
}

/// Only if there is such a key.
pub(super) fn is_there(key: Vec<u8>) -> Compare {
    Compare {
        result: CompareResult::Greater.into(),
        target: CompareTarget::Version.into(),
        key,
        with: Some(CompareWith::Version(0)),
    }
}

/// Only if a key was last changed then; 0: if there is none.
pub(super) fn is_at(key: Vec<u8>, version: u64) -> Compare {
    // No revision is that large, so nothing matches it.
    let revision = i64::try_from(version).unwrap_or(i64::MAX);
    Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Mod.into(),
        key,
        with: Some(CompareWith::ModRevision(revision)),
    }
}

pub(super) fn put(key: Vec<u8>, value: Vec<u8>, lease: i64) -> RequestOp {
    RequestOp { op: Some(Op::Put(PutRequest { key, value, lease })) }
}

pub(super) fn range(key: Vec<u8>) -> RequestOp {
    RequestOp { op: Some(Op::Range(RangeRequest { key, ..RangeRequest::default() })) }
}

#[cfg(test)]
mod tests {
    use super::super::failure::Cause;
    use super::super::wire::Header;
    use super::*;
    use crate::fence::Resource;

    fn one(name: &str, expected: u64, bytes: usize) -> Swap {
        Swap { resource: Resource::new(name).unwrap(), expected, text: vec![b'x'; bytes] }
    }

    #[test]
    fn batches_fit_into_a_request() {
        fn check(sizes: &[usize], expected: &[usize]) {
            let swaps: Vec<_> = sizes.iter().map(|&bytes| one("a", 0, bytes)).collect();
            let lengths: Vec<_> = batches(&swaps).iter().map(|batch| batch.len()).collect();
            assert_eq!(lengths, expected);
        }

        check(&[1], &[1]);
        check(&[10; 100], &[100]);
        check(&[10; 250], &[100, 100, 50]);
        check(&[SWAPS_BYTES_MAX / 2, 1, SWAPS_BYTES_MAX / 2], &[2, 1]);
        // One that is too large goes alone: etcd says so.
        check(&[1, 2 * SWAPS_BYTES_MAX, 1], &[1, 1, 1]);
    }

    #[test]
    fn answers_of_transactions() {
        fn check(answer: Result<TxnResponse, Failure>, expected: &[Option<Swapped>]) {
            let swaps = [one("a", 0, 1), one("b", 7, 1)];
            assert_eq!(judge(answer, swaps.iter()), expected);
        }
        let kv = |mod_revision| KeyValue { mod_revision, ..KeyValue::default() };
        let row = |kvs: Vec<KeyValue>| ResponseOp {
            range: Some(RangeResponse { kvs, ..RangeResponse::default() }),
        };
        let refused = |responses| TxnResponse { responses, ..TxnResponse::default() };
        let done = |revision| TxnResponse {
            header: Some(Header { cluster_id: 1, revision }),
            succeeded: true,
            responses: vec![],
        };
        let all = |end: Swapped| [Some(end.clone()), Some(end)];
        let at = |version| Stored { text: vec![], version };

        check(Ok(done(9)), &all(Swapped::Done(9)));
        for revision in [0, -1] {
            let unknown = Swapped::Unknown("etcd: an answer without a revision".to_owned());
            check(Ok(done(revision)), &all(unknown));
        }
        let session = || row(vec![kv(1)]);
        check(
            Ok(refused(vec![session(), row(vec![kv(3)]), row(vec![kv(7)])])),
            &[Some(Swapped::Differs(Some(at(3)))), None],
        );
        check(
            Ok(refused(vec![session(), row(vec![]), row(vec![])])),
            &[None, Some(Swapped::Differs(None))],
        );
        check(Ok(refused(vec![row(vec![]), row(vec![]), row(vec![])])), &all(Swapped::NoSession));
        for few in [vec![], vec![session()], vec![ResponseOp::default(); 3]] {
            let what = "etcd: an answer that does not tell what is there".to_owned();
            check(Ok(refused(few)), &all(Swapped::Failed(what)));
        }
        for (is_undone, end) in
            [(true, Swapped::Failed("why".to_owned())), (false, Swapped::Unknown("why".to_owned()))]
        {
            let failure = Failure { is_undone, cause: Cause::Final, what: "why".to_owned() };
            check(Err(failure), &all(end));
        }
    }
}
