//! x
#![allow(clippy::all)]
use std::sync::Arc; use planhat_mcp::*; use planhat_mcp::config::*;
fn main() {
  let args: Vec<String> = std::env::args().collect();
  let val = |n: &str| args.iter().position(|a| a == n).map(|i| args[i+1].clone());
  let mut settings = Settings::for_url(val("--url").unwrap().parse().unwrap(), Paths { config_file: "".into(), state_dir: "".into() });
  if let Some(m) = val("--max-message-bytes") { settings.limits.max_message_bytes = m.parse().unwrap(); }
  let settings = Arc::new(settings);
  tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::DEBUG).init();
  let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
  rt.block_on(async {
    let (tx, rx) = tokio::sync::mpsc::channel(1);
    for k in [tokio::signal::unix::SignalKind::terminate(), tokio::signal::unix::SignalKind::interrupt(), tokio::signal::unix::SignalKind::hangup()] { let tx = tx.clone(); let mut s = tokio::signal::unix::signal(k).unwrap(); tokio::spawn(async move { while s.recv().await.is_some() { let _ = tx.send(()).await; } }); }
    let auth = Arc::new(auth::Authorizer(Some(auth::Bearer { token: std::env::var("PLANHAT_MCP_TOKEN").unwrap().into(), serial: 1, grant: 1 }), tokio::sync::watch::Sender::new(auth::AuthState::SignedIn { grant: 1 })));
    let out = std::fs::File::from(std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned().unwrap());
    bridge::run(settings.clone(), http::Http::new(settings.network.clone()), auth, clock::system(), (std::io::stdin(), out), rx).await;
  });
}
