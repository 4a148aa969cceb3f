//! Watches for what ends the bridge from outside: signals, and the end of its parent process.

use tokio::sync::mpsc;

/// A channel with one item per request to end. Must be called inside the runtime.
///
/// `keep_without_parent`: the end of the parent process does not count.
pub fn watch(keep_without_parent: bool) -> mpsc::Receiver<()> {
    let (send, receive) = mpsc::channel(4);
    system::forward(&send);
    #[cfg(unix)]
    {
        stdout::watch(send.clone());
        if !keep_without_parent {
            parent::watch(send);
        }
    }
    #[cfg(not(unix))]
    let _ = keep_without_parent;
    receive
}

#[cfg(unix)]
mod system {
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::sync::mpsc::Sender;

    /// Without a handler (refused only for lack of memory) the default applies: the signal ends us.
    pub fn forward(send: &Sender<()>) {
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let Ok(mut signals) = signal(kind) else { continue };
            let send = send.clone();
            tokio::spawn(async move { while signals.recv().await.is_some() && send.send(()).await.is_ok() {} });
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
                    tokio::spawn(async move { while signals.recv().await.is_some() && send.send(()).await.is_ok() {} });
                }
            };
        }
        forward!(windows::ctrl_c());
        forward!(windows::ctrl_break());
        forward!(windows::ctrl_close());
    }
}

/// Notices a client that has closed its side, even while there is nothing to write.
#[cfg(unix)]
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
