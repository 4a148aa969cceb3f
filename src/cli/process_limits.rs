//! Owns what this process asks of the system before anything else: that a crash writes its memory nowhere, and that a
//! file which may not grow is an error and not the end.

/// Arranges both. Where the system refuses, the program runs without.
#[cfg(unix)]
pub fn arrange() {
    forbid_core_dumps();
    survive_file_size_limit();
}

/// Windows keeps no dumps of programs unless an administrator asks for them.
#[cfg(not(unix))]
pub fn arrange() {}

/// Tokens are in this process's memory. Only the soft limit is lowered: a browser that is started from here inherits both.
///
/// Making the process undumpable would also keep its other instances from saying who holds a callback port: its entries in
/// `/proc` would belong to root.
#[cfg(unix)]
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Linux pipes a core to a collector whatever the limit is, except with a limit of 1, which it takes for a collector
    /// that has crashed itself (`fs/coredump.c`). A file of that size is not written, either.
    const NO_CORE_BYTES: u64 = if cfg!(target_os = "linux") { 1 } else { 0 };
    let now = getrlimit(Resource::Core);
    let wanted = now.maximum.map_or(NO_CORE_BYTES, |most| most.min(NO_CORE_BYTES));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(wanted), maximum: now.maximum });
}

/// A write beyond the limit of file sizes (RLIMIT_FSIZE) kills a process without a word, unless it handles the signal; then
/// the write fails, like any other. The runtime's handler stays when the runtime is gone, and programs that are started from
/// here do not inherit it.
#[cfg(unix)]
fn survive_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    let _inside = runtime.enter();
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
}
