#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planhat_mcp::bridge::client::input::invariants::lines(data));
