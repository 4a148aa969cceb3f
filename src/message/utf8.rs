//! Text that is not quite UTF-8: a field that a server copied from a database in another encoding.

use bytes::Bytes;

use crate::limits::MAX_REPLACED_BYTES;

/// The same text with U+FFFD for each sequence that is no UTF-8, and every other byte as it came. What is hardly text at all
/// stays as it is, and is refused by its reader.
pub fn mended(text: Bytes) -> Bytes {
    if std::str::from_utf8(&text).is_ok() {
        return text;
    }
    let broken = text.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).take(MAX_REPLACED_BYTES + 1).count();
    if broken > MAX_REPLACED_BYTES {
        return text;
    }
    let mut mended = String::with_capacity(text.len() + broken * char::REPLACEMENT_CHARACTER.len_utf8());
    for chunk in text.utf8_chunks() {
        mended.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            mended.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Bytes::from(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_no_utf8_is_replaced_and_nothing_else_is_touched() {
        for (text, expected) in [
            (&b"{\"a\":\"caf\xe9\",\"n\":1.0e2}"[..], "{\"a\":\"caf\u{fffd}\",\"n\":1.0e2}"),
            (b"{\"a\":\"\xc3\"}", "{\"a\":\"\u{fffd}\"}"),
            (b"{\"a\":\"\xf0\x9f\"}", "{\"a\":\"\u{fffd}\"}"),
            (b"{\"a\":\"\xc3\xa9\"}", "{\"a\":\"\u{e9}\"}"),
        ] {
            assert_eq!(mended(Bytes::copy_from_slice(text)), expected);
        }
    }

    #[test]
    fn what_is_hardly_text_is_not_mended() {
        let binary = |bytes: usize| Bytes::from(vec![0xff; bytes]);
        assert_eq!(mended(binary(MAX_REPLACED_BYTES)).len(), 3 * MAX_REPLACED_BYTES);
        assert_eq!(mended(binary(MAX_REPLACED_BYTES + 1)), binary(MAX_REPLACED_BYTES + 1));
    }
}
