#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| palisade::fuzzing::run("redis_reply", data));
