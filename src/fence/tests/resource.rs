//! Names of resources.

use crate::fence::{Resource, ResourceError};

#[test]
fn names_are_bounded_and_printable() {
    let longest = "x".repeat(Resource::LEN_MAX_BYTES);
    let check = |name: &str, expected: Result<(), ResourceError>| {
        assert_eq!(
            Resource::new(name).map(|resource| assert_eq!(resource.as_str(), name)),
            expected
        );
    };
    check("orders/7", Ok(()));
    check("заказы", Ok(()));
    check(&longest, Ok(()));
    check(&format!("{longest}x"), Err(ResourceError::TooLong));
    check("", Err(ResourceError::Empty));
    check("orders\n7", Err(ResourceError::ControlCharacter));
    check("\u{85}", Err(ResourceError::ControlCharacter));
}
