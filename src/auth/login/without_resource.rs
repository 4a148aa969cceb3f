//! Decides whether a sign-in leaves out `resource` (RFC 8707): where no document names the resource, a server may refuse the
//! tokens that are asked for with it. Then the next sign-in does without, and what is remembered goes with the grant.

use crate::auth::context::Context;
use crate::auth::discovery::search::Discovered;
use crate::auth::grants::notes::RefusedAfresh;
use crate::auth::grants::{notes, stored};
use crate::blocking;

/// What decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    /// Whether the resource names its authorization servers, the product is known, or the user has named the resource: then
    /// `resource` is wanted.
    is_described: bool,
    /// Since when the grant in use does without.
    without_since: Option<u64>,
    /// Whether the server refused the tokens of that grant from the start.
    was_refused: bool,
}

impl Facts {
    /// Since when this sign-in does without; `None` asks with it.
    fn decide(self, now: u64) -> Option<u64> {
        match (self.without_since, self.was_refused) {
            _ if self.is_described => None,
            (None, true) => Some(now),
            (since, false) => since,
            (Some(_), true) => None,
        }
    }
}

/// Since when this sign-in leaves `resource` out, if it does.
pub(crate) async fn since(ctx: &Context, found: &Discovered) -> Option<u64> {
    let held = stored::read(ctx).await.ok().flatten()?;
    let note = notes::refused_afresh(&ctx.files);
    let refused = blocking::run(move || note.read::<RefusedAfresh>()).await;
    let facts = Facts {
        is_described: found.listed > 0 || ctx.settings.product.is_planhat() || ctx.settings.oauth.resource.is_some(),
        without_since: held.without_resource_since,
        was_refused: refused.is_some_and(|refused| refused.grant == held.id),
    };
    facts.decide(ctx.now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_is_left_out_after_a_refusal_alone_and_only_where_nothing_describes_the_resource() {
        for (is_described, without_since, was_refused, expected) in [
            (false, None, false, None),
            (false, None, true, Some(9)),
            (false, Some(7), false, Some(7)),
            (false, Some(7), true, None),
            (true, None, true, None),
            (true, Some(7), false, None),
        ] {
            let facts = Facts { is_described, without_since, was_refused };
            assert_eq!(facts.decide(9), expected, "{facts:?}");
        }
    }
}
