//! The date in a cookie's `Expires` (RFC 6265, 5.1.1): servers write it in many ways, so it is searched for its parts.

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The date; `None` when one of its parts is missing or out of range. One before 1970 is 1970.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let ((hours, minutes, seconds), day, month, year) = (time?, day?, month?, year?);
    let year = match year {
        0..=69 => year + 2000,
        70..=99 => year + 1900,
        _ => year,
    };
    if year < 1601 || !(1..=31).contains(&day) || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let since_1970 = days_since_1970(year, month, day) * 86_400 + hours * 3_600 + minutes * 60 + seconds;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(since_1970).unwrap_or(0)))
}

fn is_delimiter(c: char) -> bool {
    !c.is_ascii_alphanumeric() && c != ':' && !('\u{7f}'..).contains(&c)
}

/// `12:34:56`, with anything but a digit behind it.
fn time_of(token: &str) -> Option<(i64, i64, i64)> {
    let mut parts = token.splitn(3, ':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !whole(hours) || !whole(minutes) {
        return None;
    }
    Some((number(hours, 1, 2)?, number(minutes, 1, 2)?, number(seconds, 1, 2)?))
}

/// The number at the start of a token, with that many digits.
fn number(token: &str, fewest: usize, most: usize) -> Option<i64> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    if (fewest..=most).contains(&digits) { token[..digits].parse().ok() } else { None }
}

fn month_of(token: &str) -> Option<i64> {
    let name = token.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == name)?;
    i64::try_from(at).ok().map(|at| at + 1)
}

/// In the Gregorian calendar, counted in years that begin in March, so that a leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        Some(parse(text)?.duration_since(SystemTime::UNIX_EPOCH).expect("not before 1970").as_secs())
    }

    #[test]
    fn a_date_is_understood_however_servers_write_it() {
        let at = Some(1_768_046_400);
        for text in [
            "Sat, 10 Jan 2026 12:00:00 GMT",
            "Sat, 10-Jan-26 12:00:00 GMT",
            "Saturday, 10-Jan-2026 12:00:00 GMT",
            "Sat Jan 10 12:00:00 2026",
            "10 JANUARY 2026 12:0:0",
            "2026 12:00:00 jan 10",
        ] {
            // The last one has its year where a day could be: a day has two digits at most.
            assert_eq!(seconds(text), at, "{text}");
        }
        for (text, at) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 01 Jan 1970 00:00:01 GMT", 1),
            ("Mon, 01-Jan-1601 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Thu, 01 Mar 2001 00:00:00 GMT", 983_404_800),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
        ] {
            assert_eq!(seconds(text), Some(at), "{text}");
        }
        for text in [
            "",
            "never",
            "10 Jan 2026",
            "Jan 2026 12:00:00",
            "10 2026 12:00:00",
            "10 Jan 12:00:00",
            "32 Jan 2026 12:00:00",
            "0 Jan 2026 12:00:00",
            "10 Jan 1600 12:00:00",
            "10 Jan 2026 24:00:00",
            "10 Jan 2026 12:60:00",
            "10 Jan 2026 12:00:60",
            "10 Jan 2026 12:00",
            "10 Jan 20261 12:00:00",
            "10 J\u{e4}n 2026 12:00:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
