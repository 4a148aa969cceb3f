//! Little on the wire, much in memory.

use flate2::{Compress, Compression, Crc, FlushCompress};

/// What one block of a bomb unpacks to, in bytes.
const BLOCK: usize = 1024 * 1024;

/// `text` with some megabytes of spaces after it, which JSON and event streams take for nothing, as a gzip file of some
/// kilobytes: whoever has no bound unpacks all of it, and finds it good.
///
/// # Panics
///
/// Not in practice: memory is always compressed.
pub fn gzip_bomb(text: &str, megabytes: usize) -> Vec<u8> {
    gzip_bomb_around(text, " ", megabytes, "")
}

/// The same with `filler` instead of spaces, over and over, and with `tail` after it.
///
/// # Panics
///
/// When `filler` does not fill a megabyte without a rest.
pub fn gzip_bomb_around(head: &str, filler: &str, megabytes: usize, tail: &str) -> Vec<u8> {
    assert!(!filler.is_empty() && BLOCK.is_multiple_of(filler.len()), "{filler:?}");
    // RFC 1952, 2.3: nothing but the method is said.
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    bomb.extend(block(head.as_bytes()));
    let filled = filler.repeat(BLOCK / filler.len()).into_bytes();
    let compressed = block(&filled);
    let (mut sum, mut each, mut last) = (Crc::new(), Crc::new(), Crc::new());
    sum.update(head.as_bytes());
    each.update(&filled);
    last.update(tail.as_bytes());
    for _ in 0..megabytes {
        bomb.extend_from_slice(&compressed);
        sum.combine(&each);
    }
    bomb.extend(block(tail.as_bytes()));
    sum.combine(&last);
    // The last block, which is empty.
    bomb.extend([3, 0]);
    bomb.extend(sum.sum().to_le_bytes());
    bomb.extend(sum.amount().to_le_bytes());
    bomb
}

/// A block that stands for itself: it refers to nothing before it, and ends with a whole byte.
fn block(bytes: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(bytes.len() + 64);
    let mut compress = Compress::new(Compression::fast(), false);
    compress.compress_vec(bytes, &mut block, FlushCompress::Full).expect("memory is compressed");
    block
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_bomb_is_small_and_unpacks_to_what_it_promises() {
        let bomb = gzip_bomb("{}", 3);
        assert!(bomb.len() < 64 * 1024, "{} bytes", bomb.len());
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(bomb.as_slice()).read_to_string(&mut unpacked).expect("it is one gzip file");
        assert_eq!((unpacked.len(), unpacked.trim_end()), (2 + 3 * BLOCK, "{}"));
        let mut unpacked = String::new();
        let bomb = gzip_bomb_around("[", "1,", 2, "2]");
        flate2::read::GzDecoder::new(bomb.as_slice()).read_to_string(&mut unpacked).expect("it is one gzip file");
        assert_eq!(unpacked, format!("[{}2]", "1,".repeat(BLOCK)));
    }
}
