//! Labels against a truth (Sec. IV-C): of a whole run, stage by stage, or of any label volume.

use std::collections::BTreeMap;

use serde::Serialize;
use tomosieve_volume::{Region, VolumeReader};

use super::{Context, predict};
use crate::config::Layers;
use crate::metrics::{ConfusionMatrix, Reliability, ReliabilityCurve, Scores};
use crate::progress::Progress;
use crate::provenance::Provenance;
use crate::run_dir::RunDir;
use crate::summary::Summary;
use crate::{Error, Result, drawing, model, plan, reliability_chart, report};

/// Bins of a reliability curve.
const BINS: usize = 15;

/// Which truth labels are special.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Special {
    /// The class that the scores without background leave out.
    pub background: u8,
    /// The label of voxels that do not count.
    pub ignore: u8,
}

/// Scores by stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// `pseudo_labels`, `train` and `correct` of a run; `labels` of a label volume.
    pub stages: BTreeMap<&'static str, Scores>,
    /// Mean confidence on the labelled slices of the networks after `train` and `correct`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub confidence: BTreeMap<&'static str, f64>,
    /// How often the result is right where it is so sure, if the run kept its confidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reliability: Option<ReliabilityCurve>,
}

/// A truth, opened and looked through once.
pub struct Truth {
    reader: Box<dyn VolumeReader>,
    classes: usize,
    /// Slices on which at least one voxel counts.
    labelled: Vec<bool>,
    special: Special,
}

impl Truth {
    /// Looks through the truth for its classes and its labelled slices.
    ///
    /// # Errors
    /// [`Error::Input`] when nothing in it counts, or what the reader says.
    pub fn new(reader: Box<dyn VolumeReader>, special: Special) -> Result<Self> {
        let shape = reader.shape();
        let mut classes = 0;
        let mut labelled = vec![false; shape.z];
        for (z, slot) in labelled.iter_mut().enumerate() {
            let slice = labels_of(reader.as_ref(), z)?;
            let counted = slice.iter().filter(|&&label| label != special.ignore);
            let highest = counted.map(|&label| usize::from(label) + 1).max().unwrap_or(0);
            *slot = highest > 0;
            classes = classes.max(highest);
        }
        if classes == 0 {
            return Err(Error::Input(format!(
                "`{}`: every voxel is {}, the label to ignore; nothing to compare with",
                reader.info().source.display(),
                special.ignore
            )));
        }
        Ok(Self { reader, classes, labelled, special })
    }

    /// Scores of a label volume.
    ///
    /// # Errors
    /// [`Error::Input`] when the shapes differ, or what the readers say.
    pub fn score(&self, labels: &dyn VolumeReader) -> Result<Scores> {
        self.same_shape(labels)?;
        let mut matrix = ConfusionMatrix::new(self.classes, 256)?;
        for z in self.slices() {
            self.add(&mut matrix, z, &labels_of(labels, z)?)?;
        }
        self.scores(&matrix)
    }

    /// How often labels, whose classes are those of `mapping`, are right where they are so sure.
    fn reliability(
        &self,
        labels: &dyn VolumeReader,
        confidence: &dyn VolumeReader,
        mapping: &[u8],
    ) -> Result<ReliabilityCurve> {
        let mut reliability = Reliability::new(BINS)?;
        for z in self.slices() {
            let truth = labels_of(self.reader.as_ref(), z)?;
            let (labels, sure) = (labels_of(labels, z)?, labels_of(confidence, z)?);
            let counted = |i: &usize| truth[*i] != self.special.ignore;
            let right = |i: usize| mapping.get(usize::from(labels[i])) == Some(&truth[i]);
            let confidence: Vec<f32> =
                (0..truth.len()).filter(counted).map(|i| f32::from(sure[i]) / 255.0).collect();
            let right: Vec<bool> = (0..truth.len()).filter(counted).map(right).collect();
            reliability.add(&confidence, &right)?;
        }
        Ok(reliability.curve())
    }

    /// Slices with something to compare.
    fn slices(&self) -> impl Iterator<Item = usize> + '_ {
        self.labelled.iter().enumerate().filter(|(_, labelled)| **labelled).map(|(z, _)| z)
    }

    fn same_shape(&self, labels: &dyn VolumeReader) -> Result<()> {
        let (got, expected) = (labels.shape(), self.reader.shape());
        if got == expected {
            return Ok(());
        }
        Err(Error::Input(format!(
            "`{}` is {got}, the truth is {expected}; they must be of one shape",
            labels.info().source.display()
        )))
    }

    fn add(&self, matrix: &mut ConfusionMatrix, z: usize, labels: &[u8]) -> Result<()> {
        let truth = labels_of(self.reader.as_ref(), z)?;
        Ok(matrix.add(&truth, labels, Some(self.special.ignore))?)
    }

    /// The scores of a matrix whose columns may be more than the clusters there are.
    fn scores(&self, matrix: &ConfusionMatrix) -> Result<Scores> {
        let used = matrix.predicted_totals().iter().rposition(|&count| count > 0).map_or(1, |last| last + 1);
        let rows = matrix.rows().iter().map(|row| row[..used].to_vec()).collect();
        Ok(Scores::matched(&ConfusionMatrix::from_rows(rows)?, Some(self.special.background)))
    }
}

