//! Owns the form of the table of limits: what each row says, and how its value reads in the documentation.

use std::time::Duration;

pub(super) const KIB: usize = 1024;
pub(super) const MIB: usize = 1024 * KIB;
const DAY_SECONDS: u64 = 24 * 60 * 60;

/// One limit, as documentation shows it.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// What is spent: the section of the page that it stands in.
    pub area: &'static str,
    /// The name of its constant.
    pub name: &'static str,
    /// Its value with the unit.
    pub value: fn() -> String,
    /// What it bounds.
    pub bounds: &'static [&'static str],
    /// Why this number.
    pub reason: &'static str,
    /// The test that fails without it.
    pub test: &'static str,
}

/// What a limit can be: a size, a number of things, a time.
pub trait Amount {
    /// The value as people read it. The name of a size ends in `_BYTES`.
    fn text(&self, name: &str) -> String;
}

impl Amount for usize {
    fn text(&self, name: &str) -> String {
        (*self as u64).text(name)
    }
}

impl Amount for u32 {
    fn text(&self, name: &str) -> String {
        u64::from(*self).text(name)
    }
}

impl Amount for u64 {
    fn text(&self, name: &str) -> String {
        let number = *self;
        if !name.ends_with("_BYTES") {
            return number.to_string();
        }
        match number {
            0 => "0 bytes".to_owned(),
            n if n % (1024 * 1024) == 0 => format!("{} MiB", n / (1024 * 1024)),
            n if n % 1024 == 0 => format!("{} KiB", n / 1024),
            n => format!("{n} bytes"),
        }
    }
}

impl Amount for Duration {
    fn text(&self, _name: &str) -> String {
        match (self.as_secs(), self.subsec_millis()) {
            (seconds, 0) if seconds >= 2 * DAY_SECONDS && seconds % DAY_SECONDS == 0 => {
                format!("{} days", seconds / DAY_SECONDS)
            }
            (seconds, 0) if seconds >= 120 && seconds % 60 == 0 => format!("{} min", seconds / 60),
            (seconds, 0) => format!("{seconds} s"),
            (0, millis) => format!("{millis} ms"),
            (seconds, millis) => format!("{seconds}.{millis:03} s"),
        }
    }
}

/// Defines the constants of a part of the table, and their rows.
macro_rules! limits {
    ($($area:literal { $(
        $(#[doc = $bounds:literal])+
        $name:ident: $kind:ty = $value:expr, because $reason:literal, shown by $test:literal;
    )+ })+) => {
        $($(
            $(#[doc = $bounds])+
            #[doc = ""]
            #[doc = concat!("Because ", $reason, ".")]
            pub const $name: $kind = $value;
        )+)+

        /// The rows of this file, in the order of the page.
        pub(super) const ROWS: &[$crate::limits::entry::Limit] = &[$($($crate::limits::entry::Limit {
            area: $area,
            name: stringify!($name),
            value: || $crate::limits::entry::Amount::text(&$name, stringify!($name)),
            bounds: &[$($bounds),+],
            reason: $reason,
            test: $test,
        }),+),+];
    };
}
pub(super) use limits;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reads_with_its_unit() {
        assert_eq!(8_388_608_usize.text("ROOM_BYTES"), "8 MiB");
        assert_eq!(16_384_usize.text("HEADER_BYTES"), "16 KiB");
        assert_eq!(512_usize.text("ID_BYTES"), "512 bytes");
        assert_eq!(1_000_u32.text("MAX_MEMBERS"), "1000");
        assert_eq!(Duration::from_secs(600).text("WINDOW"), "10 min");
        assert_eq!(Duration::from_secs(90).text("WAIT"), "90 s");
        assert_eq!(Duration::from_secs(30 * DAY_SECONDS).text("WAIT"), "30 days");
        assert_eq!(Duration::from_millis(750).text("WAIT"), "750 ms");
        assert_eq!(Duration::from_millis(1_500).text("WAIT"), "1.500 s");
    }
}
