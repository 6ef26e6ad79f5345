//! The stages of the method, one file each. They meet only in the run folder.

use tomosieve_nn::device;
use tomosieve_volume::VolumeReader;

use crate::batches::{Stream, generator};
use crate::config::Config;
use crate::input::Input;
use crate::lanes::Lanes;
use crate::partial_volume::Rims;
use crate::plan::TrainingLanes;
use crate::pool::{Labelling, Pool};
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::shading::Unshaded;
use crate::{Error, Result};

pub mod cluster;
pub mod correct;
pub mod evaluate;
pub mod explain;
pub mod predict;
pub mod train;

/// What every stage works with.
pub struct Context<'a> {
    /// The settings, fitted to the volume.
    pub config: &'a Config,
    /// The volume.
    pub input: &'a Input,
    /// The run folder.
    pub run: &'a RunDir,
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// Most bytes to use.
    pub memory: u64,
}

impl Context<'_> {
    /// The device of the settings.
    fn device(&self) -> Result<burn::tensor::Device> {
        Ok(device::by_name(&self.config.device)?)
    }

    /// What stage 1 found.
    pub(crate) fn stage1(&self) -> Result<cluster::Stage1> {
        let path = self.run.clusters();
        let found: Option<cluster::Stage1> = self.run.read_json(&path)?;
        let stage1 = found.ok_or_else(|| Error::file(&path, "missing; run `tomosieve cluster` first"))?;
        if stage1.shading.as_ref().is_some_and(|shading| !shading.is_sound()) {
            return Err(Error::file(path, "damaged; delete it and run `tomosieve cluster` again"));
        }
        Ok(stage1)
    }

    /// The volume as all stages see it: without the shading that stage 1 found.
    pub(crate) fn volume<'a>(&'a self, stage1: &'a cluster::Stage1) -> Box<dyn VolumeReader + 'a> {
        let reader = self.input.reader.as_ref();
        match &stage1.shading {
            Some(shading) => Box::new(Unshaded::new(reader, shading)),
            None => Box::new(reader),
        }
    }

    /// Where partial-volume rims go, if they are to go anywhere.
    fn rims(&self, stage1: &cluster::Stage1) -> Option<Rims> {
        self.config.train.partial_volume.then(|| Rims::new(stage1.scaled_means()))
    }

    /// Where the starts of a training with such batches go side by side, and the parts of a start's batch.
    fn lanes(&self, crop: usize, batch: usize) -> Result<(Lanes, Lanes)> {
        let shape = self.input.shape();
        let TrainingLanes { starts, parts } =
            TrainingLanes::plan(self.config, shape, crop, batch, self.memory);
        Ok((Lanes::new(starts)?, Lanes::new(parts)?))
    }

    /// What a training stage draws its crops from, labelled by stage 1.
    fn pool(&self, stage1: &cluster::Stage1) -> Result<Pool> {
        let labelling = Labelling::Clusters { clusters: &stage1.clusters, rims: self.rims(stage1) };
        self.labelled_pool(stage1, &labelling)
    }

    /// The same, labelled in a way of its own. The pool's boxes are the same for stages 2 and 3.
    fn labelled_pool(&self, stage1: &cluster::Stage1, labelling: &Labelling<'_>) -> Result<Pool> {
        let (config, shape) = (self.config, self.input.shape());
        let crop = config.train.crop.max(config.correct.crop);
        let mut rng = generator(config.seed, Stream::Pool, 0, 0);
        let voxels = crate::plan::pool_voxels(config, self.memory);
        let plan = Pool::plan(shape, config.input.slices, crop, voxels, &mut rng)?;
        let total: usize = plan.iter().map(|(region, _)| region.voxels()).sum();
        self.progress.begin("reading crops", total as u64, 0, "voxels");
        let (volume, slices) = (self.volume(stage1), config.input.slices);
        let pool = Pool::load(volume.as_ref(), plan, slices, stage1.scale, labelling, |voxels| {
            self.progress.advance(voxels as u64, "");
        })?;
        self.progress.end();
        Ok(pool)
    }
}

/// Steps of a training stage: `steps`, or `epochs` of one crop per slice.
pub fn steps(steps: usize, epochs: usize, slices: usize, batch: usize) -> usize {
    if epochs == 0 { steps } else { epochs * slices.div_ceil(batch) }
}

/// Whether there is a check after `step` of `total` steps: `checks` times, the end included.
fn is_check(step: usize, total: usize, checks: usize) -> bool {
    step * checks / total > (step - 1) * checks / total
}
