//! Several servers: which of them is good enough, and what happens when another is promoted.

use super::super::login::{Account, LoginError};
use super::super::settings::{TargetSessionAttrs, Upstream};
use super::super::target::Traits;
use super::rig::{Session, connector, control, password, session, soon, until, upstream};
use crate::protocol::postgres::testing::Server;

#[tokio::test]
async fn a_primary_its_standby_and_a_promotion() {
    let mut primary = Server::start();
    let standby = primary.standby();
    let servers =
        || Upstream { target: TargetSessionAttrs::Primary, ..upstream(&[&standby, &primary]) };

    for (target, expected) in [
        (TargetSessionAttrs::Any, 0),
        (TargetSessionAttrs::Primary, 1),
        (TargetSessionAttrs::ReadWrite, 1),
        (TargetSessionAttrs::Standby, 0),
        (TargetSessionAttrs::PreferStandby, 0),
        (TargetSessionAttrs::ReadOnly, 0),
    ] {
        let connector = connector(Upstream { target, ..servers() });
        let backend = connector.log_in("app", "postgres", &[]).await.expect("a session");
        assert_eq!(backend.host, expected, "{target:?}");
    }
    // As servers before 14 have to be asked.
    for (server, is_standby) in [(&standby, true), (&primary, false)] {
        let connector = connector(upstream(&[server]));
        let mut session = session(&connector, "app", "").await;
        let account = Account {
            role: "app",
            password: &password("app"),
            is_control: false,
            database: "postgres",
            parameters: &[],
        };
        let traits = connector.ask_traits(&mut session.wire, account).await.expect("it answers");
        assert_eq!(traits, Traits { is_standby, is_read_only: false });
    }
    let none = connector(Upstream { target: TargetSessionAttrs::Standby, ..upstream(&[&primary]) });
    let error = none.log_in("app", "postgres", &[]).await.expect_err("there is none");
    assert!(matches!(error, LoginError::NoHost { .. }), "{error}");

    let connector = connector(servers());
    let control = control(&connector);
    soon("swept", control.swept()).await;
    let mut watched = control.primary();
    soon("known", watched.wait_for(|host| *host == Some(1))).await.expect("it is published");
    let mut session: Session = session(&connector, "app", "app [palisade:another]").await;
    session.begin("SELECT pg_sleep(600)").await;
    primary.crash();
    let ending = tokio::spawn({
        let (control, pid) = (control.clone(), session.pid);
        async move { control.terminate(1, pid).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(*control.primary().borrow(), Some(1), "it may only be out of sight");
    assert!(!ending.is_finished(), "nobody knows what it still does");

    standby.promote();
    soon("promoted", watched.wait_for(|host| *host == Some(0))).await.expect("it is published");
    soon("superseded", ending).await.expect("it returns");
    assert_eq!(connector.log_in("app", "postgres", &[]).await.expect("a session").host, 0);

    // The old one is back, and believes that it is the primary still.
    primary.restart();
    until("both answer", async || connector.connect().await.is_ok()).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(*control.primary().borrow(), Some(0));
    assert_eq!(connector.log_in("app", "postgres", &[]).await.expect("a session").host, 0);
}
