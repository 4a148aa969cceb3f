#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planhat_mcp::http::invariants::cookies(data));
