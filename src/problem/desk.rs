//! Where people act on a problem: in a terminal, or in the client whose extension started this process. Whoever has nothing
//! but an extension has no terminal and does not know where the program is, so its remedies are in that client's words.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::ProblemId;

/// What a person types in a terminal.
const PROGRAM: &str = "planhat-mcp";
/// How the catalogue writes the command that signs in.
const LOGIN: &str = "`[{command}|planhat-mcp login]`";

static EXTENSION: OnceLock<Extension> = OnceLock::new();

/// A client's extension that starts this program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Extension {
    /// This program, as a terminal takes it.
    program: String,
}

/// From now on, what this process says is read by somebody who has nothing but an extension. `program` is this program.
pub fn act_in_extension(program: Option<PathBuf>) {
    let program = program.map_or_else(|| PROGRAM.to_owned(), |path| typed(&path.display().to_string()));
    let _ = EXTENSION.set(Extension { program });
}

/// Whether an extension has started this process.
pub fn is_in_extension() -> bool {
    EXTENSION.get().is_some()
}

/// What a person types to start this program.
pub fn program() -> &'static str {
    EXTENSION.get().map_or(PROGRAM, |extension| &extension.program)
}

/// A path as the system's usual shell takes it: on Windows that is PowerShell, which runs a quoted word only after `&`.
fn typed(path: &str) -> String {
    if cfg!(windows) { format!("& \"{path}\"") } else { format!("\"{path}\"") }
}

/// The remedy of a problem, for the one who reads it.
pub(super) fn fix(id: ProblemId, template: &'static str) -> Cow<'static, str> {
    EXTENSION.get().map_or(Cow::Borrowed(template), |extension| extension.fix(id, template).into())
}

/// The advice to a model, for the one whom it speaks for.
pub(super) fn model(id: ProblemId, template: &'static str) -> Cow<'static, str> {
    EXTENSION.get().map_or(Cow::Borrowed(template), |extension| extension.model(id, template).into())
}

impl Extension {
    fn fix(&self, id: ProblemId, template: &str) -> String {
        if let Some(own) = own_fix(id) {
            return own.to_owned();
        }
        let mut text = template.to_owned();
        for (terminal, chat) in [
            ("Call the tool planhat_sign_in, or run LOGIN in a terminal", "Ask in the chat: \"Sign me in\""),
            ("Run LOGIN in a terminal", "Ask in the chat: \"Sign me in\""),
            ("run LOGIN in a terminal", "ask in the chat: \"Sign me in\""),
            ("run LOGIN", "ask in the chat: \"Sign me in\""),
            ("Sign in again with LOGIN", "Ask in the chat: \"Sign me in again\""),
            ("sign in again with LOGIN", "ask in the chat: \"Sign me in again\""),
            ("start over with LOGIN", "ask in the chat: \"Sign me in again\""),
            ("ign in again: LOGIN", "ign in again: ask for it in the chat"),
            ("Sign in again and allow it: LOGIN", "Sign in again and allow it: ask for it in the chat"),
            ("sign in again: `{command}`", "ask in the chat: \"Sign me in again\""),
        ] {
            text = text.replace(&terminal.replace("LOGIN", LOGIN), chat);
        }
        let settings = text.replace("login --no-browser", "");
        let names_setting = ["--", "PLANHAT_MCP_", "configuration file"].iter().any(|word| settings.contains(word));
        if names_setting {
            // An address at the end stays there: a terminal would take what follows it for a part of it.
            let at = if text.ends_with("}]") { text.rfind("[ ") } else { None }.unwrap_or(text.len());
            text.insert_str(at, " In Claude Desktop, settings are under Settings > Extensions > Planhat > Configure.");
        }
        self.with_path(&text)
    }

    fn model(&self, id: ProblemId, template: &str) -> String {
        if let Some(own) = own_model(id) {
            return own.to_owned();
        }
        let mut text = template.to_owned();
        for (terminal, tool) in [
            (", and so does LOGIN in a terminal", ""),
            (", or ask them to run LOGIN in a terminal", ""),
            ("run LOGIN in a terminal, which lifts this", "try again later"),
            ("run LOGIN in a terminal", "sign in with the tool planhat_sign_in"),
            ("sign in again with LOGIN", "sign in again with the tool planhat_sign_in"),
            ("run LOGIN", "sign in with the tool planhat_sign_in"),
        ] {
            text = text.replace(&terminal.replace("LOGIN", LOGIN), tool);
        }
        self.with_path(&text)
    }

    /// A command that has to be typed all the same is given with the program's path.
    fn with_path(&self, text: &str) -> String {
        text.replace("`planhat-mcp ", &format!("`{} ", self.program))
            .replace("|planhat-mcp ", &format!("|{} ", self.program))
            .replace(" run planhat-mcp ", &format!(" run {} ", self.program))
            .replace(" with planhat-mcp ", &format!(" with {} ", self.program))
    }
}

/// What replaces a remedy that is about the command line from beginning to end.
fn own_fix(id: ProblemId) -> Option<&'static str> {
    Some(match id {
        ProblemId::PlanhatClientIdMissing => {
            "Ask a Planhat admin for the client id and the client secret of your organisation's OAuth client (App Center), \
             which needs exactly [{redirect_url}|http://127.0.0.1:7526/callback] among its Redirect URLs. In Claude Desktop, \
             put both into Settings > Extensions > Planhat > Configure."
        }
        ProblemId::ClientSecretMissing => {
            "Ask the admin who gave you the client id for its client secret (at Planhat it begins with sk_). In Claude Desktop, \
             put it into Settings > Extensions > Planhat > Configure, then turn the extension off and on."
        }
        ProblemId::InvalidClient => {
            "Check the client id and secret with the admin who gave them to you (for Planhat, they are in the App Center), and \
             enter both again: in Claude Desktop under Settings > Extensions > Planhat > Configure. Then ask in the chat: \"Sign me in\"."
        }
        ProblemId::SecretInArguments => {
            "In Claude Desktop, put the secret only into the field \"Client secret\", under Settings > Extensions > Planhat > \
             Configure. Ask your admin to replace it (for Planhat, in the App Center), because other programs may have seen it."
        }
        _ => return None,
    })
}

fn own_model(id: ProblemId) -> Option<&'static str> {
    Some(match id {
        ProblemId::PlanhatClientIdMissing => {
            "No client id is configured, so the user cannot sign in. Tell the user to ask a Planhat admin for the client id and \
             secret of the organisation's OAuth client, and to put both into Settings > Extensions > Planhat > Configure."
        }
        ProblemId::ClientSecretMissing => {
            "The client secret is missing. Tell the user to ask their admin for it, and to put it into Settings > \
             Extensions > Planhat > Configure."
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension() -> Extension {
        Extension { program: "\"/Apps/Claude Extensions/planhat-mcp\"".to_owned() }
    }

    #[test]
    fn no_remedy_for_an_extension_is_a_command_without_the_program_s_path() {
        for id in ProblemId::ALL {
            let entry = id.entry();
            let fix = extension().fix(*id, entry.fix);
            assert!(!entry.fix.ends_with("{link}]") || fix.ends_with("{link}]"), "{id:?}: {fix}");
            for text in [fix, extension().model(*id, entry.model)] {
                let bare = text.replace(&extension().program, "");
                assert!(!bare.contains("planhat-mcp login"), "{id:?}: {text}");
                assert!(!bare.contains("`planhat-mcp") && !bare.contains("|planhat-mcp "), "{id:?}: {text}");
            }
        }
    }
}
