//! `planhat-mcp logout`: deletes the sign-in of this profile, or of all, from this machine.

use std::process::ExitCode;
use std::sync::Arc;

use crate::auth::Revoked;
use crate::auth::grants::profiles;
use crate::config::Settings;
use crate::problem::{Problem, ProblemId, printable};
use crate::store::Store;

use super::args::LogoutArgs;
use super::context::{authorizer, block_on};
use super::style::paragraph;
use super::terminal;

/// Signs out.
pub fn run(settings: Arc<Settings>, how: &LogoutArgs) -> Result<ExitCode, Problem> {
    if how.all {
        return run_all(&settings);
    }
    block_on(async {
        let revoked = authorizer(&settings, Store::ATTENDED_TIMEOUT).logout().await?;
        terminal::say(&done(&settings, revoked.as_ref()));
        Ok(ExitCode::SUCCESS)
    })?
}

/// Signs out of each profile that has a sign-in; a failure does not stop the others.
fn run_all(run: &Settings) -> Result<ExitCode, Problem> {
    let profiles = profiles::list(&run.paths.state_dir);
    if profiles.is_empty() {
        terminal::say("No profile has a sign-in on this computer.\n");
        return Ok(ExitCode::SUCCESS);
    }
    block_on(async {
        let mut first = None;
        for profile in &profiles {
            let Some(settings) = profile.settings(run).map(Arc::new) else {
                let problem = Problem::new(ProblemId::StoreDamaged);
                let problem = problem.with("detail", format!("the profile {} names no usable server", profile.name));
                first = first.or(Some(problem));
                continue;
            };
            match authorizer(&settings, Store::ATTENDED_TIMEOUT).logout().await {
                Ok(revoked) => terminal::say(&format!("{}\n", done(&settings, revoked.as_ref()))),
                Err(problem) => {
                    terminal::say(&format!("{}: {}\n\n", profile.name, problem.what()));
                    first = first.or(Some(problem));
                }
            }
        }
        first.map_or(Ok(ExitCode::SUCCESS), Err)
    })?
}

/// What was done, and what remains to do at the server. `revoked` is `None` if nobody was signed in.
pub fn done(settings: &Settings, revoked: Option<&Revoked>) -> String {
    let name = settings.service_name();
    let Some(revoked) = revoked else {
        return paragraph(&format!("You were not signed in to {name} with the profile {}.", settings.profile));
    };
    let mut out = paragraph(&format!("Signed out of {name} on this computer (profile {}).", settings.profile));
    if settings.oauth.client_id.is_some() {
        out.push_str(&paragraph(
            "If a client secret was stored, it was deleted too; you will need it to sign in again.",
        ));
    }
    out.push_str(&at_the_server(settings, revoked));
    if settings.static_token.is_some() {
        out.push_str(&paragraph("PLANHAT_MCP_TOKEN is still set, and will be used until you unset it."));
    }
    out
}

/// Whether the server has revoked the access, and where the user can do it otherwise.
pub fn at_the_server(settings: &Settings, revoked: &Revoked) -> String {
    let planhat = settings.product.is_planhat();
    let mut texts = Vec::new();
    let issuer = match revoked {
        Revoked::Yes => return paragraph("The server has revoked the access as well."),
        Revoked::Nothing => return String::new(),
        Revoked::Typed if planhat => {
            return paragraph(
                "The access token remains valid until the Private App is deactivated in Planhat's App Center.",
            );
        }
        Revoked::Typed => {
            return paragraph("The access token remains valid until its issuer revokes it.");
        }
        Revoked::Refused { status } => {
            texts.push(format!(
                "The server did not revoke the access when asked (HTTP {status}). The access ends there \
                 automatically, at the latest when its refresh token expires."
            ));
            None
        }
        Revoked::Failed(problem) => {
            texts.push(format!("The server could not be asked to revoke the access. {}", problem.what()));
            None
        }
        Revoked::NotOffered { issuer } => Some(printable(issuer)),
    };
    texts.push(if planhat {
        "Apps cannot revoke their own access in Planhat. To revoke it, disconnect the application under \
         \"Applications\" in your User Profile in Planhat; an admin may have to add that tab."
            .to_owned()
    } else {
        let lead = issuer.as_ref().map(|issuer| format!("Apps cannot revoke their own access at {issuer}. "));
        let place = issuer.as_deref().unwrap_or("that server");
        format!(
            "{}To revoke it, disconnect the application where your account at {place} lists the applications with access, or ask \
             an administrator there.",
            lead.unwrap_or_default()
        )
    });
    texts.iter().map(|text| paragraph(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Paths;

    #[test]
    fn a_refusal_to_revoke_is_told_with_what_becomes_of_the_access() {
        let url = url::Url::parse("https://mcp.example.com/mcp").expect("a constant");
        let settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        let words = at_the_server(&settings, &Revoked::Refused { status: 404 }).replace('\n', " ");
        assert!(words.contains("(HTTP 404)") && words.contains("ends there automatically"), "{words}");
        assert!(!words.contains("at the moment"), "{words}");
    }
}
