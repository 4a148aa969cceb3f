//! A line that never becomes longer than its bound, however much is written to it.

use std::fmt;

/// Collects what is formatted, up to a bound; then formatting ends with an error.
#[derive(Debug)]
pub struct CutLine {
    text: String,
    most: usize,
    is_cut: bool,
}

impl CutLine {
    /// An empty line of at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Self { text: String::new(), most, is_cut: false }
    }

    /// The text, with its line break.
    pub fn finish(mut self) -> String {
        if self.is_cut {
            self.text.push_str("…\n");
        }
        self.text
    }
}

impl fmt::Write for CutLine {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.most - self.text.len();
        if text.len() <= room && !self.is_cut {
            self.text.push_str(text);
            return Ok(());
        }
        if !self.is_cut {
            let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            self.text.push_str(&text[..end]);
            self.is_cut = true;
        }
        // Whoever formats stops here: what follows is not even looked at.
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn a_line_is_cut_off_at_its_bound_and_never_held_as_a_whole() {
        let mut line = CutLine::new(10);
        assert!(write!(line, "{}", "é".repeat(100)).is_err());
        assert!(line.write_str("x").is_err(), "nothing follows");
        assert!(line.text.capacity() < 100);
        assert_eq!(line.finish(), "ééééé…\n");
        let mut line = CutLine::new(10);
        assert!(line.write_str("123456789\n").is_ok());
        assert_eq!(line.finish(), "123456789\n");
    }
}
