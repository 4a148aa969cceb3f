//! Integration tests: the real binary over pipes, against the sandbox tenant over real HTTP.
//!
//! On Windows those of its text are left out (`docs`, `layout`, `packaging`: it is the same everywhere), those that plant
//! links and pipes (`local_files`), and those that read what Linux says of a process.

mod bad_input;
mod brake;
mod broken_settings;
mod canary;
mod commands;
mod conversation;
mod discovery;
#[cfg(unix)]
mod docs;
mod doctor;
mod doctor_fix;
mod ends;
mod explained;
mod extension;
mod faithful;
mod fate;
mod fault_proxy;
mod faults;
mod flood;
mod hostile;
mod http_sse;
mod install;
mod last_client;
#[cfg(unix)]
mod layout;
mod limits;
#[cfg(unix)]
mod local_files;
#[cfg(target_os = "linux")]
mod many;
#[cfg(target_os = "linux")]
mod memory;
mod old_token;
#[cfg(unix)]
mod packaging;
mod profiles;
mod property;
mod proxy;
#[cfg(unix)]
mod real_servers;
mod refused_alone;
mod restored;
mod server_memory;
mod sessions;
mod setup;
mod shown;
mod signing_in;
mod snapshots;
mod start;
mod stateless;
mod step_up;
mod storms;
mod support;
mod throttle;
mod waits;
#[cfg(target_os = "linux")]
mod watchdog;
