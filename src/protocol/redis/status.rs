//! PALISADE SEAL and PALISADE STATUS: the evidence.

use std::sync::Arc;

use super::codec::write;
use super::fences::Fences;
use super::grant::sealed_all;
use super::own::Answered;
use super::refusal::{Denial, Problem};
use super::session::Session;
use crate::fence::{Action, Mark, Refusal, Token};
use crate::gate::Evidence;
use crate::rules::{Matched, Rule};

impl Session {
    /// The resources that a command is about which names none: those of the token, or the one
    /// that there is.
    fn resources_meant(&self, keys: &[Vec<u8>]) -> Result<Vec<Matched>, Box<Problem>> {
        if !keys.is_empty() {
            return self.resources(keys);
        }
        let used: Vec<_> = self
            .fences()
            .flat_map(Fences::iter)
            .map(|fence| Matched {
                rule: Arc::clone(&fence.bid.rule),
                resource: fence.bid.resource.clone(),
            })
            .collect();
        match (used.is_empty(), &self.sole) {
            (true, Some(sole)) => Ok(vec![sole.clone()]),
            (true, None) => self.wrong("name a key: there is a resource for each of several"),
            (false, _) => Ok(used),
        }
    }

    /// Seals once more, and shows the evidence.
    pub(super) async fn seal(&mut self, keys: &[Vec<u8>]) -> Answered {
        let all = self.resources_meant(keys)?;
        let Some(mut fences) = self.token.take() else {
            return Err(Box::new(self.problem(Denial::TokenRequired("a seal"))));
        };
        let mut shown = Vec::new();
        let mut failed = None;
        for matched in &all {
            let bid = fences.bid(matched, &self.peer);
            match self.front.gate.seal(&bid).await {
                Ok(sealed) => shown.push((sealed.mark, sealed.evidence)),
                Err(refusal) => {
                    failed = Some((Denial::Fence(refusal), matched));
                    break;
                }
            }
        }
        if failed.is_none() {
            let sealed =
                sealed_all(&self.front, &mut fences, (&self.peer, &self.hold.server, &all)).await;
            self.unwatched.extend(fences.iter().map(|fence| Arc::clone(&fence.watch)));
            self.is_watch_old = true;
            if let Err(refused) = sealed {
                self.token = Some(fences);
                return Err(Box::new(self.told(refused.0, &refused.1)));
            }
        }
        self.token = Some(fences);
        if let Some((denial, matched)) = failed {
            return Err(Box::new(self.told(denial, matched)));
        }
        write::array_header(&mut self.to_client, all.len());
        for (matched, (mark, evidence)) in all.iter().zip(&shown) {
            self.show(matched, mark, evidence.as_ref(), &[]);
        }
        Ok(())
    }

    pub(super) async fn status(&mut self, keys: &[Vec<u8>]) -> Answered {
        let all = self.resources_meant(keys)?;
        let mut shown = Vec::new();
        for matched in &all {
            if !self.may_see(&matched.rule) {
                let denial = Denial::Fence(Refusal::Forbidden { action: Action::Read });
                return Err(Box::new(self.told(denial, matched)));
            }
            match self.front.gate.status(&matched.resource).await {
                Ok(status) => shown.push(status),
                Err(refusal) => return Err(Box::new(self.told(refusal.into(), matched))),
            }
        }
        write::array_header(&mut self.to_client, all.len());
        for (matched, status) in all.iter().zip(&shown) {
            let in_flight = [
                ("in_flight", u64::from(status.streaming) + u64::from(status.sent)),
                ("unknown_now", u64::from(status.unknown)),
                ("taking_over", u64::from(status.busy)),
            ];
            self.show(matched, &status.mark, status.evidence.as_ref(), &in_flight);
        }
        Ok(())
    }

    fn may_see(&self, rule: &Rule) -> bool {
        let identity = &self.peer.identity.name;
        rule.who.may(identity, Action::Read) || rule.who.may(identity, Action::Write)
    }

    /// One resource, as a map.
    fn show(
        &mut self,
        matched: &Matched,
        mark: &Mark,
        evidence: Option<&Evidence>,
        numbers: &[(&str, u64)],
    ) {
        let protocol = self.protocol;
        let own = self.token.as_ref().map(|fences| fences.token.to_string());
        let out = &mut self.to_client;
        let is_marked = mark.token != Token::ZERO;
        let texts = [
            ("resource", Some(matched.resource.to_string())),
            ("rule", Some(matched.rule.name.to_string())),
            ("token", own),
            ("mark", is_marked.then(|| mark.token.to_string())),
            ("holder", is_marked.then(|| mark.holder.to_string())),
        ];
        let facts = evidence.map(|Evidence { takeover, ledger, quiesce }| {
            let micros =
                |time: &std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            [
                ("cut", u64::from(takeover.cut)),
                ("awaited", u64::from(takeover.awaited)),
                ("unknown", u64::from(takeover.unknown)),
                ("leftovers", u64::from(takeover.leftovers)),
                ("ledger_us", micros(ledger)),
                ("quiesce_us", micros(quiesce)),
            ]
        });
        let facts = facts.as_ref().map_or(&[][..], |facts| &facts[..]);
        write::map_header(out, protocol, texts.len() + numbers.len() + facts.len());
        for (name, text) in texts {
            write::bulk(out, name.as_bytes());
            match text {
                Some(text) => write::bulk(out, text.as_bytes()),
                None => write::null(out, protocol),
            }
        }
        for (name, number) in numbers.iter().chain(facts) {
            write::bulk(out, name.as_bytes());
            write::integer(out, i64::try_from(*number).unwrap_or(i64::MAX));
        }
    }
}
