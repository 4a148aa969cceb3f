//! The one place that prints: results go to stdout, prompts and problems to stderr.
//!
//! The bridge prints only a problem on stderr: its stdout belongs to MCP messages.

use std::io::{self, IsTerminal, Write};

use crate::problem::Problem;

use super::style::Style;

/// Prints the result of a command.
pub fn say(text: &str) {
    write(io::stdout().lock(), text);
}

/// Prints everything else: prompts, hints, problems.
pub fn tell(text: &str) {
    write(io::stderr().lock(), text);
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
        tell(&show(colors(&io::stderr())));
    } else {
        say(&show(colors(&io::stdout())));
    }
}

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

/// Whether stdin is a terminal, so that a person can be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Asks for one line without echoing it; just reads it if stdin is not a terminal.
pub fn ask_secret(prompt: &str) -> io::Result<crate::secret::Secret> {
    let interactive = is_interactive();
    if interactive {
        tell(echo::WARNING);
        tell(prompt);
    }
    let mut line = zeroize::Zeroizing::new(String::new());
    {
        let _quiet = echo::off();
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

/// A closed pipe (`planhat-mcp config | head`) is not a failure.
fn write(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
    let _ = to.flush();
}

#[cfg(unix)]
mod echo {
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    pub const WARNING: &str = "";

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

/// Without this, the line is visible while typed.
#[cfg(not(unix))]
mod echo {
    pub const WARNING: &str = "What you type here is shown. ";

    pub fn off() -> Option<()> {
        None
    }
}
