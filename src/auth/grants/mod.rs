//! Owns what a sign-in leaves behind: the stored grant, and the profiles that have one.

pub mod grant;
pub mod notes;
mod plain_text;
pub(crate) mod presented;
pub mod profiles;
pub mod remembered_client;
pub mod revocation;
pub mod stored;
