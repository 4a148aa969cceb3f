//! Owns what is said of a panic: a fault of this program or of a library, on any thread and in any task.

use std::panic::PanicHookInfo;

/// Logs every panic as an error with its place, through redaction: a panic's text may quote what it was about. Before the
/// log has started, a panic is reported as the standard library does.
///
/// Reporting changes nothing of what a panic ends: a task, a thread, or the program when it is the main task's.
pub fn report_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if tracing::dispatcher::has_been_set() {
            tracing::error!("{}", described(panic));
        } else {
            before(panic);
        }
    }));
}

fn described(panic: &PanicHookInfo<'_>) -> String {
    let place =
        panic.location().map_or("a place unknown".to_owned(), |at| format!("{}:{}", place(at.file()), at.line()));
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no message");
    format!("internal fault at {place} (thread {thread}): {text}")
}

/// The file without the folders of the machine that it was compiled on: from the crate's folder on.
fn place(file: &str) -> String {
    let file = file.replace('\\', "/");
    let crate_at = file.rfind("/src/").and_then(|src| file[..src].rfind('/'));
    crate_at.map_or(file.as_str(), |at| &file[at + 1..]).to_owned()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use tracing::Level;

    use super::*;

    #[test]
    fn a_place_has_no_folder_of_the_machine_that_compiled_it() {
        for (file, shown) in [
            ("src/bridge/run.rs", "src/bridge/run.rs"),
            ("/home/me/.cargo/registry/src/index-1/http-1.3.1/src/header/map.rs", "http-1.3.1/src/header/map.rs"),
            ("C:\\Users\\me\\http-1.3.1\\src\\lib.rs", "http-1.3.1/src/lib.rs"),
            ("/rustc/0a1b/library/core/src/option.rs", "core/src/option.rs"),
            ("build.rs", "build.rs"),
        ] {
            assert_eq!(place(file), shown);
        }
    }

    /// Set in the process that panics.
    const CHILD: &str = "PLANHAT_MCP_TEST_PANICS";

    #[test]
    fn a_panic_on_any_thread_and_in_any_task_is_an_error_in_the_log_with_its_place_and_without_secrets() {
        const NAME: &str = "logging::panics::tests::a_panic_on_any_thread_and_in_any_task_is_an_error_in_the_log_with_its_place_and_without_secrets";
        if std::env::var_os(CHILD).is_some() {
            crate::logging::start(Level::ERROR, None).expect("no file is needed");
            report_panics();
            let thread = std::thread::Builder::new().name("callback".to_owned());
            let thread = thread.spawn(|| panic!("first, with access_token=canary")).expect("a thread");
            assert!(thread.join().is_err());
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let task = runtime.block_on(async { tokio::spawn(async { panic!("second") }).await });
            assert!(task.is_err());
            runtime.block_on(async { "not a header name".parse::<http::HeaderName>().expect("third") });
        }
        let mut command = Command::new(std::env::current_exe().expect("it runs"));
        command.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(CHILD, "1").stdin(Stdio::null());
        let shown = command.output().expect("it starts").stderr;
        let shown = String::from_utf8(shown).expect("UTF-8");
        let lines: Vec<_> = shown.lines().filter(|line| line.contains("internal fault at")).collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert!(
            lines.iter().all(|line| line.contains("ERROR") && line.contains("at src/logging/panics.rs:")),
            "{shown}"
        );
        assert!(lines[0].contains("(thread callback): first, with access_token=[redacted]"), "{shown}");
        assert!(lines[1].ends_with("second") && lines[2].contains("third"), "{shown}");
    }
}
