//! Decides when two issuer identifiers (RFC 8414, 2) name the same authorization server.
//!
//! They must be identical, except for the slash of an empty path: RFC 3986 (6.2.3) treats the two forms of an origin as
//! equal, they lead to the same metadata, and common servers list one form and issue as the other. Only `iss` in an
//! authorization response must match exactly (RFC 9207, 2.4).

use url::Url;

/// Whether both name the same authorization server.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || bare(one) == bare(other)
}

/// Whether both name the same authorization server where the user has pinned one of them: servers write the last slash of a
/// path in two ways, and a person who names the issuer has seen which server it is.
pub fn is_pinned(pinned: &str, found: &str) -> bool {
    differ_by_last_slash(pinned, found) || is_same(pinned, found)
}

/// Whether one is the other with one more slash at its end.
pub fn differ_by_last_slash(one: &str, other: &str) -> bool {
    one.strip_suffix('/') == Some(other) || other.strip_suffix('/') == Some(one)
}

/// The identifier under which records for this server are stored, and then its other form, if any.
pub fn forms(issuer: &str) -> Vec<String> {
    let bare = bare(issuer);
    let has_path = Url::parse(bare).is_ok_and(|url| url.origin().ascii_serialization() != bare);
    if has_path { vec![bare.to_owned()] } else { vec![bare.to_owned(), format!("{bare}/")] }
}

/// The same text for all forms of one identifier.
pub fn canonical(issuer: &str) -> &str {
    bare(issuer)
}

/// The identifier without the slash of an empty path.
fn bare(issuer: &str) -> &str {
    issuer
        .strip_suffix('/')
        .filter(|bare| Url::parse(bare).is_ok_and(|url| url.origin().ascii_serialization() == *bare))
        .unwrap_or(issuer)
}

#[cfg(test)]
mod tests {
    use crate::auth::issuer::*;

    #[test]
    fn only_the_slash_after_an_origin_makes_no_difference() {
        for (one, other, same) in [
            ("https://as.example", "https://as.example", true),
            ("https://as.example", "https://as.example/", true),
            ("https://as.example:8443/", "https://as.example:8443", true),
            ("https://as.example/t", "https://as.example/t", true),
            ("https://as.example/t", "https://as.example/t/", false),
            ("https://as.example", "https://as.example//", false),
            ("https://as.example", "https://AS.example", false),
            ("https://as.example", "http://as.example", false),
            ("https://as.example", "https://as.example.evil.example", false),
            ("", "/", false),
        ] {
            assert_eq!((is_same(one, other), is_same(other, one)), (same, same), "{one} {other}");
            if same {
                assert_eq!(forms(one), forms(other), "{one} {other}");
            }
        }
        for (pinned, found, good) in [
            ("https://as.example/t", "https://as.example/t/", true),
            ("https://as.example/t/", "https://as.example/t", true),
            ("https://as.example", "https://as.example/", true),
            ("https://as.example/t", "https://as.example/t", true),
            ("https://as.example/t", "https://as.example/t//", false),
            ("https://as.example/t", "https://as.example", false),
            ("https://as.example/t", "https://as.example/T", false),
        ] {
            assert_eq!(is_pinned(pinned, found), good, "{pinned} {found}");
        }
        assert_eq!(forms("https://as.example/"), ["https://as.example", "https://as.example/"]);
        assert_eq!(forms("https://as.example/t"), ["https://as.example/t"]);
    }
}
