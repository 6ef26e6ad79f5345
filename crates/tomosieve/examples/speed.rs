//! The product's side of `benches/peers/compare.py`: training steps, inference, stage 1 and views on request.
//!
//! Every line of standard input is a request in JSON, answered by one line of JSON. The script measures from
//! outside; here are only the product's own calls. `RAYON_NUM_THREADS` sets the threads.

#![allow(clippy::print_stdout)] // the answers are its output

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use burn::module::Module;
use serde::Deserialize;
use serde_json::{Value, json};
use tomosieve::augment::{self, StrongConfig};
use tomosieve::batches::{Batches, Stream, ahead, crops_at_once, generator};
use tomosieve::config::Layers;
use tomosieve::inference::Sweep;
use tomosieve::input::Input;
use tomosieve::lanes::Lanes;
use tomosieve::patch::Patch;
use tomosieve::phantom::{Acquisition, Phantom, PhantomSpec, Sample};
use tomosieve::pool::{Labelling, Pool};
use tomosieve::predictor::{Predict, Predictor};
use tomosieve::progress::Silent;
use tomosieve::run_dir::RunDir;
use tomosieve::scale::Scale;
use tomosieve::stages::{Context, cluster};
use tomosieve::student::Student;
use tomosieve_cluster::{Clustering, Histogram, KMeans};
use tomosieve_nn::kernels::heap::{Heap, give_back};
use tomosieve_nn::losses::LossConfig;
use tomosieve_nn::networks::{Network, NetworkConfig};
use tomosieve_nn::{checkpoint, device, teacher};
use tomosieve_volume::{Memory, OpenOptions, Region, Shape, VolumeReader};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CLASSES: usize = 4;
const SLICES: usize = 7;
const SEED: u64 = 7;

/// What can be asked for.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Request {
    /// Makes a student and writes its weights, and `keep` batches: images `f32`, then labels `u8`, each.
    Train { network: String, crop: usize, batch: usize, weights: PathBuf, batches: PathBuf, keep: usize },
    /// Takes training steps, drawing each batch.
    Steps { count: usize },
    /// Draws the batches of so many steps, weak and strong, and does nothing with them.
    Draw { count: usize },
    /// Blends a teacher from the student so many times.
    Blend { count: usize },
    /// Loads weights and some square slices; the first with its neighbours goes to `image` as `f32`.
    Model { network: String, size: usize, tile: usize, weights: PathBuf, image: PathBuf },
    /// Segments so many slices, at most four; answers with a checksum of the labels.
    Segment { count: usize },
    /// The probabilities of the whole slice, to a file.
    Probabilities { path: PathBuf },
    /// Opens a raw volume of `u16` named like `scan_512x1024x1024_uint16.raw`.
    Volume { path: PathBuf, run: PathBuf },
    /// Its histogram, as stage 1 makes it.
    Histogram {},
    /// Clusters, without labels.
    Fit { method: String, classes: usize },
    /// Stage 1 from the first voxel read to the last label written.
    Cluster { method: String, classes: usize },
    /// Strong views of so many random patches.
    Views { names: Vec<String>, count: usize, size: usize },
}

/// A student and where its batches come from.
struct Training {
    student: Student,
    taught: Network,
    step: usize,
    batches: Batches<'static>,
    lanes: Lanes,
}

/// A network and the slices it is shown.
struct Inference {
    predictor: Predictor,
    sweep: Sweep,
    volume: Memory,
}

#[derive(Default)]
struct Worker {
    training: Option<Training>,
    inference: Option<Inference>,
    stage1: Option<(Input, RunDir)>,
}

