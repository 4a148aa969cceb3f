//! Integration tests: the real binary over pipes, against the sandbox tenant over real HTTP.

mod bad_input;
mod commands;
mod faithful;
mod layout;
mod sessions;
mod support;
mod throttle;
