//! Owns the way from what a server said to what may be shown of it.
//!
//! A server may quote what it was sent: "Invalid access token: eyJ…". [`Secrets`] holds the secrets of one exchange;
//! [`Secrets::words`] is the only way to [`ServerWords`], in which none of them is left, in whatever form it was quoted:
//! as it is, percent-encoded (RFC 3986, 2.1), escaped as in JSON (RFC 8259, 7), in either alphabet of base64 (RFC 4648, 4
//! and 5), alone or within something longer, as in Basic credentials (RFC 7617, 2), or one of these within another.

use std::fmt;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{REDACTED, Secret};

/// The shortest secret, in bytes, that is replaced wherever it stands: a shorter one may be part of any word.
const ANYWHERE: usize = 8;
/// So many leading bytes count as the whole secret: servers shorten what they quote.
const ENOUGH: usize = 24;
/// How much of a text is looked at, in bytes; nobody is shown more than a part of it.
const LONGEST: usize = 16 * 1024;
/// How many encodings within each other are undone.
const DEEPEST: usize = 3;

/// The secrets of one exchange: what was sent, and what came back.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Vec<Held>);

/// A secret, and in which forms it is looked for.
#[derive(Debug, Clone)]
struct Held {
    secret: Secret,
    /// Whether it is a secret in base64 only: the pair of Basic begins with a client id that everybody may see.
    encoded_only: bool,
}

impl Secrets {
    /// Nothing secret was sent.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a secret; an empty one hides nothing.
    pub fn add(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.0.push(Held { secret: secret.into(), encoded_only: false });
        }
    }

    /// Adds a secret that goes with a name as in Basic: `name:secret`.
    pub fn add_pair(&mut self, name: &str, secret: &str) {
        self.add(secret);
        if !secret.is_empty() {
            let pair = Secret::new(format!("{name}:{secret}"));
            self.0.push(Held { secret: pair, encoded_only: true });
        }
    }

    /// The server's words without the secrets of the exchange.
    pub fn words(&self, said: &str) -> ServerWords {
        let said = &said[..boundary_below(said, LONGEST)];
        let needles: Vec<Needle> = self.0.iter().flat_map(Needle::all).collect();
        if needles.is_empty() {
            return ServerWords(said.to_owned());
        }
        let mut spans = Vec::new();
        search(&Layer::plain(said), &needles, DEEPEST, &mut spans);
        ServerWords(replaced(said, spans))
    }
}

/// What a server said, without the secrets of the exchange in which it said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerWords(String);

impl ServerWords {
    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first `most` characters.
    #[must_use]
    pub fn shortened(self, most: usize) -> Self {
        match self.0.char_indices().nth(most) {
            Some((end, _)) => Self(self.0[..end].to_owned()),
            None => self,
        }
    }
}

impl fmt::Display for ServerWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One form of a secret that is looked for.
struct Needle {
    bytes: Secret<Vec<u8>>,
    /// In the standard alphabet of base64; found in the other one, too, and replaced with the whole word around it.
    base64: bool,
    /// Whether it counts only where no letter or digit touches it.
    whole_word: bool,
}

impl Needle {
    fn all(held: &Held) -> Vec<Self> {
        let secret = held.secret.expose().as_bytes();
        let whole_word = secret.len() < ANYWHERE;
        let mut all = Vec::new();
        if !held.encoded_only {
            all.push(Self { bytes: Secret::new(secret.to_vec()), base64: false, whole_word });
        }
        // Base64 turns three bytes into four characters, so what a secret becomes depends on how many bytes stand before
        // it; what is the same whatever stands around it lies between `start` and `end`.
        for (before, start) in [(0, 0), (1, 2), (2, 3)].into_iter().take(if whole_word { 1 } else { 3 }) {
            let mut shifted = Secret::new(vec![0; before]).expose().clone();
            shifted.extend_from_slice(secret);
            let shifted = Secret::new(shifted);
            let mut encoded = STANDARD_NO_PAD.encode(shifted.expose()).into_bytes();
            if !whole_word {
                encoded.truncate(shifted.expose().len() * 8 / 6);
                encoded.drain(..start);
            }
            all.push(Self { bytes: Secret::new(encoded), base64: true, whole_word });
        }
        all
    }

    /// Where it stands in `hay`, at or after `from`.
    fn find(&self, hay: &[u8], from: usize) -> Option<Range<usize>> {
        let needle = self.bytes.expose();
        for at in from..hay.len() {
            let same = hay[at..].iter().zip(needle).take_while(|(found, sought)| self.is(**found, **sought)).count();
            let range = at..at + same;
            // What is cut off at the end of the text might still be guessed from.
            let cut = range.end == hay.len() && same >= ANYWHERE;
            let found = if self.whole_word {
                same == needle.len() && !self.touches(hay, &range)
            } else {
                same == needle.len() || same >= ENOUGH || cut
            };
            if found {
                return Some(if self.base64 { whole_base64(hay, range) } else { range });
            }
        }
        None
    }

