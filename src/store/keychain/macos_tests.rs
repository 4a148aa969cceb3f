//! What macOS says, and what it means.

use security_framework::base::Error as Refusal;

use super::*;

#[test]
fn a_keychain_that_says_no_is_locked_and_not_broken() {
    let said = |code| failure(Error::PlatformFailure(Box::new(Refusal::from_code(code))));
    for code in [-128, -25293, -25308, -25315] {
        assert!(matches!(said(code), StoreError::Locked), "{code}");
    }
    // `errSecDecode`: nobody has refused anything.
    assert!(matches!(said(-26275), StoreError::Failed(_)));
}
