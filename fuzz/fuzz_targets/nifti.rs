#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let name = if bytes.starts_with(&[0x1f, 0x8b]) { "volume.nii.gz" } else { "volume.nii" };
    tomosieve_fuzz::read(name, bytes);
});
