//! The one place that prints: results go to stdout, prompts and problems to stderr.
//!
//! The bridge prints only a problem on stderr: its stdout belongs to MCP messages.
//!
//! Whatever a text holds, only its lines and this program's own colors reach the terminal as they are ([`guarded`]).

use std::io::{self, IsTerminal, Write};

use crate::limits::PRINTED_LINE_BYTES;
use crate::problem::Problem;
use crate::secret::push_visible;

use super::style::Style;

/// Prints the result of a command.
pub fn say(text: &str) {
    let stdout = io::stdout();
    let text = guarded(text, colors(&stdout));
    write(stdout.lock(), &text);
}

/// Prints, byte for byte, what this program itself has made for another to read.
pub fn say_bytes(bytes: &[u8]) {
    // A reader that has seen enough is no failure.
    let _ = io::stdout().lock().write_all(bytes);
}

/// Prints everything else: prompts, hints, problems.
pub fn tell(text: &str) {
    let stderr = io::stderr();
    let text = guarded(text, colors(&stderr));
    write(stderr.lock(), &text);
}

/// Explains a problem.
pub fn explain(problem: &Problem) {
    tell(&problem.to_terminal(colors(&io::stderr())));
}

/// Prints clap's help, version or complaint where it belongs.
pub fn clap(error: &clap::Error) {
    let rendered = error.render();
    let show = |colors: bool| if colors { rendered.ansi().to_string() } else { rendered.to_string() };
    if error.use_stderr() {
        tell(&without_planhat_secrets(&show(colors(&io::stderr()))));
    } else {
        say(&show(colors(&io::stdout())));
    }
}

/// A refusal without Planhat's client secrets, which begin with `sk_`: it quotes what was typed, and a client keeps what is on
/// stderr.
fn without_planhat_secrets(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("sk_") {
        let (before, secret) = rest.split_at(at + 3);
        let end = secret.find(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)).unwrap_or(secret.len());
        out.push_str(before);
        out.push_str("...");
        rest = &secret[end..];
    }
    out + rest
}

/// The form of what `--json` prints; a higher number is one that programs have to be changed for.
pub const JSON_SCHEMA: u32 = 1;

/// The style of results.
pub fn style() -> Style {
    Style::new(colors(&io::stdout()))
}

