//! Runs a sign-in from discovery to the grant: where, as which client, by which flow. The browser's part is in
//! [`crate::auth::login::code_flow`], the device flow in [`crate::auth::login::device_flow`].

use std::sync::Arc;

use tokio::time::Instant;

use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::metadata::Flow;
use crate::auth::discovery::{probe, scope, search};
use crate::auth::grants::grant::Grant;
use crate::auth::grants::{remembered_client, stored};
use crate::auth::login::attempt::Attempt;
use crate::auth::login::code_flow;
use crate::auth::login::code_flow::LastPage;
use crate::auth::login::device_flow;
use crate::auth::login::forgotten_client::PageQuestion;
use crate::auth::login::parts::{LoginEnd, Parts, SignInTarget};
use crate::auth::login::ui::{LoginEvent, LoginOptions, LoginUi};
use crate::auth::login::without_resource;
use crate::auth::registration::client::Client;
use crate::auth::registration::{choose, client_home, dynamic};
use crate::blocking;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;

/// A grant that is not stored yet, and the browser that waits for the outcome.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) grant: Grant,
    pub(crate) last_page: LastPage,
}

/// Signs in with a person; the caller stores the grant and then shows the last page.
pub(crate) async fn sign_in(
    ctx: &Context,
    challenge: &Challenge,
    options: &mut LoginOptions,
    ui: &mut dyn LoginUi,
    attempt: &mut Attempt,
) -> Result<Granted, Problem> {
    let deadline = Instant::now() + ctx.settings.limits.sign_in;
    // Nobody should type a password for a sign-in that cannot be stored.
    ctx.store.check().await?;
    let probe::Probed { challenge, is_open } = probe::probe(ctx, challenge).await;
    let flow = if options.device { Flow::Device } else { Flow::Code };
    let bound_issuer = choose::bound_issuer(ctx).await;
    let mut found = search::discover(&ctx.http, &ctx.settings, &challenge, flow, bound_issuer.as_deref()).await?;
    found.check_wanted(&ctx.settings, is_open)?;
    found.without_resource_since = without_resource::since(ctx, &found).await;
    stored::settle_client(ctx).await;
    client_home::check_confirmed(ctx, &found, options.by_person).await?;
    let mut scope = scope::choose(&ctx.settings, &challenge, &found, flow);
    let mut target = SignInTarget { found, scope: None, deadline };
    let mut may_register_again = true;
    let mut page = PageQuestion::default();
    loop {
        let doubted = attempt.unanswered_before.take();
        let parts = Parts::prepare(ctx, &target.found, scope.as_deref(), flow, doubted.as_deref(), deadline).await?;
        let (client, is_new) = (parts.client.clone(), parts.is_new);
        target.scope = scope::bounded(&ctx.settings, scope.as_deref(), client.allowed_scope.as_deref());
        if flow == Flow::Code && page.refuses(ctx, &target, &parts).await {
            tracing::info!("the sign-in page refuses this client; it is registered anew");
            attempt.unanswered_before = Some(client.id);
            continue;
        }
        if client.lacks_secret() && !options.by_person && has_secret(ctx, &client).await {
            // Nobody should sign in and consent for what then fails.
            return Err(Problem::new(ProblemId::ClientSecretMissing).with("client_id", &client.id));
        }
        let client_id = Secrets::none().words(&client.id);
        let (issuer, elsewhere) = (target.found.chosen(), target.found.elsewhere());
        ui.event(LoginEvent::Found { issuer: &issuer, client_id: &client_id, elsewhere: &elsewhere });
        let (outcome, last_page) = match flow {
            Flow::Device => (device_flow::device_flow(ctx, &target, &client, ui).await, LastPage::none()),
            Flow::Code | Flow::Client => code_flow::code_flow(ctx, &target, parts, options, ui, attempt).await,
        };
        let end = match outcome {
            Ok(grant) => {
                attempt.unanswered = None;
                choose::bind(ctx, &client, &target.found).await;
                remembered_client::remember(ctx, &client).await;
                client_home::confirm(ctx, &target.found).await;
                return Ok(Granted { grant, last_page });
            }
            Err(end) => end,
        };
        if flow == Flow::Device
            && matches!(&end, LoginEnd::Problem(problem) if problem.id == ProblemId::InvalidScope)
            && let Some(narrower) = scope::without_added(&ctx.settings, scope.as_deref())
        {
            tracing::info!("the server refuses a scope that it lists; it is asked again without");
            scope = narrower;
            continue;
        }
        let is_unknown = matches!(&end, LoginEnd::UnknownClient(_)) && client.is_registered();
        let problem = end.problem();
        if problem.id == ProblemId::ClientSecretMissing {
            remembered_client::remember_that_it_wants_its_secret(ctx, &client).await;
        }
        last_page.show(ctx, Some(&problem)).await;
        if !is_unknown {
            return Err(problem);
        }
        dynamic::forget(&ctx.settings, &ctx.store, &target.found.server.issuer, &client.id).await;
        // A client that was just registered should be known; another would be refused as well, after a second page.
        if is_new || !std::mem::take(&mut may_register_again) {
            return Err(problem);
        }
        tracing::info!("the server does not know this client any more; it is registered anew");
    }
}

async fn has_secret(ctx: &Context, client: &Client) -> bool {
    let (settings, id) = (Arc::clone(&ctx.settings), client.id.clone());
    blocking::run(move || remembered_client::has_secret(&settings, &id)).await
}
