//! The few fields of a JSON-RPC message that the sandbox looks at, read without touching the rest.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What a POSTed body says of itself; all empty when it is no JSON-RPC object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peek {
    pub(crate) method: Option<String>,
    /// The id's bytes as they stand.
    pub(crate) id: Option<String>,
    /// `params.name`, for `tools/call`.
    pub(crate) tool: Option<String>,
    /// `params.arguments`, as it stands.
    pub(crate) arguments: Option<String>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Params<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

impl Peek {
    pub(crate) fn of(body: &[u8]) -> Self {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else { return Self::default() };
        let params: Params<'_> =
            message.params.and_then(|params| serde_json::from_str(params.get()).ok()).unwrap_or_default();
        Self {
            method: message.method.map(Cow::into_owned),
            id: message.id.map(|id| id.get().to_owned()),
            tool: params.name.map(Cow::into_owned),
            arguments: params.arguments.map(|arguments| arguments.get().to_owned()),
        }
    }

    /// An answer of the client to a request of the server.
    pub(crate) fn is_answer(&self) -> bool {
        self.method.is_none() && self.id.is_some()
    }
}
