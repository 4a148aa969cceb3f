//! Names the commit that a release is built from, for `--version`. Other builds say nothing, so that a commit alone rebuilds
//! nothing.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = if is_release { packaged().or_else(checked_out) } else { None };
    let target = std::env::var("TARGET").unwrap_or_default();
    let commit = commit.unwrap_or_else(|| if is_release { "no commit known" } else { "development build" }.to_owned());
    println!("cargo:rustc-env=BUILT_FROM={commit}, {target}");
}

/// In a package that `cargo publish` made, the commit stands beside the manifest.
fn packaged() -> Option<String> {
    let info = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = info.split_once("\"sha1\": \"")?;
    Some(format!("commit {}", rest.get(..7)?))
}

/// In a checkout, git knows it, with its day.
fn checked_out() -> Option<String> {
    // Not that of another project, which an unpacked archive may lie inside of.
    let here = std::env::current_dir().ok()?.canonicalize().ok()?;
    if std::path::Path::new(&git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()? != here {
        return None;
    }
    for path in ["HEAD", "logs/HEAD"] {
        println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", path])?);
    }
    git(&["log", "-1", "--abbrev=7", "--format=commit %h of %cs"])
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
