//! Reads the user's configuration file: TOML, with only known keys, and the line and column of every value.
//!
//! ```toml
//! client_id = "pk_..."
//!
//! [profiles.demo]            # applies with --profile demo
//! tenant = "demo"
//! client_id = "pk_..."
//! ```

use std::borrow::Cow;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::files;
use crate::problem::{Problem, ProblemId};

use super::key::{Key, suggestion};
use super::origin::Origin;
use super::raw_setting::RawSetting;

/// The key of an organisation's file that lists what a user cannot change.
pub const LOCKED: &str = "locked";

/// The content of the file.
#[derive(Debug, Default)]
pub struct ConfigFile {
    /// The keys at the top, which apply to every profile.
    pub common: Vec<RawSetting>,
    /// The keys of each `[profiles.NAME]`.
    pub profiles: Vec<(String, Vec<RawSetting>)>,
}

/// Reads the file. A missing file counts as empty, unless the user named it.
pub fn read(path: &Path, is_named: bool) -> Result<ConfigFile, Problem> {
    match files::read_given_text(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound && !is_named => Ok(ConfigFile::default()),
        Err(error) => Err(Problem::new(ProblemId::ConfigUnreadable).with("file", path.display()).with("detail", error)),
    }
}

/// Reads an organisation's file, with what it locks.
#[cfg(not(windows))]
pub fn read_organisation(path: &Path) -> Result<(ConfigFile, Vec<(Key, Origin)>), Problem> {
    match files::read_given_text(path) {
        Ok(text) => parse_organisation(path, &text),
        Err(error) => Err(Problem::new(ProblemId::ConfigUnreadable).with("file", path.display()).with("detail", error)),
    }
}

/// Parses the text of the file at `path`.
pub fn parse(path: &Path, text: &str) -> Result<ConfigFile, Problem> {
    parse_with(path, text, &mut |_, _, _| Ok(false))
}

/// Parses an organisation's file.
pub fn parse_organisation(path: &Path, text: &str) -> Result<(ConfigFile, Vec<(Key, Origin)>), Problem> {
    let mut locked = Vec::new();
    let file = parse_with(path, text, &mut |place, name, value| {
        if name.get_ref() != LOCKED {
            return Ok(false);
        }
        let expected = "a list of settings, such as [\"client_id\", \"callback_port\"]";
        let DeValue::Array(names) = value.get_ref() else { return Err(place.wrong(name, expected)) };
        for name in names.iter() {
            let origin = place.origin(Some(name.span()));
            let key = name.get_ref().as_str().and_then(Key::by_name);
            let problem = || Problem::new(ProblemId::BadValue).with("setting", LOCKED).with("expected", expected);
            locked.push((key.ok_or_else(|| problem().with("origin", &origin))?, origin));
        }
        Ok(true)
    })?;
    Ok((file, locked))
}

/// Takes a member at the top, if it is its own.
type Taker<'a> = dyn FnMut(&Place<'_>, &Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>) -> Result<bool, Problem> + 'a;

fn parse_with(path: &Path, text: &str, taker: &mut Taker<'_>) -> Result<ConfigFile, Problem> {
    // Windows editors often start a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let place = Place { path, text };
    let table = DeTable::parse(text).map_err(|error| place.syntax(&error))?;
    let mut file = ConfigFile::default();
    for (name, value) in table.get_ref() {
        if taker(&place, name, value)? {
            continue;
        }
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("profiles", DeValue::Table(profiles)) => {
                for (profile, keys) in profiles {
                    let DeValue::Table(keys) = keys.get_ref() else {
                        return Err(place.wrong(profile, "a table, such as [profiles.demo]"));
                    };
                    if let Some((name, _)) = keys.iter().find(|(name, _)| name.get_ref() == Key::Profile.info().name) {
                        return Err(Problem::new(ProblemId::ConfigUnknownKey)
                            .with("origin", place.origin(Some(name.span())))
                            .with("key", "profile (the name of the table is the profile)"));
                    }
                    let keys =
                        keys.iter().map(|(name, value)| place.raw_setting(name, value)).collect::<Result<_, _>>()?;
                    file.profiles.push((profile.get_ref().to_string(), keys));
                }
            }
            ("profiles", _) => return Err(place.wrong(name, "a table, such as [profiles.demo]")),
            _ => file.common.push(place.raw_setting(name, value)?),
        }
    }
    Ok(file)
}

struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn origin(&self, span: Option<Range<usize>>) -> Origin {
        let before = self.text.get(..span.map_or(0, |span| span.start)).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Origin::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn raw_setting(
        &self,
        name: &Spanned<impl AsRef<str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<RawSetting, Problem> {
        let text = name.get_ref().as_ref();
        let key_origin = self.origin(Some(name.span()));
        let Some(key) = Key::by_name(text) else {
            let problem = Problem::new(ProblemId::ConfigUnknownKey).with("key", text).with("origin", key_origin);
            return Err(match suggestion(text) {
                Some(suggestion) => problem.with("suggestion", suggestion),
                None => problem,
            });
        };
        if key.is_secret() {
            return Err(Problem::new(ProblemId::ConfigHoldsSecret).with("key", text).with("origin", key_origin));
        }
        let origin = self.origin(Some(value.span()));
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            other => {
                return Err(Problem::new(ProblemId::BadValue)
                    .with("setting", key.info().name)
                    .with("origin", origin)
                    .with("found", format_args!("a TOML {}", other.type_str()))
                    .with("expected", key.info().expected));
            }
        };
        Ok(RawSetting::new(key, &text, origin))
    }

    fn wrong(&self, name: &Spanned<impl AsRef<str>>, expected: &str) -> Problem {
        Problem::new(ProblemId::BadValue)
            .with("setting", name.get_ref().as_ref())
            .with("origin", self.origin(Some(name.span())))
            .with("expected", expected)
    }

    /// The parser reports the error on one line and what it expected on the next.
    fn syntax(&self, error: &toml::de::Error) -> Problem {
        let (detail, expected) = match error.message().split_once("expected ") {
            Some((detail, expected)) => (detail.trim().trim_end_matches([',', ':']), Some(expected)),
            None => (error.message().trim(), None),
        };
        let mut problem = Problem::new(ProblemId::ConfigSyntax)
            .with("file", self.path.display())
            .with("origin", self.origin(error.span()))
            .with("detail", detail);
        if let Origin::File { line, column, .. } = self.origin(error.span()) {
            problem = problem.with("line", line).with("column", column);
        }
        match expected {
            Some(expected) => problem.with("expected", expected),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<ConfigFile, Problem> {
        parse(Path::new("/c/config.toml"), text)
    }

    fn problem(text: &str) -> Problem {
        parsed(text).expect_err("the text is wrong")
    }

    #[test]
    fn values_carry_their_line_and_column() {
        let file = parsed("# mine\ntenant = \"demo\"\n\n[profiles.acme]\ncallback_port = 7527\n").expect("valid");
        assert_eq!(file.common.len(), 1);
        assert_eq!(file.common[0].origin.to_string(), "/c/config.toml:2:10");
        let (name, keys) = &file.profiles[0];
        assert_eq!((name.as_str(), keys[0].text.expose().as_str()), ("acme", "7527"));
        assert_eq!(keys[0].origin.to_string(), "/c/config.toml:5:17");
    }

    #[test]
    fn broken_toml_names_the_file_the_line_and_what_was_expected() {
        let problem = problem("tenant = \"demo\"\nclient_id pk_1\n");
        assert_eq!(problem.id, ProblemId::ConfigSyntax);
        assert_eq!(problem.fact("file"), Some("/c/config.toml"));
        assert_eq!(problem.fact("line"), Some("2"));
        let shown = problem.to_terminal(false);
        assert!(shown.contains("/c/config.toml, line 2, column 11"), "{shown}");
        assert!(shown.contains("expected: `=`"), "{shown}");
    }

    #[test]
    fn an_unknown_key_is_an_error_with_a_suggestion() {
        let problem = problem("tennant = \"demo\"");
        assert_eq!(problem.id, ProblemId::ConfigUnknownKey);
        assert_eq!(problem.fact("suggestion"), Some("tenant"));
        assert_eq!(problem.fact("origin"), Some("/c/config.toml:1:1"));
    }

    #[test]
    fn a_secret_in_the_file_is_refused_without_being_repeated() {
        for key in ["client_secret", "token"] {
            let problem = problem(&format!("{key} = \"canary\""));
            assert_eq!(problem.id, ProblemId::ConfigHoldsSecret);
            assert!(!format!("{problem:?} {}", problem.to_terminal(false)).contains("canary"));
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_says_what_is_expected() {
        let problem = problem("callback_port = [1]");
        assert_eq!(problem.id, ProblemId::BadValue);
        assert_eq!(problem.fact("found"), Some("a TOML array"));
        assert_eq!(problem.fact("expected"), Some("a port from 1 to 65535"));
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_accepted() {
        let file = parsed("\u{feff}tenant = \"demo\"\r\nprofile = \"x\"\r\n").expect("valid");
        assert_eq!(file.common.len(), 2);
    }

    #[test]
    fn a_missing_file_matters_only_when_it_was_is_named() {
        let absent = Path::new("/nonexistent/planhat-mcp/config.toml");
        assert!(read(absent, false).expect("says nothing").common.is_empty());
        assert_eq!(read(absent, true).expect_err("asked for").id, ProblemId::ConfigUnreadable);
    }
}
