//! Single pieces of a run, tried out and timed.

use std::time::{Duration, Instant};

use burn::module::Module;
use tomosieve_nn::kernels::{self, Buffer};
use tomosieve_nn::networks::Network;
use tomosieve_volume::Region;

use crate::Result;
use crate::batches::Batch;
use crate::config::Config;
use crate::inference::Sweep;
use crate::input::Input;
use crate::lanes::Lanes;
use crate::ledger::Stage;
use crate::plan::TrainingLanes;
use crate::plan::resident::most_resident;
use crate::predictor::{Predict, Predictor};
use crate::student::Student;

/// What single pieces of the work take on this machine.
pub(super) struct Trial {
    pub(super) parameters: usize,
    /// Seconds for one slice to be read.
    pub(super) read: f64,
    /// One step of stage 2 in all starts.
    pub(super) train: Option<Piece>,
    /// One step of stage 3 in all starts.
    pub(super) correct: Option<Piece>,
    /// One window.
    pub(super) window: Option<Piece>,
}

/// A piece of work that was tried.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) seconds: f64,
    /// Most bytes that the process had meanwhile: the program, the network and all that comes and goes on every lane.
    pub(super) resident: u64,
}

impl Trial {
    /// Tries what `stages` do, and nothing else: it may take more memory than they may.
    pub(super) fn run(
        config: &Config,
        input: &Input,
        sweep: &Sweep,
        lanes: [TrainingLanes; 2],
        stages: &[Stage],
    ) -> Result<Self> {
        let shape = input.shape();
        let started = Instant::now();
        let mut slice = vec![0.0_f32; shape.slice_voxels()];
        input.reader.read(&Region::slab(shape, shape.z / 2..shape.z / 2 + 1)?, &mut slice)?;
        let read = started.elapsed().as_secs_f64();
        drop(slice);

        let tries = |stage| stages.contains(&stage);
        let mut found = Self { parameters: 0, read, train: None, correct: None, window: None };
        if !Stage::ALL[1..].iter().any(|stage| tries(*stage)) {
            return Ok(found);
        }
        let device = tomosieve_nn::device::by_name(&config.device)?;
        let (c, k) = (config.input.slices, config.input.classes);
        let network = Network::new(&config.network, c, k, 0, &device.clone().autodiff())?;
        found.parameters = network.num_params();
        if tries(Stage::Predict) {
            let lanes = Lanes::new(sweep.lanes)?;
            let (windows, side) = (sweep.at_once(shape), config.segment.tile.min(shape.y).min(shape.x));
            let shape = [windows, c, side, side];
            let predictor = Predictor::new(&network, &device);
            let look = |()| drop(predictor.probabilities(vec![0.5; shape.iter().product()].into(), shape));
            let piece = piece(|| drop(lanes.map(vec![(); lanes.count()], look)))?;
            found.window = Some(piece.times(1.0 / (windows * lanes.count()) as f64));
        }
        // A step of all starts, the teacher's part in it included if there is one.
        let step = |lanes: TrainingLanes, batch: usize, crop: usize, taught: bool| -> Result<Piece> {
            let (of_starts, of_parts) = (Lanes::new(lanes.starts)?, Lanes::new(lanes.parts)?);
            let student = |_| Student::new(network.clone(), &config.network, &config.loss, &device);
            let mut students = (0..lanes.starts).map(student).collect::<Result<Vec<_>>>()?;
            let shape = [batch, c, crop, crop];
            let batch = Batch {
                shape,
                images: (0..shape.iter().product::<usize>()).map(|i| (i % 97) as f32 / 96.0).collect(),
                labels: (0..batch * crop * crop).map(|i| (i / 7 % k) as u8).collect(),
            };
            let learn = |student: &mut Student| {
                if taught {
                    let teacher = Predictor::new(&student.network, &device);
                    let crop = Buffer::from(&batch.images[..c * crop * crop]);
                    drop(teacher.probabilities(crop, [1, c, shape[2], shape[3]])); // as it is judged by
                    let label = |part: Batch| teacher.probabilities(part.images, part.shape);
                    drop(of_parts.map(batch.clone().parts_for(&config.network), label));
                }
                student.step(batch.clone(), None, 1e-3, 0, &of_parts)
            };
            let piece = piece(|| drop(of_starts.map(students.iter_mut().collect(), learn)))?;
            Ok(piece.times((config.starts / lanes.starts) as f64))
        };
        let (train, correct) = (&config.train, &config.correct);
        if tries(Stage::Train) {
            found.train = Some(step(lanes[0], train.batch, train.crop, false)?);
        }
        if tries(Stage::Correct) {
            found.correct = Some(step(lanes[1], correct.batch, correct.crop, true)?);
        }
        Ok(found)
    }
}

impl Piece {
    /// Bytes that the process has of it in the long run: what the allocator keeps of small blocks grows for a while
    /// (benches/memory.sh).
    pub(super) fn settled(self) -> u64 {
        self.resident + self.resident / 8 + (8 << 20)
    }

    /// So many of it, one after the other.
    fn times(self, count: f64) -> Self {
        Self { seconds: count * self.seconds, ..self }
    }
}

/// What `work` takes, done several times: the first time also warms up, and lanes meet anew each time.
fn piece(mut work: impl FnMut()) -> Result<Piece> {
    const TIMES: std::ops::RangeInclusive<u32> = 2..=8;
    const LONG: Duration = Duration::from_secs(2);
    kernels::release(); // what was tried before is not this one's
    let (seconds, resident) = most_resident(|| {
        let (started, mut times, mut seconds) = (Instant::now(), 0, 0.0);
        while times < *TIMES.start() || times < *TIMES.end() && started.elapsed() < LONG {
            (times, seconds) = (times + 1, timed(&mut work));
        }
        seconds
    })?;
    Ok(Piece { seconds, resident })
}

/// Seconds that `work` takes.
fn timed(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}
