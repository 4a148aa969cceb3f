//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use planhat_sandbox::attack::Attack;
use planhat_sandbox::habit::Habit;

/// The bridge's own default, which is what an administrator would have registered.
const CALLBACK_PORT: u16 = 7526;

pub(crate) const HELP: &str = "\
A made-up Planhat tenant on this machine, to see the bridge work without a Planhat account.

Usage: planhat-sandbox <command>

  tour [--open] [--bridge FILE]
        Starts a tenant, runs the bridge against it as an MCP client would, and tells what happens. Signs in by itself;
        with --open in your browser, where you press Allow.

  serve [--callback-port N] [--api-port N] [--ws-port N] [--open-consent] [--no-permissions]
        [--token-lifetime SECONDS] [--test-tools] [--tls]
        Runs a tenant until Ctrl-C or the end of input, and prints how to point the bridge at it. The client's redirect
        URL is http://127.0.0.1:N/callback, where N is 7526 unless given. --open-consent grants without asking;
        --no-permissions leaves the client's Permissions tab empty; --tls speaks https,
        with a certificate of a CA that it prints the file of.

  hostile --list
        Shows every attack that a server can play: what it does, and what must hold all the same.

  hostile NAME [NAME...] [--callback-port N] [--api-port N] [--short]
        Runs a tenant that plays these attacks, until Ctrl-C or the end of input, and prints how to point the bridge at it
        and how to meet each of them. --short plays them with a twentieth of the megabytes, for a build without
        optimisation.

  habit --list
        Shows every habit of real servers that can be played: the letter of its kind, its name, and who is known for it.

  habit NAME [--callback-port N] [--api-port N]
        Runs a tenant that has this habit, until Ctrl-C or the end of input, and prints what to type to meet it and what
        must hold.

  browse URL
        Opens a sign-in link and presses Allow, without a browser. BROWSER may name this program: a link alone is enough.";

#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Serve(ServeOptions),
    Tour(TourOptions),
    /// The list of attacks.
    Attacks,
    Hostile(HostileOptions),
    /// The list of habits.
    Habits,
    Habit(HabitOptions),
    Browse(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServeOptions {
    pub(crate) callback_port: u16,
    pub(crate) api_port: u16,
    pub(crate) ws_port: u16,
    pub(crate) open_consent: bool,
    pub(crate) no_permissions: bool,
    pub(crate) token_lifetime: Option<u64>,
    pub(crate) test_tools: bool,
    pub(crate) tls: bool,
}

#[derive(Debug)]
pub(crate) struct HostileOptions {
    pub(crate) attacks: Vec<&'static Attack>,
    pub(crate) callback_port: u16,
    pub(crate) api_port: u16,
    pub(crate) short: bool,
}

#[derive(Debug)]
pub(crate) struct HabitOptions {
    pub(crate) habit: &'static Habit,
    pub(crate) callback_port: u16,
    pub(crate) api_port: u16,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TourOptions {
    pub(crate) open: bool,
    pub(crate) bridge: Option<PathBuf>,
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    let Some(command) = arguments.next() else { return Ok(Command::Help) };
    match command.as_str() {
        "tour" => tour(arguments),
        "serve" => serve(arguments),
        "hostile" => hostile(arguments),
        "habit" => habit(arguments),
        "browse" => arguments.next().map(Command::Browse).ok_or_else(|| "browse needs a URL".into()),
        "help" | "-h" | "--help" => Ok(Command::Help),
        url if url.starts_with("http://") || url.starts_with("https://") => Ok(Command::Browse(command)),
        other => Err(unknown(other)),
    }
}

fn tour(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = TourOptions::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--open" => options.open = true,
            "--bridge" => options.bridge = Some(value(&argument, arguments.next())?),
            "-h" | "--help" => return Ok(Command::Help),
            other => return Err(unknown(other)),
        }
    }
    Ok(Command::Tour(options))
}

