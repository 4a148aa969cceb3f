//! Integration tests: the real binary over pipes, against the sandbox tenant over real HTTP.

mod bad_input;
mod canary;
mod commands;
mod docs;
mod ends;
mod faithful;
mod fate;
mod fault_proxy;
mod faults;
mod layout;
mod limits;
mod packaging;
mod property;
mod proxy;
mod restored;
mod sessions;
mod signing_in;
mod stateless;
mod support;
mod throttle;
mod waits;
