//! Finds the program that holds a port, for an error to name, if the system reveals it.

/// Who holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOwner {
    /// The program, in words.
    pub words: String,
    /// Its process, if it is this program: a sign-in that waits.
    pub own_process: Option<u32>,
}

/// The program that listens where the callback would; `None` if unknown.
#[cfg(not(target_os = "linux"))]
pub fn of(_port: u16) -> Option<PortOwner> {
    None
}

#[cfg(target_os = "linux")]
pub use linux::of;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::Read;
    use std::path::Path;
    use std::time::Instant;

    use super::PortOwner;
    use crate::limits::PORT_OWNER_SEARCH_WAIT;

    /// What this program is called.
    const THIS: &str = env!("CARGO_PKG_NAME");

    /// Socket tables are read up to here: some hundred thousand lines.
    const LARGEST_TABLE_BYTES: u64 = 32 * 1024 * 1024;

    /// A listening socket in `/proc/net/tcp`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Listener {
        user: u32,
        inode: u64,
    }

    /// The program that listens where the callback would; `None` if unknown.
    pub fn of(port: u16) -> Option<PortOwner> {
        let listener = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .find_map(|table| read(table).lines().skip(1).find_map(|line| listener(line, port)))?;
        let program = program(listener.inode, Instant::now() + PORT_OWNER_SEARCH_WAIT);
        let mine = listener.user == rustix::process::geteuid().as_raw();
        let own_process = program.as_ref().filter(|(name, _)| name == THIS).map(|(_, pid)| *pid);
        let words = in_words(program, (!mine).then(|| user_name(&read("/etc/passwd"), listener.user)));
        Some(PortOwner { words, own_process })
    }

    fn read(path: impl AsRef<Path>) -> String {
        let mut bytes = Vec::new();
        if let Ok(file) = fs::File::open(path) {
            // What was read before an error still counts.
            let _ = file.take(LARGEST_TABLE_BYTES).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn in_words(program: Option<(String, u32)>, other_user: Option<String>) -> String {
        let what = match program {
            Some((name, pid)) => format!("{name} (process {pid})"),
            None => "a program".to_owned(),
        };
        match other_user {
            Some(user) => format!("{what} of the user {user}"),
            None => what,
        }
    }

    /// The listener in this line, if it is on this port, at an address that conflicts with a loopback listener.
    fn listener(line: &str, port: u16) -> Option<Listener> {
        /// The state of a listening socket.
        const LISTEN: &str = "0A";
        let words: Vec<&str> = line.split_ascii_whitespace().take(10).collect();
        let (address, local_port) = words.get(1)?.split_once(':')?;
        if u16::from_str_radix(local_port, 16) != Ok(port) || *words.get(3)? != LISTEN || !conflicts(address) {
            return None;
        }
        Some(Listener { user: words.get(7)?.parse().ok()?, inode: words.get(9)?.parse().ok()? })
    }

    /// Loopback, or all addresses; written as 32-bit words in the byte order of the machine.
    fn conflicts(address: &str) -> bool {
        let words: Option<Vec<u32>> =
            (0..address.len()).step_by(8).map(|at| u32::from_str_radix(address.get(at..at + 8)?, 16).ok()).collect();
        let loopback = |word: u32| word == u32::from_ne_bytes([127, 0, 0, 1]);
        match words.as_deref() {
            Some([word]) => *word == 0 || loopback(*word),
            Some([0, 0, 0, 0]) => true,
            Some([0, 0, 0, one]) => *one == u32::from_ne_bytes([0, 0, 0, 1]),
            // ::ffff:127.0.0.1
            Some([0, 0, mapped, word]) => *mapped == u32::from_ne_bytes([0, 0, 0xff, 0xff]) && loopback(*word),
            _ => false,
        }
    }

    /// The name and id of the process that has this socket open, among those whose files this user may see.
    fn program(inode: u64, deadline: Instant) -> Option<(String, u32)> {
        let wanted = format!("socket:[{inode}]");
        for process in fs::read_dir("/proc").ok()?.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
            for file in files.flatten() {
                if Instant::now() > deadline {
                    return None;
                }
                if fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str()) {
                    return Some((name(&process.path()), pid));
                }
            }
        }
        None
    }

    /// What a process is called. A sign-in of a bridge is started through a link that says nothing (`/proc/self/exe`).
    fn name(process: &Path) -> String {
        let program = |process: &Path| fs::read_link(process.join("exe")).ok();
        let this = program(Path::new("/proc/self"));
        if this.is_some() && program(process) == this {
            return THIS.to_owned();
        }
        read(process.join("comm")).trim_end().to_owned()
    }

    /// The user's name from `/etc/passwd`, or else the number.
    fn user_name(passwd: &str, user: u32) -> String {
        let name = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(user)).then_some(name)
        });
        name.map_or_else(|| user.to_string(), str::to_owned)
    }

    #[cfg(test)]
    mod tests {
        use std::net::TcpListener;

        use super::*;

        #[test]
        fn the_holder_of_a_port_is_named_whatever_address_it_listens_on() {
            let name = THIS;
            for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0", "[::1]:0"] {
                // A machine without IPv6 has nothing to show there.
                let Ok(held) = TcpListener::bind(address) else { continue };
                let port = held.local_addr().unwrap().port();
                let (words, own_process) =
                    (format!("{name} (process {})", std::process::id()), Some(std::process::id()));
                assert_eq!(of(port), Some(PortOwner { words, own_process }), "{address}");
                drop(held);
                assert_eq!(of(port), None, "{address}");
            }
        }

        #[test]
        fn only_what_listens_there_is_the_holder() {
            let line = |address: &str, state: &str| {
                format!(
                    "   1: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1001        0 4711 1 x"
                )
            };
            let loopback = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
            let found = Some(Listener { user: 1001, inode: 4711 });
            assert_eq!(listener(&line(&format!("{loopback}:1D66"), "0A"), 7526), found);
            assert_eq!(listener(&line("00000000:1D66", "0A"), 7526), found);
            let other = format!("{:08X}", u32::from_ne_bytes([192, 168, 0, 1]));
            for (address, state) in [
                (format!("{loopback}:1D67"), "0A"),
                (format!("{loopback}:1D66"), "01"),
                (format!("{other}:1D66"), "0A"),
                ("x".into(), "0A"),
                ("é:1D66".into(), "0A"),
                (":1D66".into(), "0A"),
            ] {
                assert_eq!(listener(&line(&address, state), 7526), None, "{address} {state}");
            }
            for nonsense in ["", " ", "1: 2", "1: :", "\u{0}"] {
                assert_eq!(listener(nonsense, 7526), None);
            }
        }

        #[test]
        fn another_user_s_program_is_called_that() {
            assert_eq!(user_name("root:x:0:0::/:/bin/sh\nalice:x:1001:100::/:/bin/sh\nbad\n", 1001), "alice");
            assert_eq!(user_name("", 1002), "1002");
            assert_eq!(in_words(None, Some("alice".into())), "a program of the user alice");
            assert_eq!(in_words(Some(("nc".into(), 7)), Some("alice".into())), "nc (process 7) of the user alice");
            assert_eq!(in_words(Some(("nc".into(), 7)), None), "nc (process 7)");
        }

        #[test]
        fn a_look_that_takes_too_long_is_given_up() {
            assert_eq!(program(u64::MAX, Instant::now() - PORT_OWNER_SEARCH_WAIT), None);
        }
    }
}
