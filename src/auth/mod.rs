//! Owns signing in: from a 401 to an `Authorization` header, and keeping it fresh.
//!
//! The stations, in the order in which a token passes them: [`discovery`] (what a 401 says, and where to sign in),
//! [`registration`] (as whom), [`login`] (the user's answer), [`exchange`] (a code becomes a token), [`grants`] (what is
//! stored), [`bearer`] (what requests carry, and its renewal). [`coordination`] lets one sign-in serve any number of
//! processes. All of them work with a [`context`], within the budgets of one [`brake`], and with one idea of what is the same [`issuer`], [`resource`] and stored
//! record ([`accounts`]); [`Authorizer`] is the facade over them. For the commands there are [`status`], [`checkup`] and
//! [`reset`].

pub mod accounts;
pub mod answer_secrets;
pub mod authorizer;
pub mod bearer;
pub mod brake;
pub mod checkup;
pub mod context;
pub mod coordination;
pub mod discovery;
pub mod endpoints;
pub mod error;
pub mod exchange;
pub mod grants;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod issuer;
pub mod login;
pub mod registration;
pub mod reset;
pub mod resource;
pub mod status;

#[cfg(test)]
mod tests;

pub use authorizer::Authorizer;
pub use bearer::old_token::OldToken;
pub use bearer::state::{AuthState, Bearer, Renewable};
pub use coordination::start::SignInReason;
pub use discovery::challenge::Challenge;
pub use error::AuthError;
pub use grants::grant::{GrantKind, GrantSummary};
pub use grants::revocation::Revoked;
pub use login::sign_in_page::PageOpening;
pub use login::ui::{LoginEvent, LoginOptions, LoginUi, Silent};
pub use status::Status;