/// Scores of pseudo labels, stage-2 network and result of a run.
///
/// The stage-2 map is not kept in the run folder; its network segments the labelled slices anew.
///
/// # Errors
/// [`Error::Input`] when the truth does not fit, or when a volume or model cannot be read.
pub fn run(context: &Context<'_>, truth: &Truth) -> Result<Evaluation> {
    let Context { input, run, progress, .. } = *context;
    let mut evaluation = Evaluation::default();
    let pseudo = RunDir::open_labels(&run.pseudo_labels())?;
    evaluation.stages.insert("pseudo_labels", truth.score(pseudo.as_ref())?);
    let student = run.student(Provenance::start(run)?);
    if student.is_file() {
        let model = model::load(&student, &context.device()?)?;
        let sweep = predict::sweep(context, &model)?;
        let stage1 = context.stage1()?;
        let volume = context.volume(&stage1);
        let mut matrix = ConfusionMatrix::new(truth.classes, 256)?;
        let slices: Vec<usize> = truth.slices().collect();
        let mut sure = 0_u64;
        progress.begin("segmenting with the stage-2 network", slices.len() as u64, 0, "slices");
        // Runs of neighbouring labelled slices share their slabs.
        for stretch in slices.chunk_by(|a, b| a + 1 == *b) {
            let wanted = stretch[0]..stretch[stretch.len() - 1] + 1;
            sweep.run(volume.as_ref(), &model.predictor, wanted, |slice| {
                progress.advance(1, "");
                sure += slice.confidence.iter().map(|&c| u64::from(c)).sum::<u64>();
                truth.add(&mut matrix, slice.z, slice.labels)
            })?;
        }
        progress.end();
        evaluation.stages.insert("train", truth.scores(&matrix)?);
        let voxels = slices.len() * input.shape().slice_voxels();
        evaluation.confidence.insert("train", sure as f64 / 255.0 / voxels as f64);
    }
    if run.segmentation().exists() {
        let result = RunDir::open_labels(&run.segmentation())?;
        let scores = truth.score(result.as_ref())?;
        if run.confidence().exists() {
            let confidence = RunDir::open_labels(&run.confidence())?;
            let curve = truth.reliability(result.as_ref(), confidence.as_ref(), &scores.mapping)?;
            if let Some(mean) = curve.mean_confidence {
                evaluation.confidence.insert("correct", mean);
            }
            evaluation.reliability = Some(curve);
        }
        evaluation.stages.insert("correct", scores);
    }
    Ok(evaluation)
}

/// Scores of a finished run, kept in its metrics and its report.
///
/// # Errors
/// As [`run`]; also when the run's volume is no longer there, or a file cannot be written.
pub fn record(run: &RunDir, truth: &Truth, progress: &dyn Progress) -> Result<Evaluation> {
    let config = Layers::defaults()?.file(&run.config())?.build()?;
    let (input, _) = Provenance::read(run)?.input.open()?;
    let memory = plan::memory_limit(&config)?;
    let context = Context { config: &config, input: &input, run, progress, memory };
    let evaluation = self::run(&context, truth)?;
    if let Some(mut summary) = run.read_json::<Summary>(&run.metrics())? {
        summary.evaluation = serde_json::to_value(&evaluation).ok();
        run.write_json(&run.metrics(), &summary)?;
        if let Some(curve) = evaluation.reliability.as_ref().filter(|_| run.previews().is_dir()) {
            drawing::save(run, &reliability_chart::draw(curve), &run.reliability_picture())?;
        }
        report::write(run, &config, &Provenance::read(run)?)?;
    }
    Ok(evaluation)
}

/// The labels of one slice.
fn labels_of(reader: &dyn VolumeReader, z: usize) -> Result<Vec<u8>> {
    let shape = reader.shape();
    let mut values = vec![0.0_f32; shape.slice_voxels()];
    reader.read(&Region::slab(shape, z..z + 1)?, &mut values)?;
    if let Some(odd) = values.iter().find(|v| !(0.0..=255.0).contains(*v) || v.fract() != 0.0) {
        return Err(Error::Input(format!(
            "`{}`, slice {z}: {odd} is no label; expected whole numbers from 0 to 255",
            reader.info().source.display()
        )));
    }
    Ok(values.into_iter().map(|v| v as u8).collect())
}
