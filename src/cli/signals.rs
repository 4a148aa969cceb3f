//! Watches for what ends the bridge from outside: signals, and the end of its parent process.

use tokio::sync::mpsc;

use crate::limits::SIGNAL_END_WAIT;

/// A channel with one item per request to end.
///
/// `keep_without_parent`: the end of the parent process does not count.
pub fn watch(keep_without_parent: bool) -> mpsc::Receiver<()> {
    let (send, receive) = mpsc::channel(4);
    watch_signals(send.clone());
    #[cfg(all(unix, not(target_os = "macos")))]
    stdout::watch(send.clone());
    #[cfg(unix)]
    if !keep_without_parent {
        parent::watch(send);
    }
    #[cfg(not(unix))]
    let _ = keep_without_parent;
    receive
}

/// Passes on every signal, on a thread with a runtime of its own: whatever the bridge is doing, the process ends
/// [`SIGNAL_END_WAIT`] after the first one. Returns once a signal would be noticed.
///
/// Without the thread (refused only for lack of memory) the default applies: the signal ends us.
fn watch_signals(send: mpsc::Sender<()>) {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let watch = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let (each, mut signals) = mpsc::channel(4);
            system::forward(&each);
            let _ = ready.send(());
            // `each` lives as long as this, so the channel never ends.
            let _ = signals.recv().await;
            let _ = send.try_send(());
            let end = tokio::time::sleep(SIGNAL_END_WAIT);
            tokio::pin!(end);
            loop {
                tokio::select! {
                    () = &mut end => end_at_once(),
                    _ = signals.recv() => drop(send.try_send(())),
                }
            }
        });
    };
    if std::thread::Builder::new().name("signals".to_owned()).spawn(watch).is_ok() {
        let _ = is_ready.recv();
    }
}

/// Ends a process whose orderly end has taken too long. Says nothing: what holds it up may be a log that nobody reads.
#[allow(clippy::exit, reason = "nothing else ends a thread that does not answer")]
fn end_at_once() -> ! {
    std::process::exit(1)
}

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::sync::mpsc::Sender;

    /// Without a handler, too, the default applies.
    pub fn forward(send: &Sender<()>) {
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let Ok(mut signals) = signal(kind) else { continue };
            let send = send.clone();
            crate::tasks::spawn(async move { while signals.recv().await.is_some() && send.send(()).await.is_ok() {} });
        }
    }
}

#[cfg(windows)]
mod system {
    use tokio::signal::windows;
    use tokio::sync::mpsc::Sender;

    pub fn forward(send: &Sender<()>) {
        macro_rules! forward {
            ($signals:expr) => {
                if let Ok(mut signals) = $signals {
                    let send = send.clone();
                    crate::tasks::spawn(async move {
                        while signals.recv().await.is_some() && send.send(()).await.is_ok() {}
                    });
                }
            };
        }
        forward!(windows::ctrl_c());
        forward!(windows::ctrl_break());
        forward!(windows::ctrl_close());
    }
}

/// Notices a client that has closed its side, even while there is nothing to write.
///
/// On macOS the next write does. Its `poll` reports a hang-up only to those who ask for input, and then also when the
/// client has merely shut the half of a socket that it never writes to, as some do before the first message.
#[cfg(all(unix, not(target_os = "macos")))]
mod stdout {
    use rustix::event::{PollFd, PollFlags, poll};
    use tokio::sync::mpsc::Sender;

    pub fn watch(send: Sender<()>) {
        let watch = move || {
            let stdout = std::io::stdout();
            loop {
                // No events are requested: a hang-up is always reported.
                let mut descriptors = [PollFd::new(&stdout, PollFlags::empty())];
                match poll(&mut descriptors, None) {
                    Ok(_) => break,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => return,
                }
            }
            let _ = send.blocking_send(());
        };
        let _ = std::thread::Builder::new().name("stdout watch".to_owned()).spawn(watch);
    }
}

/// A client that is killed cannot close our stdin when another process holds the pipe too; without this watch the
/// bridge would stay behind as an orphan.
#[cfg(unix)]
mod parent {
    use rustix::process::{Pid, getppid};
    use tokio::sync::mpsc::Sender;

    pub fn watch(send: Sender<()>) {
        // Process 1 never ends before us: either we started as an orphan, or this is a container.
        let Some(parent) = getppid().filter(|pid| *pid != Pid::INIT) else { return };
        let watch = move || {
            wait_for_end(parent);
            // A bridge that is ending no longer listens.
            let _ = send.blocking_send(());
        };
        // The bridge can run without this watch.
        let _ = std::thread::Builder::new().name("parent".to_owned()).spawn(watch);
    }

    #[cfg(target_os = "linux")]
    fn wait_for_end(parent: Pid) {
        use rustix::event::{PollFd, PollFlags, poll};
        use rustix::process::{PidfdFlags, pidfd_open};
        if let Ok(process) = pidfd_open(parent, PidfdFlags::empty()) {
            loop {
                match poll(&mut [PollFd::new(&process, PollFlags::IN)], None) {
                    Ok(_) => return,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => break,
                }
            }
        }
        look_once_a_second(parent);
    }

    #[cfg(not(target_os = "linux"))]
    fn wait_for_end(parent: Pid) {
        look_once_a_second(parent);
    }

    /// An orphan gets a new parent.
    fn look_once_a_second(parent: Pid) {
        while getppid() == Some(parent) {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// Set in the process that does not answer.
    const CHILD: &str = "PLANHAT_MCP_TEST_SIGNALS";

    #[test]
    fn a_signal_ends_the_process_although_its_runtime_does_not_answer() {
        const NAME: &str = "cli::signals::tests::a_signal_ends_the_process_although_its_runtime_does_not_answer";
        if std::env::var_os(CHILD).is_some() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let _signals = watch(true);
                writeln!(std::io::stderr(), "watching").expect("somebody reads");
                // Until the parent gives up.
                let _ = std::io::stdin().read_to_end(&mut Vec::new());
            });
            return;
        }
        let mut command = Command::new(std::env::current_exe().expect("it runs"));
        command.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let input = child.stdin.take();
        let errors = BufReader::new(child.stderr.take().expect("piped"));
        assert!(errors.lines().map_while(Result::ok).any(|line| line.contains("watching")));
        kill_process(Pid::from_child(&child), Signal::TERM).expect("it lives");
        let (send, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || send.send(child.wait()));
        let status =
            ended.recv_timeout(std::time::Duration::from_secs(20)).expect("it ends").expect("it was started here");
        drop(input);
        assert_eq!(status.code(), Some(1));
    }
}
