//! Who may cancel what.

use super::*;

fn target(identity: &str, pid: u32) -> Target {
    Target { identity: identity.into(), host: 1, pid, secret: [0xab; 4].into() }
}

#[test]
fn a_key_cancels_its_own_session_only() {
    let cancels = Arc::new(Cancels::default());
    let ann = cancels.register(target("ann", 11), 4);
    let bob = cancels.register(target("bob", 12), 32);
    let (Key { pid, secret }, other) = (ann.key().clone(), bob.key().clone());
    assert_eq!((secret.len(), other.secret.len()), (4, 32));
    assert_ne!((pid, &secret[..]), (other.pid, &other.secret[..4]));
    assert_eq!(cancels.find(pid, &secret, Some("ann")), Some(target("ann", 11)));
    assert_eq!(cancels.find(pid, &secret, None), Some(target("ann", 11)));
    assert_eq!(cancels.find(pid, &secret, Some("bob")), None);
    assert_eq!(cancels.find(pid, &other.secret, None), None);
    assert_eq!(cancels.find(other.pid, &secret, None), None);
    for at in 0..secret.len() {
        let mut wrong = secret.clone();
        wrong[at] ^= 1;
        assert_eq!(cancels.find(pid, &wrong, None), None);
    }
    assert_eq!(cancels.find(pid, &[&secret[..], &[0]].concat(), None), None);
    assert_eq!(cancels.find(pid, &secret[..3], None), None);
    assert_eq!(cancels.find(pid, b"", None), None);
    // The server's own key is none.
    assert_eq!(cancels.find(11, &[0xab; 4], None), None);
    drop(ann);
    assert_eq!(cancels.find(pid, &secret, None), None);
    assert!(cancels.find(other.pid, &other.secret, Some("bob")).is_some());
    drop(bob);
    assert!(cancels.lock().is_empty());
}

#[test]
fn keys_are_their_own() {
    let cancels = Arc::new(Cancels::default());
    let keys: Vec<_> = (0..2000).map(|pid| cancels.register(target("ann", pid), 0)).collect();
    assert_eq!(cancels.lock().len(), keys.len());
    for (pid, registered) in (0..).zip(&keys) {
        let key = registered.key();
        assert!(key.pid > 0 && i32::try_from(key.pid).is_ok() && key.secret.len() == 4);
        assert_eq!(cancels.find(key.pid, &key.secret, None).unwrap().pid, pid);
    }
}

#[test]
fn no_secret_is_shown() {
    let cancels = Arc::new(Cancels::default());
    let registered = cancels.register(target("ann", 11), 4);
    let pid = registered.key().pid;
    let shown = format!("{registered:?}");
    assert!(!shown.contains("secret") && !shown.contains("171, 171"), "{shown}");
    assert!(shown.contains(&format!("Key {{ pid: {pid}, .. }}")), "{shown}");
}
