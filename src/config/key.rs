//! The keys of the settings: what each is called as a flag, in the environment and in the file, and what its row says of it.

use serde::{Deserialize, Serialize};

use super::table::settings_table;

/// What the table says of a setting, its field and its value aside.
#[derive(Debug, Clone, Copy)]
pub struct KeyInfo {
    /// Its key in the configuration file.
    pub name: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    /// The flag; `None` where a value must not stand in argv.
    pub flag: Option<Flag>,
    /// What a value looks like, for error messages.
    pub expected: &'static str,
    /// How far it reaches.
    pub concerns: Concerns,
    /// What may be shown of its value.
    pub disclosure: Disclosure,
}

/// A setting on the command line and in `--help`.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// With its two hyphens.
    pub name: &'static str,
    /// What follows it.
    pub takes: Takes,
    /// The part of `--help` that explains it.
    pub heading: Heading,
    /// Its place among the flags there.
    pub place: usize,
    /// The explanation.
    pub help: &'static str,
}

/// What follows a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A value, which `--help` calls by this name.
    One(&'static str),
    /// A value each time that the flag stands there.
    Many(&'static str),
    /// `true` or `false`; the flag alone means `true`.
    Truth,
    /// The path of a file.
    File,
    /// The path of a file, or `-` for standard input.
    FileOrStdin,
}

/// The parts of `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading {
    /// Which server.
    Server,
    /// How to sign in there.
    SigningIn,
    /// How to get there.
    Network,
    /// Everything else.
    General,
}

/// How far a setting reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerns {
    /// It is meant for one server: set for one, it must not reach another.
    Server,
    /// It leads to a server and a profile, whichever they are.
    Way,
    /// It is about this run alone: a command that a person types in a terminal need not repeat it.
    Run,
}

/// What may be shown of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// All of it.
    Whole,
    /// An address without the password that may stand in it.
    WithoutUserinfo,
    /// Nothing: it is a secret, which no flag and no file may hold.
    Never,
}

const fn flag(name: &'static str, takes: Takes, heading: Heading, place: usize, help: &'static str) -> Option<Flag> {
    Some(Flag { name, takes, heading, place, help })
}

macro_rules! keys {
    ($url:ident; $($(#$doc:tt)* [$($group:ident)*] $field:ident: $type:ty = $default:expr, $read:expr => $key:ident {
        $($info:tt)*
    };)+) => {
        /// One setting that somebody can give.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Key {
            $($(#$doc)* $key,)+
        }

        impl Key {
            /// All settings, in the order in which they are shown.
            pub const ALL: &'static [Key] = &[$(Key::$key,)+];

            /// What its row says of it.
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

            /// Whether it is a secret: no flag and no file holds it, and its value is shown to nobody.
            pub fn is_secret(self) -> bool {
                self.info().disclosure == Disclosure::Never
            }
        }
    };
}

settings_table!(keys, url);

/// The name of a setting that `name` was probably meant to be.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase().replace('-', "_");
    let candidates = Key::ALL.iter().filter(|key| !key.is_secret()).map(|key| key.info().name);
    let near = candidates.map(|name| (strsim::levenshtein(&wanted, name), name)).filter(|(distance, _)| *distance <= 3);
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
