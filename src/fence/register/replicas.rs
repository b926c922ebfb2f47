//! What other replicas do, and what becomes of this one's session with the ledger.

use std::sync::Arc;

use super::{Knowledge, Register, Stage};
use crate::fence::{Awaited, Effect, Effects, Record, Token};

impl Register {
    /// Whether those who wait do so because older writes have not settled, here or elsewhere.
    pub fn is_unsettled(&self) -> bool {
        matches!(self.stage(), Some(Stage::Quiescing | Stage::Awaiting))
    }

    /// How often the session was lost. What was admitted before cannot commit any more.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether nothing is admitted because the session with the ledger is over.
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Whether a takeover waits for other replicas to give up their grants below that token.
    pub fn is_awaiting(&self, at: Token) -> bool {
        self.stage() == Some(Stage::Awaiting) && self.mark.token == at
    }

    /// How waiting for the grants of other replicas below that token has ended. What comes when
    /// it is not waited for any more is let be.
    pub fn awaited(&mut self, at: Token, outcome: Awaited) -> Effects {
        let mut effects = Effects::new();
        if !self.is_awaiting(at) {
            return effects;
        }
        match outcome {
            Awaited::Done { leftovers } => {
                self.behind = false;
                self.busy().progress.leftovers |= leftovers;
                self.open(&mut effects);
            }
            Awaited::Failed => self.fail(&mut effects),
        }
        effects
    }

    /// What was below the mark has been given up, or (`false`) the session was lost before that.
    pub fn released(&mut self, done: bool) -> Effects {
        let mut effects = Effects::new();
        debug_assert_eq!(self.stage(), Some(Stage::Releasing));
        let is_late = self.is_late();
        self.owing |= is_late || !done;
        if is_late {
            self.start_over(None, &mut effects);
        } else if done {
            self.grant = Token::ZERO;
            let progress = std::mem::take(&mut self.busy().progress);
            effects.push(Effect::Yielded(Arc::new(progress)));
            self.reconsider(&mut effects);
        } else {
            self.fail(&mut effects);
        }
        effects
    }

    /// The ledger tells a mark that others have raised. `owing`: this process has a grant below it,
    /// which has to be given up once it has quiesced.
    pub fn observe(&mut self, record: Record, owing: bool) -> Effects {
        let mut effects = Effects::new();
        let is_higher = record.mark.token > self.mark.token;
        // What comes late can be of before this process set its grant at that mark.
        self.owing |= owing && (is_higher || self.grant != self.mark.token);
        if self.knowledge == Knowledge::Never && is_higher {
            self.mark = record.mark.clone(); // No takeover that this process has seen.
        }
        let grant = self.grant;
        let behind = self.behind;
        let was_idle = self.busy.is_none();
        self.adopt(Record { grant, behind, ..record }, &mut effects);
        if was_idle {
            self.rest(); // A higher mark alone asks for nothing.
        }
        match self.stage() {
            _ if self.suspended => {}
            None => self.settle_debts(&mut effects),
            Some(Stage::Quiescing | Stage::Awaiting) if is_higher => self.reconsider(&mut effects),
            // An answer of the ledger is on its way: what follows is decided then.
            Some(_) => {}
        }
        effects
    }

    /// The session with the ledger is over, or so near its end that nothing more may be sent under
    /// it: nothing is admitted, and nothing that was admitted may pass its commit point. What is
    /// past it has to settle, or lose its connection, before the ledger drops the session.
    pub fn suspend(&mut self) -> Effects {
        let mut effects = Effects::new();
        if self.suspended {
            return effects;
        }
        self.suspended = true;
        self.epoch = self.epoch.wrapping_add(1);
        if self.knowledge == Knowledge::Known {
            self.knowledge = Knowledge::Lost;
        }
        self.grant = Token::ZERO;
        self.behind = false;
        if std::mem::take(&mut self.streaming) > 0 {
            effects.push(Effect::Cut);
        }
        match self.stage() {
            None => {}
            Some(Stage::Quiescing | Stage::Awaiting) => self.fail(&mut effects),
            // The ledger still has to answer: meanwhile nobody waits.
            Some(_) => self.refuse_all(&mut effects),
        }
        effects
    }

    /// A new session has begun. What is known of the old one's grants is not of this one: the
    /// next request loads.
    pub fn resume(&mut self) -> Effects {
        let mut effects = Effects::new();
        self.suspended = false;
        if self.stage().is_none() {
            self.settle_debts(&mut effects);
        }
        effects
    }
}
