#![no_main]
//! The metadata of an array whose chunks are whole.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let array = tomosieve_fuzz::zarr();
    std::fs::write(array.join("zarr.json"), bytes).expect("the metadata can be written");
    tomosieve_fuzz::open_and_read(&array);
});
