//! The course of a takeover, from stage to stage.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Busy, Knowledge, Register, Stage};
use crate::fence::{Ask, Effect, Effects, Mark, Record, Refusal, Takeover, Token};

impl Register {
    pub(super) fn raise(&mut self, to: Mark, effects: &mut Effects) {
        self.enter(Stage::Raising);
        let quiesced = self.streaming == 0 && self.is_quiet();
        effects.push(Effect::Raise { to, quiesced });
    }

    /// Takes over what the ledger says. Writes below a higher mark lose their admission here.
    pub(super) fn adopt(&mut self, record: Record, effects: &mut Effects) {
        if record.mark.token > self.mark.token {
            let from = std::mem::replace(&mut self.mark, record.mark);
            let cut = std::mem::take(&mut self.streaming);
            let (to, sent, unknown) = (self.mark.clone(), self.sent, self.unknown);
            let progress = &mut self.busy().progress;
            if progress.to.token == Token::ZERO {
                progress.from = from;
            }
            progress.to = to;
            progress.cut = progress.cut.saturating_add(cut);
            progress.awaited = progress.awaited.max(sent.saturating_add(unknown));
            if cut > 0 {
                effects.push(Effect::Cut);
            }
        }
        self.grant = record.grant;
        self.behind = record.behind;
    }

    /// From *Quiescing* to wherever the mark's own takers have to go.
    pub(super) fn go_on(&mut self, effects: &mut Effects) {
        if self.is_open() {
            self.open(effects);
        } else if self.replicated && !self.owing && self.grant == Token::ZERO && self.is_forsaken()
        {
            self.rest(); // Nobody wants it, and nothing of ours is below the mark.
        } else {
            self.quiesce(effects);
        }
    }

    /// What the ledger has is not known for certain any more: it has to be read.
    pub(super) fn load(&mut self, effects: &mut Effects) {
        self.knowledge = Knowledge::Lost;
        self.enter(Stage::Loading);
        effects.push(Effect::Load);
    }

    /// Gives up what is below the mark, if there is something, once this process has quiesced.
    pub(super) fn settle_debts(&mut self, effects: &mut Effects) {
        let is_owing = self.owing || self.grant > Token::ZERO && self.grant < self.mark.token;
        if self.replicated && is_owing {
            self.quiesce(effects);
        }
    }

    /// Whether the session was lost since the ledger was asked what it answers now.
    pub(super) fn is_late(&self) -> bool {
        self.busy.as_ref().is_some_and(|busy| busy.epoch != self.epoch)
    }

    /// The answer is of an earlier session: a mark that it tells is true for ever, its grants are
    /// not this session's.
    pub(super) fn start_over(&mut self, record: Option<Record>, effects: &mut Effects) {
        if let Some(record) = record {
            let (grant, behind) = (self.grant, self.behind);
            self.adopt(Record { grant, behind, ..record }, effects);
        }
        if self.is_forsaken() {
            self.fail(effects);
        } else {
            self.load(effects);
        }
    }

    pub(super) fn quiesce(&mut self, effects: &mut Effects) {
        self.enter(Stage::Quiescing);
        if self.busy().progress.to.token == Token::ZERO {
            // An earlier process raised the mark and did not finish; this one does.
            let from = Mark { token: self.grant, ..Mark::default() };
            self.busy().progress = Takeover { from, to: self.mark.clone(), ..Takeover::default() };
        }
        if !self.is_quiet() {
            effects.push(Effect::Quiesce);
        }
        self.advance(effects);
    }

    pub(super) fn advance(&mut self, effects: &mut Effects) {
        if self.stage() != Some(Stage::Quiescing) || !self.is_quiet() {
            return;
        }
        let at = self.mark.token;
        if self.replicated && self.is_forsaken() {
            // Nobody here wants it: whoever does elsewhere must not wait for us. A debt that is
            // told from here on may be of a higher mark than the one that this is done at.
            self.owing = false;
            self.enter(Stage::Releasing);
            effects.push(Effect::Release);
        } else if self.grant != at {
            self.enter(Stage::Granting);
            effects.push(Effect::Grant { at });
        } else if self.behind {
            self.enter(Stage::Awaiting);
            effects.push(Effect::Await { at });
        } else {
            self.open(effects);
        }
    }

    pub(super) fn open(&mut self, effects: &mut Effects) {
        let Some(busy) = self.busy.take() else { return };
        if self.replicated {
            self.sealed = self.mark.token;
        }
        if busy.progress.to.token > Token::ZERO {
            let evidence = Arc::new(busy.progress);
            self.last = Some(Arc::clone(&evidence));
            effects.push(Effect::Opened(evidence));
        }
        for ask in busy.queue {
            self.consider(ask, effects);
        }
    }

    /// The ledger is out of reach: nobody waits for it, and the next request tries again.
    pub(super) fn fail(&mut self, effects: &mut Effects) {
        if self.busy.is_some() {
            self.refuse_all(effects);
            self.rest();
            if !self.suspended {
                self.settle_debts(effects); // Others may wait for what this process has.
            }
        }
    }

    /// Is not busy any more; what a takeover has done so far is kept for the one that ends it.
    pub(super) fn rest(&mut self) {
        let Some(busy) = self.busy.take() else { return };
        debug_assert!(busy.queue.is_empty(), "somebody would wait for ever");
        if busy.progress.to.token > Token::ZERO {
            self.unfinished = Some(Box::new(busy.progress));
        }
    }

    pub(super) fn refuse_all(&mut self, effects: &mut Effects) {
        for Ask { ticket, .. } in std::mem::take(&mut self.busy().queue) {
            effects.push(Effect::Refuse { ticket, refusal: Refusal::LedgerUnavailable });
        }
    }

    /// Nobody waits.
    fn is_forsaken(&self) -> bool {
        self.busy.as_ref().is_none_or(|busy| busy.queue.is_empty())
    }

    fn is_quiet(&self) -> bool {
        self.sent == 0 && self.unknown == 0 && !self.leftovers
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        self.busy.as_ref().map(|busy| busy.stage)
    }

    pub(super) fn enter(&mut self, stage: Stage) {
        let epoch = self.epoch;
        let busy = self.busy();
        busy.stage = stage;
        busy.epoch = epoch;
    }

    pub(super) fn busy(&mut self) -> &mut Busy {
        let epoch = self.epoch;
        self.busy.get_or_insert_with(|| {
            let queue = VecDeque::new();
            let progress = self.unfinished.take().map_or_else(Takeover::default, |kept| *kept);
            Box::new(Busy { stage: Stage::Loading, epoch, queue, progress })
        })
    }

    /// For the model of several replicas, which has fewer worlds without what is only told.
    #[cfg(test)]
    pub(in crate::fence) fn forget_evidence(&mut self) {
        (self.last, self.unfinished) = (None, None);
        if let Some(busy) = &mut self.busy {
            busy.progress = Takeover::default();
        }
    }
}
