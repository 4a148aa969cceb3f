//! What the bridge and the browser have to know of a tenant that speaks https.

use std::io;
use std::path::PathBuf;

use planhat_sandbox::wire::Route;

/// The file with the CA, for `browse`; what begins with `PLANHAT_MCP_` does not reach a browser.
const CA_VARIABLE: &str = "PLANHAT_SANDBOX_CA_FILE";
/// The proxy, for `browse`.
const PROXY_VARIABLE: &str = "PLANHAT_SANDBOX_PROXY";

/// A route, with its CA in a file that goes when this is dropped.
pub(crate) struct Trust {
    ca_file: Option<PathBuf>,
    proxy: Option<String>,
}

impl Trust {
    pub(crate) fn of(route: &Route) -> io::Result<Self> {
        let ca_file = match &route.ca_pem {
            None => None,
            Some(pem) => {
                let file = std::env::temp_dir().join(format!("planhat-sandbox-ca-{}.pem", std::process::id()));
                std::fs::write(&file, pem)?;
                Some(file)
            }
        };
        Ok(Self { ca_file, proxy: route.proxy.map(|proxy| proxy.to_string()) })
    }

    /// The file with the CA; empty where there is none.
    pub(crate) fn ca_file(&self) -> String {
        self.ca_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default()
    }

    /// Variables to set; the bridge's own CA file is left out where that is what is to be found out.
    pub(crate) fn variables(&self, without_ca: bool) -> Vec<(&'static str, String)> {
        let mut variables = Vec::new();
        if self.ca_file.is_none() {
            return variables;
        }
        if !without_ca {
            variables.push(("PLANHAT_MCP_CA_FILE", self.ca_file()));
        }
        variables.push((CA_VARIABLE, self.ca_file()));
        if let Some(proxy) = &self.proxy {
            variables.push(("PLANHAT_MCP_PROXY", format!("http://{proxy}")));
            variables.push((PROXY_VARIABLE, proxy.clone()));
        }
        // No other browser finds these names, or trusts this CA.
        let program = std::env::current_exe().map(|program| program.display().to_string());
        variables.extend(program.ok().map(|program| ("BROWSER", program)));
        variables
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        if let Some(file) = &self.ca_file {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The route that the environment of `browse` names.
pub(crate) fn route_of_environment() -> Route {
    let ca_pem = std::env::var_os(CA_VARIABLE).and_then(|file| std::fs::read_to_string(file).ok());
    let proxy = std::env::var(PROXY_VARIABLE).ok().and_then(|proxy| proxy.parse().ok());
    Route { ca_pem, proxy }
}
