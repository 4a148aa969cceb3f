//! `planhat-mcp logout`: deletes the sign-in of this profile from this machine.

use std::process::ExitCode;
use std::sync::Arc;

use crate::auth::Revoked;
use crate::config::Settings;
use crate::problem::Problem;
use crate::problem::render::wrap;
use crate::store::Store;

use super::{authorizer, block_on, terminal};

/// Signs out.
pub fn run(settings: Arc<Settings>) -> Result<ExitCode, Problem> {
    block_on(async {
        let revoked = authorizer(&settings, Store::ATTENDED).logout().await?;
        terminal::say(&done(&settings, revoked.as_ref()));
        Ok(ExitCode::SUCCESS)
    })?
}

/// What was done, and what a program cannot do; `None`: nobody was signed in.
pub fn done(settings: &Settings, revoked: Option<&Revoked>) -> String {
    let name = settings.service_name();
    let Some(revoked) = revoked else {
        return format!("You were not signed in to {name} with the profile {}.\n", settings.profile);
    };
    let mut out = format!("Signed out of {name}: the tokens of the profile {} are deleted here.\n", settings.profile);
    if settings.oauth.client_id.is_some() {
        out.push_str("So is its client secret, if one was stored; the next sign-in needs it again.\n");
    }
    match revoked {
        Revoked::Yes => out.push_str("The server has withdrawn the access as well.\n"),
        Revoked::Failed(problem) => {
            let text = format!("The server could not be told to withdraw the access. {}", problem.what());
            out.push_str(&format!("{}\n", wrap(&text, 0, 80)));
        }
        Revoked::NotOffered => {}
    }
    if settings.product.is_planhat() && *revoked != Revoked::Yes {
        let text = "Planhat offers programs no way to withdraw the access itself. To do that, disconnect the \
                    application under \"Applications\" in your User Profile in Planhat; an admin may have to add that \
                    tab.";
        out.push_str(&format!("{}\n", wrap(text, 0, 80)));
    }
    if settings.static_token.is_some() {
        out.push_str("PLANHAT_MCP_TOKEN is still set, and is used as long as it is.\n");
    }
    out
}
