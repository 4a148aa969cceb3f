//! Reads what `doctor` shows of a server's certificate: its issuer and its validity.
//!
//! The TLS library has already decided whether to trust it (X.509, RFC 5280, 4.1).

use std::time::SystemTime;

use x509_cert::der::Decode;
use x509_cert::name::Name;

/// The parts of a certificate to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Who issued it: the common name, or else the organization.
    pub issuer: Option<String>,
    /// Valid from this time.
    pub not_before: SystemTime,
    /// Valid until this time.
    pub not_after: SystemTime,
}

impl Certificate {
    /// Reads the DER form; `None` for anything that is not a certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?;
        let body = certificate.tbs_certificate();
        let validity = body.validity();
        Some(Self {
            issuer: issuer_name(body.issuer()),
            not_before: validity.not_before.to_system_time(),
            not_after: validity.not_after.to_system_time(),
        })
    }
}

/// The name that people know an issuer by.
fn issuer_name(name: &Name) -> Option<String> {
    // An attribute in an unknown encoding counts as absent.
    let found = [name.common_name(), name.organization()].into_iter().filter_map(|found| found.ok().flatten());
    found.map(|text| text.value().into_owned()).find(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// O=Acme, CN=Acme TLS Inspection; 2024-02-29 12:00 (UTCTime) to 2050-01-01 (GeneralizedTime); Ed25519.
    const BY_COMMON_NAME: &str = "MIHbMIGOoAMCAQICAQkwBQYDK2VwMC0xDTALBgNVBAoMBEFjbWUxHDAaBgNVBAMME0FjbWUgVExTIEluc3BlY3Rpb24w\
        IBcNMjQwMjI5MTIwMDAwWhgPMjA1MDAxMDEwMDAwMDBaMAAwKjAFBgMrZXADIQDqSmxj4pxSCr71UHsTLsX5lUd2rr6+e5JCHuppFEbSLDAFBgMrZXADQQDF\
        SYmkWuR1QHE2ZoLx8+6GOhmGs6uQrzgDq5mrvZXTIFBN1cUIx5H2liAzgwEBWpRknY8ZvY58johs8QsNV9cA";
    /// O=Acmé; 1970-01-01 to 2049-12-31 23:59:59.
    const BY_ORGANIZATION: &str = "MIG7MG+gAwIBAgIBCTAFBgMrZXAwEDEOMAwGA1UECgwFQWNtw6kwHhcNNzAwMTAxMDAwMDAwWhcNNDkxMjMxMjM1OTU5\
        WjAAMCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iwwBQYDK2VwA0EA5pQlEZ9IyG5rT++wysERLRBR08jYKThfSt71qLQtQeT0\
        gNowKPK4SVWavFtuMFwHsBuFsGRfSQS+94ZUurGVBg==";
    /// An issuer without a name; 2024-02-29 12:00 to 2025-02-28 12:00.
    const WITHOUT_NAME: &str = "MIGrMF+gAwIBAgIBCTAFBgMrZXAwADAeFw0yNDAyMjkxMjAwMDBaFw0yNTAyMjgxMjAwMDBaMAAwKjAFBgMrZXADIQDqSmxj\
        4pxSCr71UHsTLsX5lUd2rr6+e5JCHuppFEbSLDAFBgMrZXADQQBmPAPLQpvVhtypD2JjB5GiYUukShaerbKMzb9jPubiJUeqJyhH9nqUPJAwrBfuwg1zMG3E\
        UrPN+QXkAk5teicB";

    fn der(base64: &str) -> Vec<u8> {
        STANDARD.decode(base64).expect("a constant")
    }

    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
    }

    #[test]
    fn issuer_and_validity_are_read_in_both_forms_of_time() {
        for (certificate, issuer, not_before, not_after) in [
            (BY_COMMON_NAME, Some("Acme TLS Inspection"), 1_709_208_000, 2_524_608_000),
            (BY_ORGANIZATION, Some("Acmé"), 0, 2_524_607_999),
            (WITHOUT_NAME, None, 1_709_208_000, 1_740_744_000),
        ] {
            let read = Certificate::read(&der(certificate)).expect("a certificate");
            assert_eq!(read.issuer.as_deref(), issuer);
            assert_eq!((seconds(read.not_before), seconds(read.not_after)), (not_before, not_after));
        }
    }

    #[test]
    fn what_is_cut_or_no_certificate_is_read_as_nothing() {
        let whole = der(WITHOUT_NAME);
        for end in 0..whole.len() {
            assert_eq!(Certificate::read(&whole[..end]), None, "cut at {end}");
        }
        let text = |from: &str, to: &str| {
            let at = whole.windows(from.len()).position(|part| part == from.as_bytes()).expect("it is in there");
            [&whole[..at], to.as_bytes(), &whole[at + from.len()..]].concat()
        };
        for time in ["241329120000Z", "24x229120000Z", "240230120000Z"] {
            assert_eq!(Certificate::read(&text("240229120000Z", time)), None, "{time}");
        }
        assert_eq!(Certificate::read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 1]), None);
    }
}
