#![no_main]
//! The sidecar that tells what a raw file holds.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let volume = tomosieve_fuzz::file("volume.raw", &[7; 4096]);
    tomosieve_fuzz::file("volume.raw.json", bytes);
    tomosieve_fuzz::open_and_read(&volume);
});
