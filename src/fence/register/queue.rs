//! Those who wait: how a request gets into the queue, through it and out of it.

use super::{Knowledge, Register, Stage};
use crate::fence::judge::{Verdict, judge};
use crate::fence::{Ask, Effect, Effects, Intent, Permit, Refusal};

impl Register {
    /// Decides on a request now, or lets it wait and sets in motion what it waits for.
    pub(super) fn consider(&mut self, ask: Ask, effects: &mut Effects) {
        match (self.stage(), judge(&self.mark, &ask)) {
            // The mark never goes down, so what is stale now is stale for ever.
            (_, Verdict::Refuse(refusal @ Refusal::Stale { .. })) => {
                effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
            }
            (_, verdict) if self.suspended => self.turn_away(ask, &verdict, effects),
            (None, _) if self.knowledge != Knowledge::Known => {
                self.wait(ask, effects);
                self.enter(Stage::Loading);
                effects.push(Effect::Load);
            }
            (None | Some(Stage::Quiescing | Stage::Awaiting), Verdict::Refuse(refusal)) => {
                effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
            }
            (None, Verdict::Current) if self.is_open() => self.pass(ask, effects),
            (None, Verdict::Current) => {
                // The mark is ours, but an earlier takeover to it did not finish.
                self.wait(ask, effects);
                self.quiesce(effects);
            }
            (None | Some(Stage::Quiescing | Stage::Awaiting), Verdict::Raise) => {
                let to = ask.claim.clone();
                if self.wait(ask, effects) {
                    self.raise(to, effects);
                }
            }
            (Some(_), _) => {
                self.wait(ask, effects);
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.grant == self.mark.token && !self.behind
    }

    /// Without a session nothing is admitted. That all below a token has settled stays true, so
    /// who reads with it goes on reading.
    fn turn_away(&mut self, ask: Ask, verdict: &Verdict, effects: &mut Effects) {
        let is_sealed = matches!(verdict, Verdict::Current) && self.sealed == self.mark.token;
        let ticket = ask.ticket;
        effects.push(if ask.intent == Intent::Seal && is_sealed {
            Effect::Sealed { ticket, evidence: self.last.clone() }
        } else {
            Effect::Refuse { ticket, refusal: Refusal::LedgerUnavailable }
        });
    }

    fn pass(&mut self, ask: Ask, effects: &mut Effects) {
        let ticket = ask.ticket;
        effects.push(match ask.intent {
            Intent::Write => {
                self.streaming += 1;
                Effect::Admit {
                    ticket,
                    permit: Permit { token: self.mark.token, epoch: self.epoch },
                }
            }
            Intent::Seal => Effect::Sealed { ticket, evidence: self.last.clone() },
        });
    }

    /// Puts the request in the queue; false when the queue is full and it was refused.
    fn wait(&mut self, ask: Ask, effects: &mut Effects) -> bool {
        let ticket = ask.ticket;
        let room = self.queue_max as usize > self.busy.as_ref().map_or(0, |b| b.queue.len());
        if room {
            self.busy().queue.push_back(ask);
            effects.push(Effect::Wait { ticket });
        } else {
            let refusal = Refusal::Overloaded { limit: "takeover_queue_max" };
            effects.push(Effect::Refuse { ticket, refusal });
        }
        room
    }

    /// After the mark or the knowledge of it has changed: each waiting request is judged
    /// again, in order, and the takeover goes on to where it now has to go.
    pub(super) fn reconsider(&mut self, effects: &mut Effects) {
        self.enter(Stage::Quiescing);
        for ask in std::mem::take(&mut self.busy().queue) {
            match judge(&self.mark, &ask) {
                Verdict::Refuse(refusal @ (Refusal::Stale { .. } | Refusal::Conflict { .. })) => {
                    effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
                }
                // Against a mark that is about to move, only the two above are final.
                Verdict::Refuse(refusal) if self.stage() == Some(Stage::Quiescing) => {
                    effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
                }
                Verdict::Raise if self.stage() == Some(Stage::Quiescing) => {
                    self.raise(ask.claim.clone(), effects);
                    self.busy().queue.push_back(ask);
                }
                Verdict::Current | Verdict::Raise | Verdict::Refuse(_) => {
                    self.busy().queue.push_back(ask);
                }
            }
        }
        if self.stage() == Some(Stage::Quiescing) {
            self.go_on(effects);
        }
    }

    /// Those who wanted a raise that has failed do not wait for another one.
    pub(super) fn refuse_above_mark(&mut self, effects: &mut Effects) {
        let mark = self.mark.token;
        self.busy().queue.retain(|ask| {
            let below = ask.claim.token <= mark;
            if !below {
                let refusal = Refusal::LedgerUnavailable;
                effects.push(Effect::Refuse { ticket: ask.ticket, refusal });
            }
            below
        });
    }
}
