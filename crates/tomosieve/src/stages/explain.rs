//! Where the networks of stages 2 and 3 find what speaks for each class (Sec. IV-K, Fig. 11): Grad-CAM heat
//! maps of one slice.
//!
//! The slice is seen as inference sees it, window by window: each window gives its own maps
//! ([`tomosieve_nn::gradcam`]), and they are blended with the weights that blend probabilities. Only then is
//! each map divided by its largest value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use serde::Serialize;
use tomosieve_nn::gradcam::{self, GradCam};
use tomosieve_nn::kernel_ops::data;
use tomosieve_nn::kernels::Buffer;
use tomosieve_volume::{OutputKind, OutputMeta, Region, Shape, TiffCompression, VoxelType, Voxels};

use super::{Context, predict};
use crate::config::Layers;
use crate::explain_picture::{self, Row};
use crate::inference::Sweep;
use crate::ledger::Stage;
use crate::predictor::{as_f32, values};
use crate::progress::Progress;
use crate::provenance::Provenance;
use crate::run_dir::RunDir;
use crate::scale::Scale;
use crate::{Error, Result, drawing, model, plan};

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// z of the slice.
    pub slice: usize,
    /// The only class to look at; all without.
    pub class: Option<usize>,
    /// The activation to ask at; the network's own default without ([`gradcam::default_layer`]).
    pub layer: Option<String>,
}

/// The answer, and where it lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// z of the slice.
    pub slice: usize,
    /// The activation that was asked.
    pub layer: String,
    /// The heat maps laid over the slice.
    pub picture: PathBuf,
    /// `train` and, once there is one, `correct`.
    pub stages: BTreeMap<&'static str, StageMaps>,
}

/// The maps of one stage's network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageMaps {
    /// A TIFF of 32-bit floats in `[0, 1]`, one page for each of [`classes`](Self::classes).
    pub maps: PathBuf,
    /// The classes that were looked at.
    pub classes: Vec<ClassMap>,
}

/// The map of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassMap {
    /// The class.
    pub class: usize,
    /// Share of the slice that the network gives to it.
    pub fraction: f64,
    /// What 1 in the map stands for; 0 when the network gives it no pixel, or nothing speaks for it.
    pub peak: f32,
}

/// Explains a slice of a run, which must be done up to stage 2 at least.
///
/// # Errors
/// As [`explain`]; also when the run's volume is no longer there.
pub fn run(run: &RunDir, question: &Question, progress: &dyn Progress) -> Result<Explanation> {
    let config = Layers::defaults()?.file(&run.config())?.build()?;
    let (input, _) = Provenance::read(run)?.input.open()?;
    let memory = plan::memory_limit(&config)?;
    explain(&Context { config: &config, input: &input, run, progress, memory }, question)
}

/// Explains a slice and writes picture, maps and record.
///
/// # Errors
/// [`Error::Config`] for a slice, class or layer that does not exist, [`Error::Input`] when there is no network
/// yet, [`Error::Stopped`], or when a file cannot be read or written.
pub fn explain(context: &Context<'_>, question: &Question) -> Result<Explanation> {
    let Context { input, run, .. } = *context;
    let (shape, z) = (input.shape(), question.slice);
    if z >= shape.z {
        return Err(Error::Config(format!("there is no slice {z}; expected 0 to {}", shape.z - 1)));
    }
    let trained = [(Stage::Train, run.student(Provenance::start(run)?)), (Stage::Correct, run.model())];
    let trained: Vec<_> = trained.into_iter().filter(|(_, path)| path.is_file()).collect();
    if trained.is_empty() {
        let folder = run.root().display();
        return Err(Error::Input(format!(
            "`{folder}` has no network to explain yet; run `tomosieve train {folder}` first"
        )));
    }
    let seen = trained
        .into_iter()
        .map(|(stage, path)| Seen::new(context, question, stage, &path))
        .collect::<Result<Vec<_>>>()?;
    let folder = run.explanations();
    std::fs::create_dir_all(&folder).map_err(|e| Error::file(&folder, e))?;
    let layer = seen[0].layer.clone();
    let file = |ending: &str| run.explanation(z, &layer, question.class, ending);
    let mut stages = BTreeMap::new();
    for seen in &seen {
        let maps = file(&format!("_{}.tif", seen.stage.name()));
        write_maps(&maps, shape, &seen.maps)?;
        stages.insert(seen.stage.name(), StageMaps { maps, classes: seen.classes.clone() });
    }
    let picture = file(".png");
    let rows: Vec<Row<'_>> = seen.iter().map(Seen::row).collect();
    let drawn = explain_picture::draw(&grey_values(context, z, seen[0].scale)?, shape, z, &layer, &rows);
    drawing::save(run, &drawn, &picture)?;
    let explanation = Explanation { slice: z, layer: layer.clone(), picture, stages };
    run.write_json(&file(".json"), &explanation)?;
    Ok(explanation)
}

