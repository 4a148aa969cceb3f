//! Words that people type because another program takes them so, in the form that the parser knows: an address without
//! `--url`, as mcp-remote has it, `help`, `version`, or `auth login`.
//!
//! Only a word that the parser refuses is looked at, so nothing that it knows changes its meaning.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::key::{Key, Takes};

/// How many words of one command line are put into another form: an address, and a group of commands, as a rule.
const REWRITES: usize = 4;

/// The command line with its value joined to each switch that may stand without one: in `--ipv4 login` the command is none.
/// `is_command` says whether a word is a command.
pub fn joined(args: impl IntoIterator<Item = OsString>, is_command: impl Fn(&str) -> bool) -> Vec<OsString> {
    let may_stand_alone = |word: &str| {
        let flags = Key::ALL.iter().filter_map(|key| key.info().flag);
        flags.filter(|flag| flag.takes == Takes::Truth).any(|flag| flag.name == word)
    };
    let mut args = args.into_iter().peekable();
    let mut joined: Vec<OsString> = Vec::new();
    while let Some(mut word) = args.next() {
        let next = args.peek().and_then(|next| next.to_str()).unwrap_or_default();
        if word.to_str().is_some_and(may_stand_alone) && (is_address(next) || is_command(next)) {
            word.push("=true");
        }
        joined.push(word);
    }
    joined
}

/// Parses these words, or what was meant by them; the error is about the first word that is not understood even so.
pub fn read<T>(args: Vec<OsString>, parse: impl Fn(&[OsString]) -> Result<T, clap::Error>) -> Result<T, clap::Error> {
    let (mut words, mut left) = (args, REWRITES);
    loop {
        match parse(&words) {
            Err(error) if left > 0 && is_refusal(&error) => match meant(&words, &error) {
                Some(others) => (words, left) = (others, left - 1),
                None => return Err(error),
            },
            read => return read,
        }
    }
}