    fn is(&self, found: u8, sought: u8) -> bool {
        found == sought
            || self.base64 && matches!((found, sought), (b'-', b'+') | (b'_', b'/'))
            // A form writes a space like that.
            || !self.base64 && (found, sought) == (b'+', b' ')
    }

    fn touches(&self, hay: &[u8], range: &Range<usize>) -> bool {
        let in_word = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-')
                || !byte.is_ascii()
                || self.base64 && matches!(byte, b'+' | b'/')
        };
        range.start.checked_sub(1).and_then(|at| hay.get(at)).is_some_and(in_word)
            || hay.get(range.end).is_some_and(in_word)
    }
}

/// The base64 around `range`, whose ends tell of the secret, too.
fn whole_base64(hay: &[u8], range: Range<usize>) -> Range<usize> {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let before = hay[..range.start].iter().rev().take_while(|byte| inside(byte)).count();
    let after = hay[range.end..].iter().take_while(|byte| inside(byte)).count();
    let padding = hay[range.end + after..].iter().take_while(|byte| **byte == b'=').count();
    range.start - before..range.end + after + padding
}

/// Reads how many of the first bytes belong together in an encoding, and what they stand for.
type Unit = fn(&[u8]) -> Option<(usize, Vec<u8>)>;

/// A text, or what it is after an encoding of it was undone.
struct Layer {
    bytes: Vec<u8>,
    /// Where each byte comes from in the original text, and at last where that ends.
    origin: Vec<usize>,
}

impl Layer {
    fn plain(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), origin: (0..=text.len()).collect() }
    }

    /// The layer below; `None` when there is nothing to undo.
    fn decoded(&self, unit: Unit) -> Option<Self> {
        let mut below = Self { bytes: Vec::with_capacity(self.bytes.len()), origin: Vec::new() };
        let (mut at, mut changed) = (0, false);
        while let Some(first) = self.bytes.get(at) {
            let (length, bytes) = match unit(&self.bytes[at..]) {
                Some(found) => {
                    changed = true;
                    found
                }
                None => (1, vec![*first]),
            };
            below.origin.extend(std::iter::repeat_n(self.origin[at], bytes.len()));
            below.bytes.extend(bytes);
            at += length;
        }
        below.origin.push(self.origin[self.bytes.len()]);
        changed.then_some(below)
    }
}

/// Looks through a layer and all below it.
fn search(layer: &Layer, needles: &[Needle], deeper: usize, spans: &mut Vec<Range<usize>>) {
    for needle in needles {
        let mut from = 0;
        while let Some(found) = needle.find(&layer.bytes, from) {
            spans.push(layer.origin[found.start]..layer.origin[found.end]);
            from = found.end.max(from + 1);
        }
    }
    if deeper > 0 {
        for below in [percent as Unit, escape].into_iter().filter_map(|unit| layer.decoded(unit)) {
            search(&below, needles, deeper - 1, spans);
        }
    }
}

/// `%2F`.
fn percent(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let byte = hex(text.strip_prefix(b"%")?.get(..2)?)?;
    Some((3, vec![u8::try_from(byte).ok()?]))
}

/// `\/`, `\n`, `\u002f`, `\ud83d\ude00`.
fn escape(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let plain = match text.strip_prefix(b"\\")?.first()? {
        b'u' => {
            let unit = |text: &[u8]| u16::try_from(hex(text.strip_prefix(b"\\u")?.get(..4)?)?).ok();
            let first = unit(text)?;
            let pair: Vec<u16> = std::iter::once(first).chain(text.get(6..).and_then(unit)).collect();
            let character = char::decode_utf16(pair).next()?.ok()?;
            return Some((6 * character.len_utf16(), character.to_string().into_bytes()));
        }
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        other @ (b'"' | b'\\' | b'/') => *other,
        _ => return None,
    };
    Some((2, vec![plain]))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

/// `text` with the marker in place of what overlaps or touches.
fn replaced(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.sort_by_key(|span| span.start);
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for span in spans {
        let start = boundary_below(text, span.start);
        let end = (span.end..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        if start > copied || out.is_empty() {
            out.push_str(&text[copied..start]);
            out.push_str(REDACTED);
        }
        copied = copied.max(end);
    }
    out.push_str(&text[copied..]);
    out
}

/// The last boundary of characters at or before `at`.
fn boundary_below(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
