//! `planhat-mcp logout`: deletes the sign-in of this profile from this machine.

use std::process::ExitCode;
use std::sync::Arc;

use crate::config::Settings;
use crate::problem::Problem;
use crate::problem::render::wrap;
use crate::store::Store;

use super::{authorizer, block_on, terminal};

/// Signs out.
pub fn run(settings: Arc<Settings>) -> Result<ExitCode, Problem> {
    block_on(async {
        let was_signed_in = authorizer(&settings, Store::ATTENDED).logout().await?;
        terminal::say(&done(&settings, was_signed_in));
        Ok(ExitCode::SUCCESS)
    })?
}

/// What was done, and what a program cannot do.
pub fn done(settings: &Settings, was_signed_in: bool) -> String {
    let name = settings.service_name();
    if !was_signed_in {
        return format!("You were not signed in to {name} with the profile {}.\n", settings.profile);
    }
    let mut out = format!("Signed out of {name}: the tokens of the profile {} are deleted here.\n", settings.profile);
    if settings.oauth.client_id.is_some() {
        out.push_str("A client secret that was stored stays for the next sign-in.\n");
    }
    if settings.product.is_planhat() {
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
