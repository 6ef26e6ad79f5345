//! Semi-synthetic sets: real, nearly bimodal volumes whose own threshold is the truth, and noise like a scan's on top.

use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tomosieve::Result;
use tomosieve::input::Input;
use tomosieve::run_dir::RunDir;
use tomosieve_cluster::{Clustering, Histogram, MultiOtsu};
use tomosieve_volume::{
    OpenOptions, OutputKind, OutputMeta, Region, Shape, TiffCompression, VoxelType, Voxels,
};

use crate::{Asked, Place, head, rows};

/// The sets, of 8 or 16 bits.
const SETS: [&str; 3] = ["u_spam_snow", "u_trabecular_bone_lhdl", "u_qim3d_cement"];
/// The part of a set that is used, at most.
const MOST: [usize; 3] = [48, 160, 160];
/// Standard deviation of the noise, in distances between the means of the two classes.
const NOISE: f64 = 0.5;

/// The table of the sets in `folder`; the noisy volumes go to `output`.
pub(crate) fn table(folder: &Path, output: &Path, words: &[&str]) -> Result<()> {
    head();
    let asked = Asked::new(words);
    for set in SETS.into_iter().filter(|set| asked.has(set)) {
        let made = output.join(set);
        if !made.join("volume").exists() {
            make(&folder.join(set).join("images"), &made)?;
        }
        let place = Place { name: set, volume: &made.join("volume"), truth: &made.join("truth") };
        let settings = asked.settings(&["input.classes=2".to_owned()]);
        rows(&place, &asked.runs(output), "quick", &settings, None)?;
    }
    Ok(())
}

/// Writes the middle of a volume with noise on it, and its classes without.
fn make(images: &Path, output: &Path) -> Result<()> {
    let input = Input::open(images, &OpenOptions::default())?;
    let whole = input.shape();
    let whole = [whole.z, whole.y, whole.x];
    let size = [0, 1, 2].map(|axis| whole[axis].min(MOST[axis]));
    let start = [0, 1, 2].map(|axis| (whole[axis] - size[axis]) / 2);
    let region = Region::new(input.shape(), start, size)?;
    let mut clean = vec![0.0_f32; region.voxels()];
    input.reader.read(&region, &mut clean)?;

    let mut histogram = Histogram::integer(0, 65_535)?;
    histogram.add(&clean);
    let clusters = MultiOtsu::default().fit(&histogram, 2)?;
    let mut truth = vec![0_u8; clean.len()];
    clusters.assign_slice(&clean, &mut truth)?;
    let apart = clusters.means[1] - clusters.means[0];

    let [_, height, width] = size;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let noisy = clean.chunks_exact(height * width).flat_map(|slice| {
        let noise = noise(height, width, &mut rng);
        // The darkest classes keep room below them.
        let value = |(&v, noise): (&f32, f64)| {
            16_384.0 + 16_384.0 * (f64::from(v) - clusters.means[0] + NOISE * apart * noise) / apart
        };
        slice.iter().zip(noise).map(value).map(|v| v.round().clamp(0.0, 65_535.0) as u16).collect::<Vec<_>>()
    });
    let noisy: Vec<u16> = noisy.collect();
    RunDir::create(output)?;
    let shape = Shape::from(size);
    for (name, voxels, voxel_type) in
        [("truth", Voxels::U8(&truth), VoxelType::U8), ("volume", Voxels::U16(&noisy), VoxelType::U16)]
    {
        let meta = OutputMeta { compression: TiffCompression::None, ..OutputMeta::default() };
        let mut writer =
            tomosieve_volume::create(OutputKind::TiffFolder, &output.join(name), shape, voxel_type, &meta)?;
        writer.write(voxels)?;
        writer.finish()?;
    }
    Ok(())
}

/// Gaussian noise of unit variance, a pixel of it correlated with its neighbours as reconstruction leaves it.
fn noise(height: usize, width: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let draw: Vec<f64> = StandardNormal.sample_iter(rng).take(height * width).collect();
    let at = |y: usize, x: usize| draw[(y % height) * width + x % width];
    let taps = |side: usize| [(side - 1, 0.25), (0, 0.5), (1, 0.25)];
    // The variance that [¼ ½ ¼] leaves is ⅜ along each axis.
    (0..height * width)
        .map(|i| {
            let (y, x) = (i / width, i % width);
            let rows = taps(height).into_iter();
            let sum = rows.flat_map(|(dy, wy)| taps(width).map(|(dx, wx)| wy * wx * at(y + dy, x + dx)));
            sum.sum::<f64>() / 0.375
        })
        .collect()
}
