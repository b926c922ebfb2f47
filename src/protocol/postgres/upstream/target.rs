//! Which of several servers are good enough for a session.

use super::settings::TargetSessionAttrs;

/// The setting by which a session says that it only reads.
const READ_ONLY: &str = "default_transaction_read_only";

/// What is known of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Traits {
    /// It follows another one.
    pub(super) is_standby: bool,
    /// Sessions may not write unless they say so.
    pub(super) is_read_only: bool,
}

impl Traits {
    /// From what PostgreSQL 14 and later report at login. A session that has asked to be
    /// read-only itself tells nothing about the others: it is taken for one that may write.
    pub(super) fn reported(
        parameters: &[(String, String)],
        asked: &[(String, String)],
    ) -> Option<Self> {
        let is_on = |name: &str| {
            let (_, value) = parameters.iter().rev().find(|(known, _)| known == name)?;
            Some(value == "on")
        };
        let is_standby = is_on("in_hot_standby")?;
        let is_read_only = is_on(READ_ONLY)? && !is_about_itself(asked);
        Some(Self { is_standby, is_read_only })
    }
}

impl TargetSessionAttrs {
    /// Whether a server can only be used if it satisfies something.
    pub(super) fn is_choosy(self) -> bool {
        self != Self::Any
    }

    pub(super) fn accepts(self, traits: Traits) -> bool {
        match self {
            Self::Any => true,
            Self::ReadWrite => !traits.is_standby && !traits.is_read_only,
            Self::ReadOnly => traits.is_standby || traits.is_read_only,
            Self::Primary => !traits.is_standby,
            Self::Standby | Self::PreferStandby => traits.is_standby,
        }
    }
}

/// Whether the session itself asks to be read-only.
pub(super) fn is_about_itself(asked: &[(String, String)]) -> bool {
    let says = |text: &str| text.to_ascii_lowercase().replace('-', "_").contains(READ_ONLY);
    asked.iter().any(|(name, value)| says(name) || name == "options" && says(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_libpq_has_it() {
        use TargetSessionAttrs::{Any, Primary, ReadOnly, ReadWrite, Standby};

        fn check(is_standby: bool, is_read_only: bool, expected: &[TargetSessionAttrs]) {
            let traits = Traits { is_standby, is_read_only };
            let accepting = [Any, ReadWrite, ReadOnly, Primary, Standby]
                .into_iter()
                .filter(|target| target.accepts(traits));
            assert_eq!(accepting.collect::<Vec<_>>(), expected, "{traits:?}");
        }

        check(false, false, &[Any, ReadWrite, Primary]);
        check(false, true, &[Any, ReadOnly, Primary]);
        check(true, false, &[Any, ReadOnly, Standby]);
        check(true, true, &[Any, ReadOnly, Standby]);
    }

    #[test]
    fn what_a_session_asks_for_itself_says_nothing_of_the_server() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let reported = [pair("in_hot_standby", "off"), pair(READ_ONLY, "on")];
        let read_only = |asked: &[(String, String)]| {
            Traits::reported(&reported, asked).map(|traits| traits.is_read_only)
        };
        assert_eq!(read_only(&[]), Some(true));
        assert_eq!(
            read_only(&[pair("options", "-c default_transaction_read_only=on")]),
            Some(false)
        );
        assert_eq!(read_only(&[pair(READ_ONLY, "on")]), Some(false));
        let option = pair("options", "--Default-Transaction-Read-Only=on");
        assert_eq!(read_only(&[option]), Some(false));
        assert_eq!(Traits::reported(&reported[..1], &[]), None);
    }
}
