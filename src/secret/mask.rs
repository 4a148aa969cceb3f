//! Owns the step from a server's words to what may be shown of them.
//!
//! A server may quote what it was sent: "Invalid access token: eyJ…". [`Secrets`] holds the secrets of one exchange;
//! [`Secrets::words`] is the only way to [`ServerWords`], in which none of them remains, however the server quoted it:
//! verbatim, percent-encoded (RFC 3986, 2.1), escaped as in JSON (RFC 8259, 7), as in HTML or as in Rust's `Debug`, in
//! hexadecimal or in either alphabet of base64 (RFC 4648, 4, 5 and 8), alone or inside a longer string, as in Basic
//! credentials (RFC 7617, 2), or nested in one another. Nothing else hides in them, either ([`visible`]).

use std::fmt;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::encodings::{self, Unit};
use super::held::{self, SHORTEST_LISTED_BYTES};
use super::visible::visible_up_to;
use super::{REDACTED, Secret};
use crate::limits::{SEARCHED_WORDS_BYTES, SHOWN_WORDS_CHARS};

/// The shortest secret, in bytes, that is masked even inside a word: a shorter one may be part of any word.
const SHORTEST_INSIDE_WORD_BYTES: usize = 8;
/// This many leading bytes count as the whole secret: servers truncate what they quote.
const RECOGNISED_PREFIX_BYTES: usize = 24;
/// How many nested encodings are undone.
const NESTED_ENCODINGS: usize = 3;

/// The secrets of one exchange: what was sent, and what came back.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Vec<Sought>);

/// A secret, and the forms to look for.
#[derive(Debug, Clone)]
struct Sought {
    secret: Secret,
    /// Whether only its base64 form is secret: a Basic pair starts with a client id, which is public.
    encoded_only: bool,
}

impl Secrets {
    /// Nothing secret was sent.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a secret; an empty one is ignored.
    pub fn add(&mut self, secret: &str) {
        if !secret.is_empty() {
            self.0.push(Sought { secret: Secret::unlisted(secret.to_owned()), encoded_only: false });
        }
    }

    /// Adds a secret and its Basic pair, `name:secret`.
    pub fn add_pair(&mut self, name: &str, secret: &str) {
        self.add(secret);
        if !secret.is_empty() {
            let pair = Secret::unlisted(format!("{name}:{secret}"));
            self.0.push(Sought { secret: pair, encoded_only: true });
        }
    }

    /// The server's words without the secrets of the exchange, to be shown: no more than [`SHOWN_WORDS_CHARS`], and
    /// nothing hides in them.
    pub fn words(&self, text: &str) -> ServerWords {
        // What follows is not shown, and costs time to look through.
        let text = &text[..boundary_below(text, SEARCHED_WORDS_BYTES)];
        ServerWords(visible_up_to(&self.masked(text), SHOWN_WORDS_CHARS))
    }

    /// The whole text without the secrets of the exchange, otherwise as it is: to be used, not to be shown.
    pub fn masked(&self, text: &str) -> String {
        without(&self.0.iter().flat_map(Needle::all).collect::<Vec<_>>(), text, NESTED_ENCODINGS)
    }
}

/// `text` without any secret that this process holds, verbatim or encoded once as URLs, JSON and HTML do it: what can be
/// afforded for every text that is shown, whichever exchange it is from.
pub fn without_held_secrets(text: &str) -> String {
    if text.len() < SHORTEST_LISTED_BYTES {
        return text.to_owned();
    }
    let held = held::all();
    // What begins an encoded character; most texts have none.
    let nested = usize::from(text.contains(['%', '\\', '&']));
    // What only begins alike may be something else: a client id and a token that are both JWTs, or a token that begins with
    // the client id.
    let needle = |secret: &str| Needle { by_beginning: false, ..Needle::plain(secret) };
    without(&held.iter().map(|secret| needle(&secret.0)).collect::<Vec<_>>(), text, nested)
}

fn without(needles: &[Needle], text: &str, nested: usize) -> String {
    if needles.is_empty() {
        return text.to_owned();
    }
    let mut spans = Vec::new();
    search(&Layer::plain(text), needles, nested, &mut spans);
    replaced(text, spans)
}

/// Text that a server said, fit to be shown: without the secrets of its exchange, without anything that hides, and of
/// bounded length.
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

impl PartialEq<&str> for ServerWords {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<String> for ServerWords {
    fn eq(&self, other: &String) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for ServerWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One form of a secret to look for.
struct Needle {
    bytes: Secret<Vec<u8>>,
    form: Form,
    /// Whether it matches whole words only.
    whole_word: bool,
    /// Whether its beginning counts for it: servers truncate what they quote.
    by_beginning: bool,
}

/// How a needle writes the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is; forms write a space as `+`.
    Plain,
    /// In the standard alphabet of base64; it also matches the URL-safe one, and masks the whole word around it.
    Base64,
    /// In hexadecimal digits of either case.
    Hex,
}

impl Needle {
    fn plain(secret: &str) -> Self {
        let whole_word = secret.len() < SHORTEST_INSIDE_WORD_BYTES;
        Self { bytes: Secret::new(secret.as_bytes().to_vec()), form: Form::Plain, whole_word, by_beginning: true }
    }

