//! The course of a takeover, from stage to stage.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Busy, Register, Stage};
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
        self.grant = self.grant.max(record.grant);
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
        if self.stage() == Some(Stage::Quiescing) && self.is_quiet() {
            self.enter(Stage::Granting);
            effects.push(Effect::Grant { at: self.mark.token });
        }
    }

    pub(super) fn open(&mut self, effects: &mut Effects) {
        let Some(busy) = self.busy.take() else { return };
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
        let Some(busy) = self.busy.take() else { return };
        if busy.progress.to.token > Token::ZERO {
            self.unfinished = Some(Box::new(busy.progress));
        }
        for Ask { ticket, .. } in busy.queue {
            effects.push(Effect::Refuse { ticket, refusal: Refusal::LedgerUnavailable });
        }
    }

    fn is_quiet(&self) -> bool {
        self.sent == 0 && self.unknown == 0 && !self.leftovers
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        self.busy.as_ref().map(|busy| busy.stage)
    }

    pub(super) fn enter(&mut self, stage: Stage) {
        self.busy().stage = stage;
    }

    pub(super) fn busy(&mut self) -> &mut Busy {
        self.busy.get_or_insert_with(|| {
            let queue = VecDeque::new();
            let progress = self.unfinished.take().map_or_else(Takeover::default, |kept| *kept);
            Box::new(Busy { stage: Stage::Loading, queue, progress })
        })
    }
}
