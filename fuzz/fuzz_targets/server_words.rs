#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planhat_mcp::problem::invariants::server_words(data));
