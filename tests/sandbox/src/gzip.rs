//! Little on the wire, much in memory.

use std::fmt;
use std::sync::Arc;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// What one block of a bomb unpacks to at most, in bytes.
const BLOCK_BYTES: usize = 256 * 1024;
const MIB: usize = 1024 * 1024;

/// A gzip file that repeats itself: some kilobytes that unpack to many megabytes. It is put together when it is sent, so
/// a server that has many of them holds little.
///
/// ```
/// use planhat_sandbox::Gzip;
///
/// let bomb = Gzip::new().text("[1").repeated(",1", 64).text("]");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Gzip {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Repeated { block: Arc<Block>, times: usize },
}

/// A block that stands for itself: it refers to nothing before it, and ends with a whole byte.
struct Block {
    compressed: Vec<u8>,
    sum: Crc,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("bytes", &self.compressed.len()).finish_non_exhaustive()
    }
}

impl Block {
    fn of(plain: &[u8], level: Compression) -> Self {
        let mut compressed = Vec::with_capacity(plain.len() + 64);
        let mut compress = Compress::new(level, false);
        compress.compress_vec(plain, &mut compressed, FlushCompress::Full).expect("memory is compressed");
        let mut sum = Crc::new();
        sum.update(plain);
        Self { compressed, sum }
    }
}

impl Gzip {
    /// An empty file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text; `{id}` in it becomes the request's id where the file is an answer.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.parts.push(Part::Text(text.to_owned()));
        self
    }

    /// Adds a text again and again, until it is about that many MiB.
    ///
    /// # Panics
    ///
    /// When the text is empty, or longer than 256 KiB.
    #[must_use]
    pub fn repeated(mut self, unit: &str, mebibytes: usize) -> Self {
        let in_block = BLOCK_BYTES / unit.len();
        assert!(in_block > 0, "longer than a block");
        let plain = unit.repeat(in_block);
        let times = (mebibytes * MIB).div_ceil(plain.len());
        self.parts.push(Part::Repeated { block: Arc::new(Block::of(plain.as_bytes(), Compression::best())), times });
        self
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        self.filled(str::to_owned)
    }

    /// The file, after each text has been through `fill`.
    pub(crate) fn filled(&self, fill: impl Fn(&str) -> String) -> Vec<u8> {
        // RFC 1952, 2.3: nothing but the method is said.
        let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        let mut sum = Crc::new();
        for part in &self.parts {
            let text;
            let (block, times) = match part {
                Part::Text(plain) => {
                    text = Block::of(fill(plain).as_bytes(), Compression::fast());
                    (&text, 1)
                }
                Part::Repeated { block, times } => (&**block, *times),
            };
            for _ in 0..times {
                file.extend_from_slice(&block.compressed);
                sum.combine(&block.sum);
            }
        }
        // The last block, which is empty.
        file.extend([3, 0]);
        file.extend(sum.sum().to_le_bytes());
        file.extend(sum.amount().to_le_bytes());
        file
    }
}

/// `text` with some megabytes of spaces after it, which JSON and event streams take for nothing, as a gzip file of some
/// kilobytes: whoever has no bound unpacks all of it, and finds it good.
pub fn gzip_bomb(text: &str, mebibytes: usize) -> Vec<u8> {
    Gzip::new().text(text).repeated(" ", mebibytes).bytes()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unpacked(file: &[u8]) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("it is one gzip file");
        text
    }

    #[test]
    fn a_bomb_is_small_and_unpacks_to_what_it_promises() {
        let bomb = gzip_bomb("{}", 3);
        assert!(bomb.len() < 16 * 1024, "{} bytes", bomb.len());
        let text = unpacked(&bomb);
        assert_eq!((text.len(), text.trim_end()), (2 + 3 * MIB, "{}"));
    }

    #[test]
    fn a_repeated_text_is_not_cut_anywhere_and_what_stands_around_it_is_filled_in() {
        let file = Gzip::new().text("[{id}").repeated(",12", 1).text("]").filled(|text| text.replace("{id}", "7"));
        let text = unpacked(&file);
        let numbers: Vec<u32> = serde_json::from_str(&text).expect("an array of numbers");
        assert!(numbers.len() * 3 >= MIB, "{} of them", numbers.len());
        assert_eq!((numbers[0], numbers.iter().skip(1).all(|number| *number == 12)), (7, true));
    }
}
