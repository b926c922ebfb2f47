//! What goes wrong while a leader is at its point.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::child::Leader;
use super::turns::Field;
use crate::trial::Chance;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Ill {
    /// It is frozen, and thawed when the next one writes.
    LeaderFrozen,
    LeaderKilled,
    PalisadeKilled,
    PalisadeFrozen,
    /// The next leader comes while the server does nothing, and it may be that Palisade is killed
    /// in that time.
    ServerFrozen,
    /// Palisade loses all connections to the server, but not what is on its way there.
    NetworkCut,
}

pub const ILLS: [Ill; 6] = [
    Ill::LeaderFrozen,
    Ill::LeaderKilled,
    Ill::PalisadeKilled,
    Ill::PalisadeFrozen,
    Ill::ServerFrozen,
    Ill::NetworkCut,
];

impl Ill {
    /// Whether it needs no Palisade.
    pub fn is_leaders(self) -> bool {
        matches!(self, Self::LeaderFrozen | Self::LeaderKilled)
    }

    /// Lets it happen. What is frozen by it is thawed after a while, when the next leader may
    /// have come already.
    pub async fn inflict(self, field: &Field, leader: &Leader, chance: &mut Chance) {
        if self.is_leaders() {
            // It has killed itself, or stands still until the next one writes.
            return;
        }
        let mut front = Arc::clone(&field.front).lock_owned().await;
        let made = front.as_mut().unwrap();
        let time = Duration::from_millis(chance.within(20..=250));
        match self {
            Self::LeaderFrozen | Self::LeaderKilled => {}
            Self::NetworkCut => {
                let network = Arc::clone(field.network.as_ref().unwrap());
                network.cut();
                // Once more in the middle of the next takeover.
                tokio::spawn(async move {
                    sleep(time * 2).await;
                    network.cut();
                });
                // It learns of it now, or when others lead already.
                if chance.percent(50) {
                    leader.thaw();
                }
            }
            Self::PalisadeKilled => {
                // What was sent gets on its way, or not.
                sleep(time / 20).await;
                made.palisade().kill();
                leader.thaw();
                made.launch();
                made.ready().await;
            }
            Self::PalisadeFrozen => {
                made.palisade().freeze();
                leader.thaw();
                tokio::spawn(async move {
                    sleep(time).await;
                    front.as_mut().unwrap().palisade().thaw();
                });
            }
            Self::ServerFrozen => {
                made.server.process.freeze();
                leader.thaw();
                if chance.percent(30) {
                    sleep(time / 10).await;
                    made.palisade().kill();
                    made.launch();
                }
                // Beyond the time that a takeover waits, now and then.
                let time = time * u32::try_from(chance.within(1..=3)).unwrap();
                tokio::spawn(async move {
                    sleep(time).await;
                    let made = front.as_mut().unwrap();
                    made.server.process.thaw();
                    made.ready().await;
                });
            }
        }
    }
}
