//! What a request wants of which resources, and whether the rules let it ask.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::flight::BodyFault;
use super::malformed::Malformed;
use super::operation::Operation;
use super::problem::{Denial, Problem};
use super::relay::Failure;
use super::settings::Listener;
use crate::fence::{Action, Claim, Mark, Refusal, Token};
use crate::gate::{Admission, Bid};
use crate::net::identity::Peer;
use crate::rules::{Matched, Reads, Rule};

/// A resource that the gate has to be asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The resource and its rule.
    pub matched: Matched,
    /// [`Action::Write`], or [`Action::Read`] with a token.
    pub action: Action,
}

/// What one request asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `PutObject`, or the method.
    pub operation: &'static str,
    /// The token that it brings.
    pub token: Option<Token>,
    /// In the order of the resources' names, each once. Empty where no fence is asked.
    pub wanted: SmallVec<[Wanted; 1]>,
    /// The first rule that matched, also where no fence is asked.
    rule: Option<Arc<Rule>>,
}

impl Asked {
    /// Finds the rules for everything that the operation touches.
    ///
    /// # Errors
    /// What the identity may not do, or has to bring.
    pub fn new(
        listener: &Listener,
        identity: &str,
        operation: &Operation,
        token: Option<Token>,
    ) -> Result<Self, Box<Problem>> {
        let mut asked =
            Self { operation: operation.name, token, wanted: SmallVec::new(), rule: None };
        for target in &operation.targets {
            let action = target.action;
            let matched = listener.rules.find(&target.path).map_err(|error| {
                let mend = "use a path that its rule can name a resource by";
                asked.problem(Denial::Malformed(Malformed::new(error.to_string(), mend)), None)
            })?;
            let Some(matched) = matched else {
                let let_through = match action {
                    Action::Write => &listener.unmatched.write,
                    Action::Raise | Action::Read => &listener.unmatched.read,
                };
                if let_through.contains(identity) {
                    continue;
                }
                return Err(asked.problem(Denial::NoRule(action), None));
            };
            asked.rule.get_or_insert_with(|| Arc::clone(&matched.rule));
            let wanted = Wanted { matched, action };
            let rule = &wanted.matched.rule;
            if !rule.who.may(identity, action) {
                let refusal = Refusal::Forbidden { action };
                return Err(asked.problem_at(&wanted, Denial::Fence(refusal)));
            }
            if token.is_some() {
                asked.wanted.push(wanted);
            } else if action == Action::Write || rule.reads == Reads::Token {
                let denial = Denial::TokenRequired(listener.token_header.clone());
                return Err(asked.problem_at(&wanted, denial));
            }
        }
        if asked.wanted.len() > 1 {
            // A write is asked for before a read of the same resource, and stands for it.
            asked.wanted.sort_by(|a, b| {
                let key =
                    |one: &Wanted| (one.matched.resource.clone(), one.action != Action::Write);
                key(a).cmp(&key(b))
            });
            asked.wanted.dedup_by(|later, kept| later.matched.resource == kept.matched.resource);
        }
        Ok(asked)
    }

    /// What can be said where only the body will name the targets: a write without a token is
    /// not worth reading it.
    ///
    /// # Errors
    /// That a token is needed.
    pub fn before_body(
        listener: &Listener,
        identity: &str,
        operation: &Operation,
        token: Option<Token>,
    ) -> Result<(), Box<Problem>> {
        let is_lost =
            operation.is_write() && token.is_none() && !listener.unmatched.write.contains(identity);
        if is_lost {
            return Err(Denial::TokenRequired(listener.token_header.clone()).into());
        }
        Ok(())
    }

    /// Holds the length of the body, where it is known beforehand, against the listener's bound.
    ///
    /// # Errors
    /// That it is too large.
    pub fn bound(
        &self,
        listener: &Listener,
        len: Option<u64>,
        operation: &Operation,
    ) -> Result<(), Box<Problem>> {
        if let (Some(len), Some(bytes_max)) = (len, listener.limits.body_bytes_max)
            && len > bytes_max
        {
            let fault = BodyFault::TooLarge { limit: "body_bytes_max", bytes_max };
            let is_write = operation.is_write();
            let denial = Denial::Failed { failure: Failure::Body(fault), is_write };
            return Err(self.problem(denial, None));
        }
        Ok(())
    }

    /// The rule that decided first.
    pub fn rule(&self) -> Option<&Rule> {
        self.rule.as_deref()
    }

    /// A problem with the request as a whole, or with the write that was outranked.
    pub fn problem(&self, denial: Denial, outranked: Option<(&Admission, Mark)>) -> Box<Problem> {
        let first = self.wanted.first().map(|wanted| wanted.matched.resource.clone());
        let (resource, mark) = match outranked {
            Some((admission, mark)) => (Some(admission.resource().clone()), Some(mark)),
            None => (first, None),
        };
        Box::new(Problem {
            resource,
            rule: self.rule.as_ref().map(|rule| Arc::clone(&rule.name)),
            token: self.token,
            mark,
            operation: Some(self.operation),
            denial,
        })
    }

    /// A problem with one resource.
    pub fn problem_at(&self, wanted: &Wanted, denial: Denial) -> Box<Problem> {
        let mut problem = self.problem(denial, None);
        problem.resource = Some(wanted.matched.resource.clone());
        problem.rule = Some(Arc::clone(&wanted.matched.rule.name));
        problem
    }
}

impl Wanted {
    /// What the gate is asked.
    pub fn bid(&self, peer: &Peer, token: Token, wait: Option<Duration>) -> Bid {
        let rule = &self.matched.rule;
        Bid {
            resource: self.matched.resource.clone(),
            claim: Claim { token, holder: rule.holder(&peer.identity) },
            peer: peer.clone(),
            wait: wait.map_or(rule.takeover_timeout, |wait| wait.min(rule.takeover_timeout)),
            rule: Arc::clone(rule),
        }
    }
}
