#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| palisade::fuzzing::run("delete_objects", data));