fn serve(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = ServeOptions {
        callback_port: CALLBACK_PORT,
        api_port: 0,
        ws_port: 0,
        open_consent: false,
        no_permissions: false,
        token_lifetime: None,
        test_tools: false,
        tls: false,
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--callback-port" => options.callback_port = value(&argument, arguments.next())?,
            "--api-port" => options.api_port = value(&argument, arguments.next())?,
            "--ws-port" => options.ws_port = value(&argument, arguments.next())?,
            "--token-lifetime" => options.token_lifetime = Some(value(&argument, arguments.next())?),
            "--open-consent" => options.open_consent = true,
            "--no-permissions" => options.no_permissions = true,
            "--test-tools" => options.test_tools = true,
            "--tls" => options.tls = true,
            "-h" | "--help" => return Ok(Command::Help),
            other => return Err(unknown(other)),
        }
    }
    Ok(Command::Serve(options))
}

fn hostile(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = HostileOptions { attacks: Vec::new(), callback_port: CALLBACK_PORT, api_port: 0, short: false };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => return Ok(Command::Attacks),
            "--callback-port" => options.callback_port = value(&argument, arguments.next())?,
            "--api-port" => options.api_port = value(&argument, arguments.next())?,
            "--short" => options.short = true,
            "-h" | "--help" => return Ok(Command::Help),
            name => {
                let unknown = || format!("{name:?} is no attack; see planhat-sandbox hostile --list");
                options.attacks.push(Attack::find(name).ok_or_else(unknown)?);
            }
        }
    }
    if options.attacks.is_empty() {
        return Err("hostile needs the name of an attack; see planhat-sandbox hostile --list".to_owned());
    }
    Ok(Command::Hostile(options))
}

fn habit(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut found, mut callback_port, mut api_port) = (None, CALLBACK_PORT, 0);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => return Ok(Command::Habits),
            "--callback-port" => callback_port = value(&argument, arguments.next())?,
            "--api-port" => api_port = value(&argument, arguments.next())?,
            "-h" | "--help" => return Ok(Command::Help),
            _ if found.is_some() => return Err("habit takes one name".to_owned()),
            name => {
                let unknown = || format!("{name:?} is no habit; see planhat-sandbox habit --list");
                found = Some(Habit::find(name).ok_or_else(unknown)?);
            }
        }
    }
    let missing = || "habit needs the name of one; see planhat-sandbox habit --list".to_owned();
    Ok(Command::Habit(HabitOptions { habit: found.ok_or_else(missing)?, callback_port, api_port }))
}

fn value<T: FromStr>(option: &str, given: Option<String>) -> Result<T, String> {
    let given = given.ok_or_else(|| format!("{option} needs a value"))?;
    given.parse().map_err(|_| format!("{option} does not take {given:?}"))
}

fn unknown(argument: &str) -> String {
    format!("{argument:?} is not known; see planhat-sandbox --help")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_link_alone_is_browsed() {
        let Ok(Command::Browse(url)) = parsed("http://127.0.0.1:1/x") else { panic!("it is browsed") };
        assert_eq!(url, "http://127.0.0.1:1/x");
    }

    #[test]
    fn attacks_are_named_and_there_may_be_several() {
        let Ok(Command::Hostile(options)) = parsed("hostile marks --short get-401") else { panic!("it is known") };
        let names: Vec<_> = options.attacks.iter().map(|attack| attack.name).collect();
        assert_eq!((names, options.short), (vec!["marks", "get-401"], true));
        assert!(matches!(parsed("hostile --list"), Ok(Command::Attacks)));
        assert_eq!(
            parsed("hostile bomb").expect_err("no such attack"),
            "\"bomb\" is no attack; see planhat-sandbox hostile --list"
        );
        assert!(parsed("hostile").is_err());
    }

    #[test]
    fn one_habit_is_named_at_a_time() {
        let Ok(Command::Habit(options)) = parsed("habit old-http-sse --api-port 4000") else { panic!("it is known") };
        assert_eq!((options.habit.name, options.api_port), ("old-http-sse", 4000));
        assert!(matches!(parsed("habit --list"), Ok(Command::Habits)));
        for wrong in ["habit", "habit biting-nails", "habit no-sign-in old-http-sse"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert_eq!(
            parsed("tour --opne").expect_err("a misspelling"),
            "\"--opne\" is not known; see planhat-sandbox --help"
        );
        assert_eq!(parsed("serve --api-port x").expect_err("no port"), "--api-port does not take \"x\"");
        assert_eq!(parsed("serve --api-port").expect_err("no value"), "--api-port needs a value");
    }
}
