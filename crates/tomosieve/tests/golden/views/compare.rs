//! What Albumentations and `OpenCV` answer on the same parameters.

use serde::Deserialize;
use tomosieve::augment::brightness_contrast::multiply_add;
use tomosieve::augment::clahe::{Grid, clahe};
use tomosieve::augment::color_jitter::{Order, jitter};
use tomosieve::augment::gamma::gamma;
use tomosieve::augment::symmetry::Symmetry;
use tomosieve::patch::Patch;

use crate::assert_close;

/// The peers' answers; `make_views.py` writes them.
#[derive(Deserialize)]
struct Golden {
    size: [usize; 2],
    image: String,
    pointwise: Pointwise,
    clahe: Vec<ClaheCase>,
    symmetries: Vec<SymmetryCase>,
}

#[derive(Deserialize)]
struct Pointwise {
    size: [usize; 2],
    gamma: Vec<GammaCase>,
    brightness_contrast: Vec<BrightnessContrastCase>,
    color_jitter: Vec<JitterCase>,
}

#[derive(Deserialize)]
struct GammaCase {
    exponent: f64,
    out: String,
}

#[derive(Deserialize)]
struct BrightnessContrastCase {
    alpha: f64,
    beta: f64,
    out: String,
}

#[derive(Deserialize)]
struct JitterCase {
    brightness: f64,
    contrast: f64,
    brightness_first: bool,
    out: String,
}

#[derive(Deserialize)]
struct ClaheCase {
    size: [usize; 2],
    grid: [usize; 2],
    clip: f64,
    out: String,
}

#[derive(Deserialize)]
struct SymmetryCase {
    name: String,
    out: String,
}

impl Golden {
    fn load() -> Self {
        let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/views/views.json");
        let path = std::env::var_os("TOMOSIEVE_VIEWS_GOLDEN").unwrap_or_else(|| committed.into());
        let text = std::fs::read_to_string(path).expect("the golden file");
        serde_json::from_str(&text).expect("the golden file's fields")
    }

    /// The upper left corner of the image.
    fn corner(&self, [height, width]: [usize; 2]) -> Vec<f32> {
        let rows = hex(&self.image, 3).map(|number| number as f32 / 4095.0).collect::<Vec<_>>();
        rows.chunks(self.size[1]).take(height).flat_map(|row| row[..width].iter().copied()).collect()
    }

    /// The same as a patch of one slice.
    fn patch(&self, size: [usize; 2]) -> Patch {
        Patch::new(1, size[0], size[1], self.corner(size), vec![0; size[0] * size[1]])
    }
}

/// Numbers of so many hexadecimal digits.
fn hex(text: &str, digits: usize) -> impl Iterator<Item = u32> {
    let piece = move |i: usize| &text[i..i + digits];
    (0..text.len())
        .step_by(digits)
        .map(move |i| u32::from_str_radix(piece(i), 16).expect("hexadecimal digits"))
}

fn floats(text: &str) -> Vec<f32> {
    hex(text, 8).map(|bits| f32::from_bits(bits.swap_bytes())).collect()
}

#[test]
fn gamma_agrees() {
    let golden = Golden::load();
    for GammaCase { exponent, out } in &golden.pointwise.gamma {
        let mut image = golden.corner(golden.pointwise.size);
        gamma(&mut image, *exponent);
        assert_close(&image, &floats(out), 5e-7, &format!("gamma {exponent}"));
    }
}

#[test]
fn brightness_contrast_agrees() {
    let golden = Golden::load();
    for BrightnessContrastCase { alpha, beta, out } in &golden.pointwise.brightness_contrast {
        let mut image = golden.corner(golden.pointwise.size);
        multiply_add(&mut image, *alpha, *beta);
        assert_close(&image, &floats(out), 3e-7, &format!("{alpha}·x + {beta}"));
    }
}

#[test]
fn color_jitter_agrees() {
    let golden = Golden::load();
    for case in &golden.pointwise.color_jitter {
        let mut patch = golden.patch(golden.pointwise.size);
        let order = if case.brightness_first { Order::BrightnessFirst } else { Order::ContrastFirst };
        jitter(&mut patch, case.brightness, case.contrast, order);
        let what = format!("brightness {}, contrast {}, {order:?}", case.brightness, case.contrast);
        assert_close(&patch.image, &floats(&case.out), 5e-7, &what);
    }
}

#[test]
fn clahe_is_equal() {
    let golden = Golden::load();
    for ClaheCase { size, grid: [x, y], clip, out } in &golden.clahe {
        let mut image = golden.corner(*size);
        clahe(&mut image, size[1], *clip, Grid::Tiles { x: *x, y: *y });
        let theirs: Vec<f32> = hex(out, 2).map(|grey| grey as f32 / 255.0).collect();
        assert_eq!(image, theirs, "{size:?} in {x}×{y} tiles, clip limit {clip}");
    }
}

#[test]
fn symmetries_are_equal() {
    let golden = Golden::load();
    for SymmetryCase { name, out } in &golden.symmetries {
        let symmetry = match name.as_str() {
            "identity" => Symmetry::IDENTITY,
            "rotate_90" => Symmetry::ROTATE_90,
            "rotate_180" => Symmetry::ROTATE_180,
            "rotate_270" => Symmetry::ROTATE_270,
            "flip_vertical" => Symmetry::FLIP_VERTICAL,
            "flip_horizontal" => Symmetry::FLIP_HORIZONTAL,
            "transpose" => Symmetry::TRANSPOSE,
            "anti_transpose" => Symmetry::ANTI_TRANSPOSE,
            other => panic!("symmetry {other}"),
        };
        let mut patch = golden.patch([5, 5]);
        symmetry.apply(&mut patch);
        assert_eq!(*patch.image, floats(out), "{name}");
    }
}
