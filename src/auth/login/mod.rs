//! Owns the user's part of a sign-in: the authorization request, the browser, the redirect, and the record that other
//! processes follow.

pub mod attempt;
pub mod authorization_request;
pub mod browser;
pub mod code_flow;
pub mod device_flow;
pub mod flow;
pub mod forgotten_client;
pub mod loopback;
pub mod page_says;
pub mod parts;
pub mod sign_in_page;
pub mod ui;
pub mod without_resource;
