//! What an HTTP status means without words of the server.

use super::ProblemId;

/// The problem for an HTTP refusal without a JSON-RPC answer, with explanations specific to Planhat if it is
/// Planhat.
pub const fn of_status(status: u16, planhat: bool) -> ProblemId {
    match (status, planhat) {
        (429, _) => ProblemId::RateLimited,
        (400, true) => ProblemId::PlanhatBadRequest,
        (400, false) => ProblemId::BadRequest,
        (401, _) => ProblemId::SignInNeeded,
        (403, true) => ProblemId::PlanhatForbidden,
        (403, false) => ProblemId::Forbidden,
        (404, true) => ProblemId::PlanhatNotFound,
        (404, false) => ProblemId::NotFound,
        (405 | 410, _) => ProblemId::MethodNotAllowed,
        (413, _) => ProblemId::RequestTooLarge,
        (500..=599, true) => ProblemId::PlanhatServerError,
        (500..=599, false) => ProblemId::ServerError,
        _ => ProblemId::HttpStatus,
    }
}
