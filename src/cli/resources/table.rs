//! Resources as text for people.

use std::fmt::Write as _;

use crate::admin::view::{Done, InFlight, Page, Resource, Takeover};
use crate::cli::text::{columns, plain};

pub(super) fn page(page: &Page) -> String {
    if page.resources.is_empty() {
        return "no token was admitted for any resource yet\n".into();
    }
    let mut rows =
        vec![["RESOURCE", "MARK", "HOLDER", "IN FLIGHT", "LAST RAISE"].map(String::from)];
    rows.extend(page.resources.iter().map(|resource| {
        [
            plain(&resource.resource),
            resource.mark.clone(),
            plain(&resource.holder),
            in_flight(resource.in_flight.as_ref()),
            resource.history.last().map(|raise| raise.at.clone()).unwrap_or_default(),
        ]
    }));
    let mut text = columns(&rows);
    if let Some(next) = &page.next {
        let next = plain(next).replace('\'', r"'\''");
        let _ = writeln!(text, "there are more: palisade resources list --after '{next}'");
    }
    text
}

pub(super) fn resource(resource: &Resource) -> String {
    let mut rows = vec![
        ["resource".into(), plain(&resource.resource)],
        ["mark".into(), resource.mark.clone()],
        ["holder".into(), plain(&resource.holder)],
        ["grant".into(), resource.grant.clone()],
        ["in flight".into(), in_flight(resource.in_flight.as_ref())],
    ];
    if let Some(seen) = &resource.last_takeover {
        rows.push(["last takeover".into(), takeover(seen)]);
    }
    let mut text = columns(&rows);
    if !resource.history.is_empty() {
        text.push_str("\nraises, oldest first\n");
        let raises = resource.history.iter();
        let rows =
            raises.map(|raise| [raise.at.clone(), raise.token.clone(), plain(&raise.holder)]);
        text.push_str(&columns(&rows.collect::<Vec<_>>()));
    }
    text
}

pub(super) fn sealed(done: &Done) -> String {
    let Done { resource, mark, holder, evidence } = done;
    let (resource, holder) = (plain(resource), plain(holder));
    let mut text = format!("{resource}: every write below {mark}, held by {holder}, has settled\n");
    match evidence {
        Some(seen) => text.push_str(&format!("last takeover: {}\n", takeover(seen))),
        None => text.push_str("this process has seen no takeover of it\n"),
    }
    text
}

pub(super) fn reset(done: &Done) -> String {
    let incarnation = done.mark.split_once('.').map_or("0", |(incarnation, _)| incarnation);
    format!(
        "{}leaders now have to bring tokens from {incarnation}.1 on: set the incarnation of the \
         token source to {incarnation}\n",
        sealed(done)
    )
}

fn in_flight(flight: Option<&InFlight>) -> String {
    let Some(flight) = flight else { return "cannot be told".into() };
    let mut parts = Vec::new();
    if flight.busy {
        parts.push("takeover under way".to_owned());
    }
    let counts =
        [(flight.streaming, "streaming"), (flight.sent, "sent"), (flight.unknown, "unknown")];
    parts.extend(
        counts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!("{n} {what}")),
    );
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

fn takeover(seen: &Takeover) -> String {
    let Takeover { from, to, cut, awaited, unknown, leftovers, ledger_ms, quiesce_ms, .. } = seen;
    let leftovers = if *leftovers { ", leftovers of an earlier process waited out" } else { "" };
    format!(
        "{from} ({}) to {to} ({}): {cut} cut, {awaited} awaited, {unknown} unknown{leftovers}; \
         ledger {ledger_ms} ms, quiesce {quiesce_ms} ms",
        plain(&seen.from_holder),
        plain(&seen.to_holder),
    )
}
