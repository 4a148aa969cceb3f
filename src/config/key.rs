//! The keys of the settings, and what the table says about each: names, help, syntax, secrecy.

use serde::{Deserialize, Serialize};

use super::table::settings_table;

/// A row of the table without its field.
#[derive(Debug, Clone, Copy)]
pub struct KeyInfo {
    /// Its key in the configuration file.
    pub name: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// The flag; `None` if the value must not appear in argv.
    pub flag: Option<Flag>,
    /// The syntax of a value, for error messages.
    pub expected: &'static str,
    /// What it concerns.
    pub concerns: Concerns,
    /// What may be shown of its value.
    pub disclosure: Disclosure,
}

/// A setting on the command line and in `--help`.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// With its two leading hyphens.
    pub name: &'static str,
    /// What follows it.
    pub takes: Takes,
    /// Its section in `--help`.
    pub heading: Heading,
    /// Its position in `--help`.
    pub place: usize,
    /// The explanation.
    pub help: &'static str,
}

/// What follows a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A value with this name in `--help`.
    One(&'static str),
    /// A value each time the flag occurs.
    Many(&'static str),
    /// `true` or `false`; the flag alone means `true`.
    Truth,
    /// The path of a file.
    File,
    /// The path of a file, or `-` for standard input.
    FileOrStdin,
}

/// The sections of `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading {
    /// Which server.
    Server,
    /// How to sign in there.
    SigningIn,
    /// How to reach it.
    Network,
    /// Everything else.
    General,
}

/// What a setting concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerns {
    /// One server: if set for one, it must not reach another.
    Server,
    /// How to reach the server and the profile, whatever they are.
    Route,
    /// Only this run: a command in a terminal need not repeat it.
    Run,
}

/// What may be shown of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// The whole value.
    Whole,
    /// An address without its user name and password.
    WithoutUserinfo,
    /// Nothing: it is a secret, which flags and files must not hold.
    Never,
}

const fn flag(name: &'static str, takes: Takes, heading: Heading, place: usize, help: &'static str) -> Option<Flag> {
    Some(Flag { name, takes, heading, place, help })
}

macro_rules! keys {
    ($url:ident; $($(#$doc:tt)* [$($group:ident)*] $field:ident: $type:ty = $default:expr, $read:expr => $key:ident {
        $($info:tt)*
    };)+) => {
        /// One setting.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Key {
            $($(#$doc)* $key,)+
        }

        impl Key {
            /// All settings, in the order of `planhat-mcp config`.
            pub const ALL: &'static [Key] = &[$(Key::$key,)+];

            /// Its row of the table.
            pub const fn info(self) -> &'static KeyInfo {
                use Takes::{File, FileOrStdin, Many, One, Truth};
                match self {
                    $(Key::$key => const { &KeyInfo { $($info)* } },)+
                }
            }

            /// The setting that the configuration file calls `name`.
            pub fn by_name(name: &str) -> Option<Key> {
                Key::ALL.iter().copied().find(|key| key.info().name == name)
            }

            /// The name of its flag.
            pub fn flag(self) -> Option<&'static str> {
                self.info().flag.map(|flag| flag.name)
            }

            /// Whether it is a secret, which flags and files must not hold and nobody may see.
            pub fn is_secret(self) -> bool {
                self.info().disclosure == Disclosure::Never
            }
        }
    };
}

settings_table!(keys, url);

/// The setting that `name` is probably a misspelling of.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let misspelled = name.to_ascii_lowercase().replace('-', "_");
    let candidates = Key::ALL.iter().filter(|key| !key.is_secret()).map(|key| key.info().name);
    let near =
        candidates.map(|name| (strsim::levenshtein(&misspelled, name), name)).filter(|(distance, _)| *distance <= 3);
    near.min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_key_gets_its_nearest_neighbour_and_nonsense_gets_none() {
        assert_eq!(suggestion("client-id"), Some("client_id"));
        assert_eq!(suggestion("calback_port"), Some("callback_port"));
        assert_eq!(suggestion("tokenstore"), Some("token_store"));
        assert_eq!(suggestion("something_else_entirely"), None);
    }

    #[test]
    fn names_flags_and_variables_of_a_setting_are_the_same_words() {
        for key in Key::ALL {
            let info = key.info();
            assert_eq!(info.variable, format!("PLANHAT_MCP_{}", info.name.to_uppercase()));
            if let Some(flag) = key.flag() {
                assert_eq!(flag, format!("--{}", info.name.replace('_', "-")));
            }
        }
    }

    #[test]
    fn a_secret_has_no_flag_and_everything_else_has_one() {
        for key in Key::ALL {
            assert_eq!(key.flag().is_none(), key.is_secret(), "{key:?}");
        }
    }

    #[test]
    fn every_flag_has_a_place_of_its_own_in_the_help() {
        let mut places: Vec<usize> = Key::ALL.iter().filter_map(|key| Some(key.info().flag?.place)).collect();
        let all = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), all);
    }
}