#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> Result<()> {
    give_back(); // as the program does
    let mut worker = Worker::default();
    for line in std::io::stdin().lock().lines() {
        println!("{}", worker.answer(serde_json::from_str(&line?)?)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

impl Worker {
    fn answer(&mut self, request: Request) -> Result<Value> {
        match request {
            Request::Train { network, crop, batch, weights, batches, keep } => {
                let training = Training::new(network, crop, batch)?;
                checkpoint::save(&training.student.network.valid(), &[].into(), &weights)?;
                let mut bytes = Vec::new();
                for step in 0..keep {
                    let batch = training.batches.draw_mixed(step, 0);
                    bytes.extend(batch.images.iter().flat_map(|v| v.to_le_bytes()));
                    bytes.extend(&batch.labels);
                }
                std::fs::write(&batches, &bytes)?;
                let parameters = training.student.network.num_params();
                self.training = Some(training);
                Ok(json!({ "parameters": parameters }))
            }
            Request::Steps { count } => Ok(json!({ "losses": self.training()?.steps(count) })),
            Request::Draw { count } => {
                let training = self.training()?;
                (0..count).for_each(|step| drop(std::hint::black_box(training.batches.draw(step))));
                Ok(json!({}))
            }
            Request::Blend { count } => {
                let training = self.training()?;
                for _ in 0..count {
                    training.taught =
                        teacher::blend(training.taught.clone(), &training.student.network, 0.998);
                }
                Ok(json!({}))
            }
            Request::Model { network, size, tile, weights, image } => {
                let inference = Inference::new(network, size, tile, &weights)?;
                let values: Vec<u8> = inference.slices()?.iter().flat_map(|v| v.to_le_bytes()).collect();
                std::fs::write(&image, &values)?;
                self.inference = Some(inference);
                Ok(json!({}))
            }
            Request::Segment { count } => {
                let Inference { predictor, sweep, volume } = self.inference()?;
                let mut sum = 0_u64;
                sweep.run(volume, predictor, Inference::slices_of(count), |slice| {
                    sum += slice.labels.iter().map(|&label| u64::from(label)).sum::<u64>();
                    Ok(())
                })?;
                Ok(json!({ "sum": sum }))
            }
            Request::Probabilities { path } => {
                let Inference { predictor, sweep, volume } = self.inference()?;
                let look = |images, shape| predictor.probabilities(images, shape);
                let mut found = Vec::new();
                sweep.blended(volume, &look, Inference::slices_of(1), |_, _, probabilities| {
                    found.extend(probabilities.iter().flat_map(|v| v.to_le_bytes()));
                    Ok(())
                })?;
                Ok(json!({ "bytes": std::fs::write(&path, &found).map(|()| found.len())? }))
            }
            Request::Volume { path, run } => {
                let input = Input::open(&path, &OpenOptions::default())?;
                self.stage1 = Some((input, RunDir::create(&run)?));
                Ok(json!({}))
            }
            Request::Histogram {} => {
                let voxels = self.in_stage1("kmeans", 4, cluster::histogram)?.total();
                Ok(json!({ "voxels": voxels }))
            }
            Request::Fit { method, classes } => {
                let values = self.in_stage1(&method, classes, cluster::histogram)?;
                let clusters = tomosieve_cluster::by_name(&method)?.fit(&values, classes)?;
                Ok(json!({ "thresholds": clusters.thresholds }))
            }
            Request::Cluster { method, classes } => {
                let clusters = self.in_stage1(&method, classes, cluster::run)?.clusters;
                Ok(json!({
                    "inertia": clusters.inertia,
                    "means": clusters.means,
                    "thresholds": clusters.thresholds,
                    "log_likelihood": clusters.log_likelihood,
                }))
            }
            Request::Views { names, count, size } => {
                let views = augment::strong(&StrongConfig {
                    views: names,
                    probability: 1.0,
                    ..StrongConfig::default()
                })?;
                for item in 0..count {
                    let mut rng = generator(SEED, Stream::Train, 0, item);
                    let image: Vec<f32> =
                        (0..SLICES * size * size).map(|i| (i % 251) as f32 / 251.0).collect();
                    let mut patch = Patch::new(SLICES, size, size, image, vec![0; size * size]);
                    views.iter().for_each(|view| view.apply(&mut patch, &mut rng));
                    std::hint::black_box(&patch);
                }
                Ok(json!({}))
            }
        }
    }

    fn training(&mut self) -> Result<&mut Training> {
        Ok(self.training.as_mut().ok_or("ask for `train` first")?)
    }

    fn inference(&self) -> Result<&Inference> {
        Ok(self.inference.as_ref().ok_or("ask for `model` first")?)
    }

    /// Does a part of stage 1.
    fn in_stage1<T>(
        &self,
        method: &str,
        classes: usize,
        part: impl FnOnce(&Context<'_>) -> tomosieve::Result<T>,
    ) -> Result<T> {
        let (input, run) = self.stage1.as_ref().ok_or("ask for `volume` first")?;
        // The peers do not look for shading.
        let layers =
            Layers::defaults()?.set("input.shading=off")?.set(&format!("cluster.method={method}"))?;
        let config = layers.set(&format!("input.classes={classes}"))?.build()?;
        Ok(part(&Context { config: &config, input, run, progress: &Silent, memory: 8 << 30 })?)
    }
}

impl Training {
    fn new(network: String, crop: usize, batch: usize) -> Result<Self> {
        let device = device::by_name("cpu")?;
        let training = device.clone().autodiff();
        let config = config(network);
        let network = Network::new(&config, SLICES, CLASSES, SEED, &training)?;
        let taught = network.valid();
        let student = Student::new(network, &config, &LossConfig::default(), &device)?;
        let side = 320.max(crop);
        let pool: &'static Pool = Box::leak(Box::new(pool([24, side, side], crop)?));
        let strong = StrongConfig::default();
        let batches = Batches {
            pool,
            batch,
            crop,
            weak: augment::weak(&["dihedral".to_owned()])?,
            strong: augment::strong(&strong)?,
            blind: 0.0,
            seed: SEED,
            stream: Stream::Train,
        };
        let lanes = Lanes::new(
            rayon::current_num_threads().min(batch.div_ceil(crops_at_once(batch, crop, &config))),
        )?;
        Ok(Self { student, taught, step: 0, batches, lanes })
    }

    fn steps(&mut self, count: usize) -> Vec<f64> {
        let mut losses = Vec::with_capacity(count);
        std::thread::scope(|scope| {
            let (steps, batches) = (self.step..self.step + count, &self.batches);
            for (step, batch) in ahead(scope, steps, |step| batches.draw_mixed(step, 0)) {
                losses.push(self.student.step(batch, None, 1e-3, step as u64, &self.lanes).loss);
            }
        });
        self.step += count;
        losses
    }
}

impl Inference {
    /// Most slices that are segmented.
    const SEGMENTED: usize = 4;

    /// The first slices that have all their neighbours.
    fn slices_of(count: usize) -> std::ops::Range<usize> {
        SLICES / 2..SLICES / 2 + count.min(Self::SEGMENTED)
    }

    fn new(network: String, size: usize, tile: usize, weights: &Path) -> Result<Self> {
        let device = device::by_name("cpu")?;
        let (volume, scale) = phantom([SLICES - 1 + Self::SEGMENTED, size, size])?;
        let mut settings = Layers::defaults()?.build()?;
        settings.network = config(network);
        let network = Network::new(&settings.network, SLICES, CLASSES, SEED, &device)?;
        let network = checkpoint::load(network, weights)?;
        let (lanes, depth) = (rayon::current_num_threads(), volume.shape().z);
        let mut sweep = Sweep { tile, overlap: 0, lanes, depth, ..Sweep::new(&settings, scale) };
        (sweep.slices, sweep.classes) = (SLICES, CLASSES);
        Ok(Self { predictor: Predictor::new(&network, &device), sweep, volume })
    }

    /// The scaled grey values of the patch, `[slices, y, x]`.
    fn slices(&self) -> Result<Vec<f32>> {
        let shape = self.volume.shape();
        let region = Region::slab(shape, 0..SLICES)?;
        let mut values = vec![0.0; region.voxels()];
        self.volume.read(&region, &mut values)?;
        self.sweep.scale.apply_all(&mut values);
        Ok(values)
    }
}

/// A network of its own widths, without dropout.
fn config(name: String) -> NetworkConfig {
    NetworkConfig { name, widths: Vec::new(), groups: 4, dropout: 0.0 }
}

/// A phantom in memory, and its scale.
fn phantom(shape: [usize; 3]) -> Result<(Memory, Scale)> {
    let spec =
        PhantomSpec { shape, acquisition: Acquisition::Noise, ..PhantomSpec::new(Sample::Intergrowth, SEED) };
    let phantom = Phantom::new(spec)?;
    let voxels: Vec<f32> = (0..shape[0]).flat_map(|z| phantom.slice(z).image).collect();
    let (low, high) =
        voxels.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
    let [z, y, x] = shape;
    Ok((Memory::new(Shape::new(z, y, x), voxels)?, Scale { low, high }))
}

/// Crops of a phantom with the pseudo labels of k-means.
fn pool(shape: [usize; 3], crop: usize) -> Result<Pool> {
    let (volume, scale) = phantom(shape)?;
    let mut values = vec![0.0; volume.shape().voxels()];
    volume.read(&Region::whole(volume.shape()), &mut values)?;
    let mut histogram = Histogram::uniform(f64::from(scale.low), f64::from(scale.high), 1 << 16)?;
    histogram.add(&values);
    let clusters = KMeans::default().fit(&histogram, CLASSES)?;
    let mut rng = generator(SEED, Stream::Pool, 0, 0);
    let plan = Pool::plan(volume.shape(), SLICES, crop, usize::MAX, &mut rng)?;
    let labelling = Labelling::Clusters { clusters: &clusters, rims: None };
    Ok(Pool::load(&volume, plan, SLICES, scale, &labelling, |_| ())?)
}
