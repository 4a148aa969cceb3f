//! The encodings in which a server may quote a text character by character; each is undone one unit at a time.

/// Decodes one unit at the start of the bytes: its length, and what it stands for.
pub type Unit = fn(&[u8]) -> Option<(usize, Vec<u8>)>;

/// All of them.
pub const ALL: &[Unit] = &[percent, escape, entity];

/// More digits than any character has.
const LONGEST_DIGITS: usize = 8;

/// `%2F`.
fn percent(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let byte = number(text.strip_prefix(b"%")?.get(..2)?, 16)?;
    Some((3, vec![u8::try_from(byte).ok()?]))
}

/// `\/`, `\n`, `\u002f`, `\ud83d\ude00`, and as `Debug` and scripts write them, `\x2f`, `\u{2f}`.
fn escape(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let plain = match text.strip_prefix(b"\\")?.first()? {
        b'u' if text.get(2) == Some(&b'{') => {
            let (length, digits) = digits_until(&text[3..], b'}')?;
            return Some((3 + length, character(number(digits, 16)?)?));
        }
        b'u' => {
            let unit = |text: &[u8]| u16::try_from(number(text.strip_prefix(b"\\u")?.get(..4)?, 16)?).ok();
            let first = unit(text)?;
            let pair: Vec<u16> = std::iter::once(first).chain(text.get(6..).and_then(unit)).collect();
            let character = char::decode_utf16(pair).next()?.ok()?;
            return Some((6 * character.len_utf16(), character.to_string().into_bytes()));
        }
        b'x' => return Some((4, vec![u8::try_from(number(text.get(2..4)?, 16)?).ok()?])),
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        other @ (b'"' | b'\'' | b'\\' | b'/') => *other,
        _ => return None,
    };
    Some((2, vec![plain]))
}

/// `&amp;`, `&#47;`, `&#x2F;`.
fn entity(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    const NAMED: &[(&[u8], &str)] = &[
        (b"amp", "&"),
        (b"lt", "<"),
        (b"gt", ">"),
        (b"quot", "\""),
        (b"apos", "'"),
        (b"sol", "/"),
        (b"plus", "+"),
        (b"equals", "="),
        (b"lowbar", "_"),
        (b"period", "."),
        (b"colon", ":"),
    ];
    let (length, name) = digits_until(text.strip_prefix(b"&")?, b';')?;
    let bytes = match name.strip_prefix(b"#") {
        None => NAMED.iter().find(|(known, _)| *known == name)?.1.as_bytes().to_vec(),
        Some(digits) => match digits.strip_prefix(b"x").or_else(|| digits.strip_prefix(b"X")) {
            Some(digits) => character(number(digits, 16)?)?,
            None => character(number(digits, 10)?)?,
        },
    };
    Some((1 + length, bytes))
}

/// What stands before `end`, and the length with it; `None` if that is too long to be a character.
fn digits_until(text: &[u8], end: u8) -> Option<(usize, &[u8])> {
    let length = text.iter().take(LONGEST_DIGITS + 2).position(|byte| *byte == end)?;
    Some((length + 1, &text[..length]))
}

fn character(number: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(number)?.to_string().into_bytes())
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    if digits.is_empty() || digits.len() > LONGEST_DIGITS {
        return None;
    }
    digits
        .iter()
        .try_fold(0_u32, |value, digit| value.checked_mul(base)?.checked_add(char::from(*digit).to_digit(base)?))
}
