#![no_main]

#[path = "../harness.rs"]
#[expect(dead_code, reason = "one of its functions is used here")]
mod harness;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| harness::read_data_file(bytes));
