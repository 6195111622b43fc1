//! Any bytes enter `engine::fuzzing::gzip`; nothing leaves, unless a promise is broken.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| engine::fuzzing::gzip(data));
