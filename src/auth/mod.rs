//! Owns signing in: from a 401 to an `Authorization` header, and keeping it fresh.
//!
//! In the order of a sign-in: [`discovery`] (what a 401 says, and where to sign in), [`registration`] (as which
//! client), [`login`] (the user's part), [`exchange`] (a code becomes a token), [`grants`] (what is stored), [`bearer`]
//! (the token that requests carry, and its renewal). [`coordination`] lets one sign-in serve any number of processes.
//! All of them work with a [`context`], and [`Authorizer`] is the facade over them. For the commands there are
//! [`status`], [`checkup`] and [`reset`].

pub mod authorizer;
pub mod bearer;
pub mod checkup;
pub mod context;
pub mod coordination;
pub mod discovery;
pub mod error;
pub mod exchange;
pub mod grants;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod login;
pub mod registration;
pub mod reset;
pub mod status;

#[cfg(test)]
mod tests;

pub use authorizer::Authorizer;
pub use bearer::state::{AuthState, Bearer, Renewable};
pub use coordination::start::SignInReason;
pub use discovery::challenge::Challenge;
pub use error::AuthError;
pub use exchange::revocation::Revoked;
pub use grants::grant::{GrantKind, GrantSummary};
pub use login::sign_in_page::PageOpening;
pub use login::ui::{LoginEvent, LoginOptions, LoginUi, Silent};
pub use status::Status;
