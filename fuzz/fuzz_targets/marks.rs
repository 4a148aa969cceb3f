#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| planhat_mcp::remote::invariants::marks(data));
