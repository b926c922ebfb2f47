#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| palisade::fuzzing::run("s3_address", data));
