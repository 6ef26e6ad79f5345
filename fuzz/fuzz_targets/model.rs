#![no_main]
use tomosieve_nn::device;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = tomosieve_fuzz::file("model.safetensors", bytes);
    let _ = tomosieve::model::load(&file, &device::by_name("cpu").expect("every build has it"));
});
