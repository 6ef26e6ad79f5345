#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tomosieve_fuzz::read("volume.tif", bytes));
