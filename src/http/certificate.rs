//! The few facts of a server's certificate that people are told: who issued it, and from when to when it is good.
//!
//! Whether it is trusted has been decided by the TLS library. This only reads (DER, X.509 as in RFC 5280, 4.1), and finds
//! nothing rather than guess.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which stands in a tag of its own when it is not the oldest.
const VERSION: u8 = 0xa0;
/// Attributes of a name (RFC 5280, appendix A.1): 2.5.4.3 and 2.5.4.10.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Who issued it: the common name, or else the organization.
    pub issuer: Option<String>,
    /// From when on it is good.
    pub not_before: SystemTime,
    /// Until when.
    pub not_after: SystemTime,
}

impl Certificate {
    /// Reads the DER form; `None` for anything that does not look like a certificate.
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut whole = Reader(der).enter(SEQUENCE)?;
        let mut body = whole.enter(SEQUENCE)?;
        if body.peek() == Some(VERSION) {
            body.next()?;
        }
        body.expect(INTEGER)?;
        body.expect(SEQUENCE)?; // the algorithm of the signature
        let issuer = name(body.enter(SEQUENCE)?);
        let mut validity = body.enter(SEQUENCE)?;
        Some(Self { issuer, not_before: validity.time()?, not_after: validity.time()? })
    }
}

/// The name that people know an issuer by.
fn name(mut parts: Reader<'_>) -> Option<String> {
    let (mut common, mut organization) = (None, None);
    while let Some(mut set) = parts.enter(SET) {
        let Some(mut attribute) = set.enter(SEQUENCE) else { continue };
        let (Some(kind), Some((_, value))) = (attribute.expect(OID), attribute.next()) else { continue };
        let text = || String::from_utf8(value.to_vec()).ok().filter(|text| !text.trim().is_empty());
        match kind {
            COMMON_NAME => common = common.or_else(text),
            ORGANIZATION => organization = organization.or_else(text),
            _ => {}
        }
    }
    common.or(organization)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element: its tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // The long form: so many bytes of length; certificates have no more than four.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()))?, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    fn enter(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.expect(tag).map(Reader)
    }

    /// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
    fn time(&mut self) -> Option<SystemTime> {
        let (tag, text) = self.next()?;
        let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        let (century, rest) = match (tag, digits.len()) {
            (UTC_TIME, 12) => (if digits[0] < b'5' { 2000 } else { 1900 }, digits),
            (GENERALIZED_TIME, 14) => (two(&digits[..2]) * 100, &digits[2..]),
            _ => return None,
        };
        let field = |at: usize| two(&rest[2 * at..2 * at + 2]);
        let days = days_since_1970(century + field(0), field(1), field(2))?;
        let seconds = days * 86_400 + field(3) * 3_600 + field(4) * 60 + field(5);
        // Before 1970 nothing was issued.
        UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
    }
}

/// Two digits.
fn two(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
}

/// Days in the Gregorian calendar, with years that begin in March so that the leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between 1 March of the year 0 and 1970.
    Some(year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tag, length, content.
    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match content.len() {
            length @ 0..=127 => out.push(u8::try_from(length).unwrap()),
            length => out.extend([0x82, u8::try_from(length >> 8).unwrap(), u8::try_from(length & 255).unwrap()]),
        }
        out.extend_from_slice(content);
        out
    }

    fn attribute(kind: &[u8], text: &str) -> Vec<u8> {
        element(SET, &element(SEQUENCE, &[element(OID, kind), element(0x0c, text.as_bytes())].concat()))
    }

    fn certificate(issuer: &[u8], from: (u8, &str), to: (u8, &str)) -> Vec<u8> {
        let validity = [element(from.0, from.1.as_bytes()), element(to.0, to.1.as_bytes())].concat();
        let body = [
            element(VERSION, &element(INTEGER, &[2])),
            element(INTEGER, &[9; 200]),
            element(SEQUENCE, &[]),
            element(SEQUENCE, issuer),
            element(SEQUENCE, &validity),
        ]
        .concat();
        element(SEQUENCE, &[element(SEQUENCE, &body), element(SEQUENCE, &[])].concat())
    }

    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn issuer_and_validity_are_read_in_both_forms_of_time() {
        let issuer = [attribute(ORGANIZATION, "Acme"), attribute(COMMON_NAME, "Acme TLS Inspection")].concat();
        let der = certificate(&issuer, (UTC_TIME, "240229120000Z"), (GENERALIZED_TIME, "20500101000000Z"));
        let read = Certificate::read(&der).unwrap();
        assert_eq!(read.issuer.as_deref(), Some("Acme TLS Inspection"));
        assert_eq!(seconds(read.not_before), 1_709_208_000);
        assert_eq!(seconds(read.not_after), 2_524_608_000);
        let by_organization =
            certificate(&attribute(ORGANIZATION, "Acme"), (UTC_TIME, "700101000000Z"), (UTC_TIME, "491231235959Z"));
        let read = Certificate::read(&by_organization).unwrap();
        assert_eq!(read.issuer.as_deref(), Some("Acme"));
        assert_eq!((seconds(read.not_before), seconds(read.not_after)), (0, 2_524_607_999));
    }

    #[test]
    fn what_is_cut_or_no_certificate_is_read_as_nothing() {
        let der = certificate(&[], (UTC_TIME, "240229120000Z"), (UTC_TIME, "250229120000Z"));
        assert!(Certificate::read(&der).is_some());
        for end in 0..der.len() - 2 {
            assert_eq!(Certificate::read(&der[..end]), None, "cut at {end}");
        }
        for time in ["24022912000Z", "240229120000", "241329120000Z", "24x229120000Z"] {
            let der = certificate(&[], (UTC_TIME, time), (UTC_TIME, "250229120000Z"));
            assert_eq!(Certificate::read(&der), None, "{time}");
        }
        assert_eq!(Certificate::read(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff, 1]), None);
    }
}
