#![no_main]
use tomosieve::config::Layers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = tomosieve_fuzz::file("config.toml", bytes);
    let layers = Layers::defaults().expect("the defaults are valid").file(&file);
    let _ = layers.and_then(Layers::build);
});