fn is_refusal(error: &clap::Error) -> bool {
    !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// The word that the parser does not know.
fn refused(error: &clap::Error) -> Option<String> {
    // An address may stand where a command takes something else.
    let kinds: &[ContextKind] = match error.kind() {
        ErrorKind::InvalidValue => &[ContextKind::InvalidValue],
        _ => &[ContextKind::InvalidSubcommand, ContextKind::InvalidArg],
    };
    kinds.iter().find_map(|kind| match error.get(*kind)? {
        ContextValue::String(word) => Some(word.clone()),
        _ => None,
    })
}

/// The words with the one that was refused in the form that the parser knows; `None` when nothing is known that was meant by
/// it.
fn meant(words: &[OsString], error: &clap::Error) -> Option<Vec<OsString>> {
    let word = &*refused(error)?;
    let at = words.iter().skip(1).position(|found| found == word)? + 1;
    let (before, after) = (&words[..at], &words[at + 1..]);
    let with = |instead: &[String], after: &[OsString]| {
        Some([before, &instead.iter().map(OsString::from).collect::<Vec<_>>(), after].concat())
    };
    if is_address(word) {
        let port = after.first().and_then(|next| next.to_str()).filter(|next| next.parse::<u16>().is_ok());
        let mut instead = vec![format!("--url={word}")];
        instead.extend(port.map(|port| format!("--callback-port={port}")));
        return with(&instead, &after[usize::from(port.is_some())..]);
    }
    match word {
        "help" => with(&[], &[after, &["--help".into()]].concat()),
        "version" => with(&["--version".to_owned()], after),
        // A group of commands, as in `gh auth login`.
        "auth" if !after.is_empty() => with(&[], after),
        _ => None,
    }
}

/// An address, or a host that lacks only its `https://`, which the error for it says.
fn is_address(word: &str) -> bool {
    let host = word.split(['/', ':']).next().unwrap_or_default();
    word.contains("://") || host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        std::iter::once("planhat-mcp").chain(line.split(' ')).map(OsString::from).collect()
    }

    fn flags(line: &str) -> (Vec<(Key, String)>, bool) {
        let cli = Cli::read(words(line)).unwrap_or_else(|error| panic!("{line}: {error}"));
        (cli.options.flags().expect("no secret"), cli.command.is_some())
    }

    #[test]
    fn an_address_needs_no_option_and_a_number_after_it_is_the_callback_port() {
        let url = |text: &str| (Key::Url, text.to_owned());
        let port = (Key::CallbackPort, "3334".to_owned());
        for (line, expected, is_command) in [
            ("https://mcp.example.com/mcp", vec![url("https://mcp.example.com/mcp")], false),
            ("https://mcp.example.com/mcp 3334", vec![url("https://mcp.example.com/mcp"), port.clone()], false),
            (
                "--ipv4 http://localhost:9/mcp",
                vec![url("http://localhost:9/mcp"), (Key::Ipv4, "true".to_owned())],
                false,
            ),
            ("login https://a.example/mcp 3334", vec![url("https://a.example/mcp"), port], true),
            ("https://a.example/mcp login --restart", vec![url("https://a.example/mcp")], true),
            ("mcp.example.com/mcp", vec![url("mcp.example.com/mcp")], false),
            ("install cursor https://a.example/mcp --yes", vec![url("https://a.example/mcp")], true),
        ] {
            let (mut found, found_command) = flags(line);
            found.sort_by_key(|(key, _)| *key != Key::Url);
            assert_eq!((found, found_command), (expected, is_command), "{line}");
        }
    }

    #[test]
    fn a_switch_before_a_command_does_not_take_it_for_its_value() {
        assert_eq!(flags("--ipv4 login"), (vec![(Key::Ipv4, "true".to_owned())], true));
        assert_eq!(flags("--ipv4 whoami"), (vec![(Key::Ipv4, "true".to_owned())], true));
        assert_eq!(flags("login --ipv4"), (vec![(Key::Ipv4, "true".to_owned())], true));
        assert_eq!(flags("--ipv4 false login"), (vec![(Key::Ipv4, "false".to_owned())], true));
        assert_eq!(flags("--ipv4=false"), (vec![(Key::Ipv4, "false".to_owned())], false));
    }

    #[test]
    fn what_other_programs_call_it_is_understood() {
        use clap::error::ErrorKind;
        for line in ["auth login", "signin", "sign-in", "log-in"] {
            assert!(
                matches!(Cli::read(words(line)).expect(line).command, Some(crate::cli::args::Command::Login(_))),
                "{line}"
            );
        }
        for (line, command) in
            [("auth status", "status"), ("whoami", "status"), ("auth logout", "logout"), ("sign-out", "logout")]
        {
            let cli = Cli::read(words(line)).expect(line);
            let found = match cli.command {
                Some(crate::cli::args::Command::Status(_)) => "status",
                Some(crate::cli::args::Command::Logout(_)) => "logout",
                _ => "another",
            };
            assert_eq!(found, command, "{line}");
        }
        for (line, kind) in [
            ("help", ErrorKind::DisplayHelp),
            ("help login", ErrorKind::DisplayHelp),
            ("version", ErrorKind::DisplayVersion),
        ] {
            assert_eq!(Cli::read(words(line)).expect_err(line).kind(), kind, "{line}");
        }
    }

    #[test]
    fn the_error_is_about_what_is_not_understood_and_not_about_the_address() {
        for (line, blamed) in [
            ("frobnicate", "frobnicate"),
            ("auth", "auth"),
            ("auth frobnicate", "frobnicate"),
            ("https://a.example frobnicate", "frobnicate"),
            ("https://a.example --tennant demo", "--tennant"),
            ("https://a.example https://b.example", "--url"),
            ("--tennant demo", "--tenant"),
        ] {
            let error = Cli::read(words(line)).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            let is_blamed = first.contains(blamed) || error.to_string().contains(blamed) && !line.contains(blamed);
            assert!(is_blamed && !first.contains("a.example"), "{line}: {error}");
        }
    }
}
