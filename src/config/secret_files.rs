//! Finds the files with secrets, of those that the settings name, which others can read or change.

use std::path::Path;

use crate::files::mode_for_others;
use crate::problem::{Problem, ProblemId};

use super::settings::Settings;

/// A problem for each of these files that is open to others. A warning, not a refusal: where a container or a system of
/// deployment puts the file there, its mode is not the user's to choose.
pub fn exposed(settings: &Settings) -> Vec<Problem> {
    let oauth = &settings.oauth;
    let files = [(oauth.client_secret_file.as_deref(), "client secret"), (oauth.client_key.as_deref(), "private key")];
    files.into_iter().filter_map(|(file, holds)| problem_of(file?, holds)).collect()
}

fn problem_of(file: &Path, holds: &'static str) -> Option<Problem> {
    let mode = mode_for_others(file)?;
    let problem = Problem::new(ProblemId::SecretFileExposed).with("file", file.display());
    Some(problem.with("holds", holds).with("mode", format_args!("{mode:04o}")))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_with_a_secret_that_others_can_read_or_change_is_told() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("key");
        std::fs::write(&file, "x").expect("writable");
        for (mode, is_told) in
            [(0o600, false), (0o400, false), (0o666, true), (0o644, true), (0o640, true), (0o602, true)]
        {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("ours");
            let url = url::Url::parse("https://mcp.example.com/").expect("a constant");
            let paths = crate::config::Paths { config_file: "/c".into(), state_dir: "/s".into() };
            let mut settings = Settings::for_url(url, paths);
            settings.oauth.client_key = Some(file.clone());
            settings.oauth.client_secret_file = Some("-".into());
            let found = exposed(&settings);
            assert_eq!(found.len(), usize::from(is_told), "{mode:o}");
            for problem in found {
                assert_eq!(problem.fact("mode"), Some(format!("{mode:04o}").as_str()));
                assert!(problem.fix().contains("chmod 600"), "{}", problem.fix());
            }
        }
    }
}
