//! Single pieces of a run, tried out and timed.

use std::time::Instant;

use burn::module::Module;
use tomosieve_nn::networks::Network;
use tomosieve_volume::Region;

use crate::Result;
use crate::batches::Batch;
use crate::config::Config;
use crate::inference::Sweep;
use crate::input::Input;
use crate::lanes::Lanes;
use crate::plan::TrainingLanes;
use crate::predictor::{Predict, Predictor};
use crate::student::Student;

/// What single pieces of the work take on this machine, seconds.
pub(super) struct Trial {
    pub(super) parameters: usize,
    /// Reading one slice.
    pub(super) read: f64,
    /// One step of stage 2 in all starts.
    pub(super) train: f64,
    /// One step of stage 3 in all starts.
    pub(super) correct: f64,
    /// Segmenting one window.
    pub(super) window: f64,
}

impl Trial {
    pub(super) fn run(
        config: &Config,
        input: &Input,
        sweep: &Sweep,
        lanes: [TrainingLanes; 2],
        network: bool,
    ) -> Result<Self> {
        let shape = input.shape();
        let started = Instant::now();
        let mut slice = vec![0.0_f32; shape.slice_voxels()];
        input.reader.read(&Region::slab(shape, shape.z / 2..shape.z / 2 + 1)?, &mut slice)?;
        let read = started.elapsed().as_secs_f64();

        if !network {
            return Ok(Self { parameters: 0, read, train: 0.0, correct: 0.0, window: 0.0 });
        }
        let device = tomosieve_nn::device::by_name(&config.device)?;
        let (c, k) = (config.input.slices, config.input.classes);
        let network = Network::new(&config.network, c, k, 0, &device.clone().autodiff())?;
        let predictor = Predictor::new(&network, &device);
        // The first time also warms up.
        let second = |work: &mut dyn FnMut()| [timed(&mut *work), timed(work)][1];
        let infer = |lanes: &Lanes, n: usize, side: usize| {
            let shape = [n, c, side, side];
            let look = |()| drop(predictor.probabilities(vec![0.5; shape.iter().product()], shape));
            second(&mut || drop(lanes.map(vec![(); lanes.count()], look)))
        };
        // A step of all starts, and the teacher's part in it.
        let step = |lanes: TrainingLanes, batch: usize, crop: usize| -> Result<[f64; 2]> {
            let rounds = (config.starts / lanes.starts) as f64;
            let (of_starts, of_parts) = (Lanes::new(lanes.starts)?, Lanes::new(lanes.parts)?);
            let student = |_| Student::new(network.clone(), &config.network, &config.loss, &device);
            let mut students = (0..lanes.starts).map(student).collect::<Result<Vec<_>>>()?;
            let shape = [batch, c, crop, crop];
            let batch = Batch {
                shape,
                images: (0..shape.iter().product::<usize>()).map(|i| (i % 97) as f32 / 96.0).collect(),
                labels: (0..batch * crop * crop).map(|i| (i / 7 % k) as u8).collect(),
            };
            let learn = |student: &mut Student| student.step(batch.clone(), None, 1e-3, 0, &of_parts);
            let learning = second(&mut || drop(of_starts.map(students.iter_mut().collect(), learn)));
            let label = |part: Batch| predictor.probabilities(part.images, part.shape);
            let label = |()| drop(of_parts.map(batch.clone().parts(), label));
            let labelling = second(&mut || drop(of_starts.map(vec![(); lanes.starts], label)));
            Ok([learning, labelling].map(|seconds| rounds * seconds))
        };
        let (train, correct) = (&config.train, &config.correct);
        let [train, _] = step(lanes[0], train.batch, train.crop)?;
        let correct = step(lanes[1], correct.batch, correct.crop)?.iter().sum();
        let of_windows = Lanes::new(sweep.lanes)?;
        let side = config.segment.tile.min(shape.y).min(shape.x);
        let window = infer(&of_windows, sweep.at_once(shape), side);
        let window = window / (sweep.at_once(shape) * of_windows.count()) as f64;
        Ok(Self { parameters: network.num_params(), read, train, correct, window })
    }
}

/// Seconds that `work` takes.
fn timed(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}