/// What one network makes of the slice.
struct Seen {
    stage: Stage,
    layer: String,
    scale: Scale,
    /// The class of each pixel, `[y, x]`.
    labels: Vec<u8>,
    classes: Vec<ClassMap>,
    /// The map of each of the classes, `[y, x]`.
    maps: Vec<Vec<f32>>,
}

impl Seen {
    /// Looks at the slice with the network of a stage.
    fn new(context: &Context<'_>, question: &Question, stage: Stage, path: &Path) -> Result<Self> {
        let Context { input, progress, .. } = *context;
        let (z, shape, stage1) = (question.slice, input.shape(), context.stage1()?);
        let volume = context.volume(&stage1);
        let reader = volume.as_ref();
        let training = context.device()?.autodiff();
        let model = model::load(path, &context.device()?)?;
        let classes = match question.class {
            None => (0..model.classes).collect(),
            Some(class) if class < model.classes => vec![class],
            Some(class) => {
                let last = model.classes - 1;
                return Err(Error::Config(format!("there is no class {class}; expected 0 to {last}")));
            }
        };
        let network = model::load_traced(path, &model, &training)?;
        let cam = GradCam::new(network, model.slices, question.layer.as_deref(), &training)?;
        let sweep = Sweep { depth: 1, ..predict::sweep(context, &model)? };

        let mut labels = Vec::new();
        sweep.run(reader, &model.predictor, z..z + 1, |slice| {
            labels.extend_from_slice(slice.labels);
            Ok(())
        })?;
        let windows = sweep.windows(shape)? / shape.z;
        progress.begin(&format!("explaining {}", stage.name()), windows as u64, 0, "windows");
        let look = |images, dims: [usize; 4]| {
            let [n, _, h, w] = dims;
            if progress.stopped() {
                return Buffer::zeroed(n * classes.len() * h * w);
            }
            let x = Tensor::<4>::from_data(data(images, dims), &training);
            let maps = Buffer::from(as_f32(&values(cam.maps(&x, &classes))));
            progress.advance(n as u64, "");
            maps
        };
        let mut maps: Vec<Vec<f32>> = Vec::new();
        Sweep { classes: classes.len(), ..sweep }.blended(reader, &look, z..z + 1, |_, _, blended| {
            maps = blended.chunks_exact(shape.slice_voxels()).map(<[f32]>::to_vec).collect();
            Ok(())
        })?;
        progress.end();
        if progress.stopped() {
            return Err(Error::Stopped { stage: "explain" });
        }
        let classes = classes.into_iter().zip(&mut maps).map(|(class, map)| {
            let count = labels.iter().filter(|&&label| usize::from(label) == class).count();
            let fraction = count as f64 / labels.len() as f64;
            ClassMap { class, fraction, peak: gradcam::normalise(map) }
        });
        let classes = classes.collect();
        Ok(Self { stage, layer: cam.layer().to_owned(), scale: model.scale, labels, classes, maps })
    }

    /// As the picture shows it.
    fn row(&self) -> Row<'_> {
        let name = if self.stage == Stage::Train { "stage 2" } else { "stage 3" };
        let heats = self.classes.iter().zip(&self.maps);
        Row { name, labels: &self.labels, heats: heats.map(|(of, map)| (of.class, map.as_slice())).collect() }
    }
}

/// Writes maps as the pages of a TIFF.
fn write_maps(path: &Path, shape: Shape, maps: &[Vec<f32>]) -> Result<()> {
    let meta = OutputMeta { compression: TiffCompression::Lzw, ..OutputMeta::default() };
    let pages = Shape::new(maps.len(), shape.y, shape.x);
    let mut writer = tomosieve_volume::create(OutputKind::TiffStack, path, pages, VoxelType::F32, &meta)?;
    for map in maps {
        writer.write(Voxels::F32(map))?;
    }
    Ok(writer.finish()?)
}

/// The slice's grey values as the networks see them, in `[0, 1]`, `[y, x]`.
fn grey_values(context: &Context<'_>, z: usize, scale: Scale) -> Result<Vec<f32>> {
    let shape = context.input.shape();
    let mut values = vec![0.0; shape.slice_voxels()];
    let stage1 = context.stage1()?;
    context.volume(&stage1).read(&Region::slab(shape, z..z + 1)?, &mut values)?;
    scale.apply_all(&mut values);
    Ok(values)
}
