//! Requests of which not all has come yet.

use super::rows::rows;
use crate::protocol::redis::commands::{Commands, Finding};

#[test]
fn what_is_said_early_is_what_is_said_late() {
    let commands = Commands::shipped();
    for row in rows() {
        let whole = row.find(&commands).expect("a known command");
        for here in 1..row.args.len() {
            let arg = |index: usize| row.arg(index).filter(|_| index < here);
            let command = commands.find(row.args[0].as_bytes(), arg(1)).expect("a known command");
            let found = command.touches(row.args.len(), arg);
            match &found {
                Finding::More => {}
                Finding::Touches(touches, _) => {
                    assert_eq!(found, whole, "{} of {}", here, row.line);
                    assert!(touches.keys.iter().all(|key| key.index < here), "{}", row.line);
                }
                _ => panic!("{found:?} after {here} of {}", row.line),
            }
        }
    }
}