    fn all(sought: &Sought) -> Vec<Self> {
        let secret = sought.secret.expose().as_bytes();
        let whole_word = secret.len() < SHORTEST_INSIDE_WORD_BYTES;
        let mut all = Vec::new();
        if !sought.encoded_only {
            all.push(Self::plain(sought.secret.expose()));
        }
        if !whole_word {
            let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            all.push(Self { bytes: Secret::new(digits.into_bytes()), form: Form::Hex, whole_word, by_beginning: true });
        }
        // Base64 turns three bytes into four characters, so the encoding of a secret depends on how many bytes precede
        // it; only its middle part is the same whatever surrounds it.
        for (before, start) in [(0, 0), (1, 2), (2, 3)].into_iter().take(if whole_word { 1 } else { 3 }) {
            let mut shifted = Secret::new(vec![0; before]).expose().clone();
            shifted.extend_from_slice(secret);
            let shifted = Secret::new(shifted);
            let mut encoded = STANDARD_NO_PAD.encode(shifted.expose()).into_bytes();
            if !whole_word {
                encoded.truncate(shifted.expose().len() * 8 / 6);
                encoded.drain(..start);
            }
            all.push(Self { bytes: Secret::new(encoded), form: Form::Base64, whole_word, by_beginning: true });
        }
        all
    }

    /// Its first occurrence in `hay` at or after `from`.
    fn find(&self, hay: &[u8], from: usize) -> Option<Range<usize>> {
        let needle = self.bytes.expose();
        let mut at = from;
        while let Some(candidate) = self.candidate(hay, at) {
            at = candidate;
            let same = hay[at..].iter().zip(needle).take_while(|(found, sought)| self.is(**found, **sought)).count();
            let range = at..at + same;
            // A secret cut off by the end of the text still gives part of itself away.
            let cut = range.end == hay.len() && same >= SHORTEST_INSIDE_WORD_BYTES;
            let is_begun = self.by_beginning && (same >= RECOGNISED_PREFIX_BYTES || cut);
            let found =
                same == needle.len() && !(self.whole_word && self.touches(hay, &range)) || is_begun && !self.whole_word;
            if found {
                return Some(if self.form == Form::Base64 { whole_base64(hay, range) } else { range });
            }
            at += 1;
        }
        None
    }

    /// The first place at or after `from` where it may begin.
    fn candidate(&self, hay: &[u8], from: usize) -> Option<usize> {
        let needle = self.bytes.expose();
        match needle.get(..SHORTEST_INSIDE_WORD_BYTES) {
            Some(start) if self.form == Form::Plain && !start.contains(&b' ') => {
                memchr::memmem::find(hay.get(from..)?, start).map(|found| from + found)
            }
            _ => (from < hay.len()).then_some(from),
        }
    }

    fn is(&self, found: u8, sought: u8) -> bool {
        found == sought
            || match self.form {
                Form::Plain => (found, sought) == (b'+', b' '),
                Form::Base64 => matches!((found, sought), (b'-', b'+') | (b'_', b'/')),
                Form::Hex => found.to_ascii_lowercase() == sought,
            }
    }

    fn touches(&self, hay: &[u8], range: &Range<usize>) -> bool {
        let in_word = |byte: &u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-')
                || !byte.is_ascii()
                || self.form == Form::Base64 && matches!(byte, b'+' | b'/')
        };
        range.start.checked_sub(1).and_then(|at| hay.get(at)).is_some_and(in_word)
            || hay.get(range.end).is_some_and(in_word)
    }
}

/// Extends `range` over the base64 around it, whose ends reveal parts of the secret, too.
fn whole_base64(hay: &[u8], range: Range<usize>) -> Range<usize> {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let before = hay[..range.start].iter().rev().take_while(|byte| inside(byte)).count();
    let after = hay[range.end..].iter().take_while(|byte| inside(byte)).count();
    let padding = hay[range.end + after..].iter().take_while(|byte| **byte == b'=').count();
    range.start - before..range.end + after + padding
}

/// A text, or its decoded form.
struct Layer {
    bytes: Vec<u8>,
    /// The position of each byte in the original text, and finally that text's length.
    origin: Vec<usize>,
}

impl Layer {
    fn plain(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), origin: (0..=text.len()).collect() }
    }

    /// The decoded layer; `None` when there is nothing to decode.
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

/// Searches a layer and all layers decoded from it.
fn search(layer: &Layer, needles: &[Needle], deeper: usize, spans: &mut Vec<Range<usize>>) {
    for needle in needles {
        let mut from = 0;
        while let Some(found) = needle.find(&layer.bytes, from) {
            spans.push(layer.origin[found.start]..layer.origin[found.end]);
            from = found.end.max(from + 1);
        }
    }
    if deeper > 0 {
        for below in encodings::ALL.iter().filter_map(|unit| layer.decoded(*unit)) {
            search(&below, needles, deeper - 1, spans);
        }
    }
}

/// `text` with one marker for each run of spans that overlap or touch.
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

/// The last character boundary at or before `at`.
fn boundary_below(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