/// Asks whether to continue; without a terminal the answer is no.
pub fn confirm(question: &str) -> bool {
    if !is_interactive() {
        return false;
    }
    tell(question);
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Asks whether to go on with what somebody has just asked for, so Enter means yes; without a terminal the answer is no.
pub fn agree(question: &str) -> bool {
    if !is_interactive() {
        return false;
    }
    tell(question);
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.is_ok_and(|bytes| bytes > 0) && matches!(line.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes")
}

/// Whether stdin is a terminal, so that a person can be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Whether a person has typed the command: stdin or stderr is a terminal. With one of them in a pipe, as in `pass show x |
/// planhat-mcp login`, the other says so. MCP clients give pipes to both.
pub fn is_typed() -> bool {
    is_interactive() || io::stderr().is_terminal()
}

/// Asks for one line without echoing it; just reads it if stdin is not a terminal.
pub fn ask_secret(prompt: &str) -> io::Result<crate::secret::Secret> {
    let interactive = is_interactive();
    let mut line = zeroize::Zeroizing::new(String::new());
    {
        // Before the prompt: what is typed as soon as it stands there is hidden too.
        let quiet = echo::off();
        if interactive {
            if quiet.is_none() {
                tell("What you type will be visible. ");
            }
            tell(prompt);
        }
        io::stdin().read_line(&mut line)?;
    }
    if interactive {
        tell("\n");
    }
    Ok(line.trim().into())
}

/// Colors, if this is a terminal that has them and the user has not opted out (no-color.org).
fn colors(stream: &impl IsTerminal) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && stream.is_terminal()
}

/// `text` as it may be written: lines of bounded length in which nothing hides, and with `colors` the attributes that this
/// program and clap use.
pub fn guarded(text: &str, colors: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let start = out.len();
        let mut rest = line.strip_suffix('\n').unwrap_or(line);
        while let Some(c) = rest.chars().next() {
            if out.len() - start > PRINTED_LINE_BYTES {
                out.push('…');
                break;
            }
            match attributes(rest).filter(|_| colors) {
                Some(length) => {
                    out.push_str(&rest[..length]);
                    rest = &rest[length..];
                }
                None => {
                    push_visible(&mut out, c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        if line.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}

/// The length of the attributes that `text` starts with, such as `ESC [1;31m`: colors, bold, faint and underlined, but none
/// that hides text.
fn attributes(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("\u{1b}[")?;
    let (codes, _) = inner.split_at_checked(inner.find('m')?)?;
    let is_known = |code| matches!(code, "0" | "1" | "2" | "4" | "31" | "32" | "33");
    codes.split(';').all(is_known).then_some(codes.len() + 3)
}

/// A closed pipe (`planhat-mcp config | head`) is not a failure.
fn write(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
    let _ = to.flush();
}

#[cfg(unix)]
mod echo {
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// Turns the terminal's echo back on when dropped.
    pub struct Quiet(Termios);

    pub fn off() -> Option<Quiet> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &quiet).ok()?;
        Some(Quiet(before))
    }

    impl Drop for Quiet {
        fn drop(&mut self) {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
        }
    }
}

#[cfg(windows)]
mod echo {
    use winapi_util::HandleRef;
    use winapi_util::console::{mode, set_mode};

    /// `ENABLE_ECHO_INPUT`.
    const ECHO: u32 = 0x4;

    /// Turns the console's echo back on when dropped.
    pub struct Quiet(u32);

    /// `None` where stdin is no console of Windows, such as a terminal of MSYS2: nobody here can hide what is typed there.
    pub fn off() -> Option<Quiet> {
        let before = mode(HandleRef::stdin()).ok()?;
        set_mode(HandleRef::stdin(), before & !ECHO).ok()?;
        Some(Quiet(before))
    }

    impl Drop for Quiet {
        fn drop(&mut self) {
            let _ = set_mode(HandleRef::stdin(), self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_lines_and_our_own_colors_reaches_a_terminal_as_it_is() {
        let hostile = "a\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}2J\u{202e}\u{200f}\rb\u{1b}[8mhidden\u{1b}[38;5;1m\u{1b}[m";
        for colors in [false, true] {
            let shown = guarded(hostile, colors);
            assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{200f}', '\r']), "{shown:?}");
            assert!(shown.contains(r"\u001b[2J") && shown.contains(r"\u202e") && shown.contains("hidden"), "{shown}");
        }
        let ours = format!("{}\n{}\n", Style::COLORED.bad("x"), Style::COLORED.quiet("å"));
        assert_eq!(guarded(&ours, true), ours);
        assert!(!guarded(&ours, false).contains('\u{1b}'));
    }

    #[test]
    fn json_that_is_printed_stays_json_with_the_same_content() {
        let value = serde_json::json!({ "person": "x\u{1b}\u{202e}\u{9b}\u{e0041}\u{2028}" });
        let shown = guarded(&serde_json::to_string_pretty(&value).expect("JSON"), false);
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), value);
    }

    #[test]
    fn a_printed_line_is_bounded_and_the_next_one_stays() {
        let shown = guarded(&format!("{}\nnext\n", "x".repeat(10 * PRINTED_LINE_BYTES)), true);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[0].len() <= PRINTED_LINE_BYTES + 10 && lines[1] == "next", "{}", lines.len());
    }

    #[test]
    fn the_help_of_the_command_line_keeps_its_attributes() {
        let Err(error) = crate::cli::Cli::read(["planhat-mcp", "--help"].map(Into::into)) else {
            panic!("help is no command")
        };
        let ansi = error.render().ansi().to_string();
        assert_eq!(guarded(&ansi, true), ansi);
    }
}
