//! The student: a network, its optimiser and one training step (Sec. III-C and III-D, Eq. 6 and 9).

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use tomosieve_nn::adam::Adam;
use tomosieve_nn::gradients::GradientSum;
use tomosieve_nn::kernels::together;
use tomosieve_nn::losses::by_hand::{Patch, judged};
use tomosieve_nn::losses::{Loss, LossConfig, masked_mean};
use tomosieve_nn::networks::{Network, NetworkConfig};
use tomosieve_nn::segmenter::Segmenter;
use tomosieve_nn::{checkpoint, device, kernel_ops};

use crate::batches::Batch;
use crate::lanes::Lanes;
use crate::predictor::{as_f32, values};
use crate::settling::Found;
use crate::{Error, Result};

/// The label of a pixel that does not count.
pub const IGNORE: u8 = crate::patch::Patch::IGNORE;

/// A network in training.
pub struct Student {
    /// The network, on the device with autodiff.
    pub network: Network,
    optimizer: ModuleOptimizer,
    loss: Box<dyn Loss>,
    config: NetworkConfig,
    device: Device,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The loss (Eq. 9).
    pub loss: f64,
    /// The counted pixels in which the student agreed with their labels before it learned from them.
    pub found: Found,
}

/// What a part of a batch adds to a step.
struct Learned {
    /// Its share of the loss.
    loss: f64,
    /// The pixels in which the student agreed with their labels.
    found: Found,
    gradients: GradientsParams,
}

impl Student {
    /// A student that starts from `network`, made with `config`, with a fresh optimiser (Adam, Kingma & Ba 2015).
    ///
    /// # Errors
    /// When there is no such loss.
    pub fn new(network: Network, config: &NetworkConfig, loss: &LossConfig, device: &Device) -> Result<Self> {
        Ok(Self {
            network: network.train(),
            optimizer: Adam::optimizer(1e-8),
            loss: tomosieve_nn::losses::by_config(loss)?,
            config: config.clone(),
            device: device.clone().autodiff(),
        })
    }

    /// One optimiser step on a batch; `class_weights` multiply the loss of each class' pixels.
    ///
    /// The batch goes through the network in [parts](Batch::parts_for), on several lanes at a time. The loss is a sum over
    /// pixels (Eq. 9) and no norm looks beyond a crop, so gradients of the parts add up to that of the batch; memory is
    /// that of the parts at hand. What comes out does not depend on the lanes.
    ///
    /// A batch in which every pixel is ignored changes nothing.
    pub fn step(
        &mut self,
        batch: Batch,
        class_weights: Option<&[f32]>,
        rate: f64,
        seed: u64,
        lanes: &Lanes,
    ) -> Step {
        let count = counted(&batch);
        if count == 0 {
            return Step { loss: 0.0, found: Found::default() };
        }
        let mut gradients = GradientSum::default();
        let (mut loss, mut found) = (0.0, Found::default());
        let mut parts = (0_u64..).zip(batch.parts_for(&self.config)).filter(|(_, part)| counted(part) > 0);
        loop {
            // As many at a time as are worked at, so that no more gradients wait to be added.
            let at_hand: Vec<(u64, Batch)> = parts.by_ref().take(lanes.count()).collect();
            if at_hand.is_empty() {
                break;
            }
            let learn = |(index, part)| self.learn(part, class_weights, count, seed.wrapping_add(index));
            let at_hand = lanes.map(at_hand, learn);
            together(|| {
                for learned in at_hand {
                    gradients.add(&self.network, learned.gradients);
                    loss += learned.loss;
                    found.add(&learned.found);
                }
            });
        }
        together(|| self.network = self.optimizer.step(rate, self.network.clone(), gradients.into_params()));
        Step { loss, found }
    }

    /// What is to be learned from a part of a batch in which `count` pixels count.
    fn learn(&self, part: Batch, class_weights: Option<&[f32]>, count: usize, seed: u64) -> Learned {
        let x = Tensor::<4>::from_data(kernel_ops::data(part.images, part.shape), &self.device);
        // Parameters of its own: autodiff would keep parts that share theirs in one graph, behind one lock.
        let network = self.network.valid().train();

        // Students side by side need not wait for each other where there is nothing to draw.
        let drawing = (self.config.dropout > 0.0).then(|| device::seeded(&self.device, seed));
        let logits = together(|| network.forward(x)); // [n, k, h, w]
        drop(drawing);
        let (loss, found, total) = self.judge(logits, &part.labels, class_weights, count);
        let gradients = together(|| GradientsParams::from_grads(total.backward(), &network));
        Learned { loss, found, gradients }
    }

    /// The loss of logits `[n, k, h, w]` as a number and as the root of its gradients, and what of the labels was found.
    fn judge(
        &self,
        logits: Tensor<4>,
        labels: &[u8],
        class_weights: Option<&[f32]>,
        count: usize,
    ) -> (f64, Found, Tensor<1>) {
        let [n, classes, h, w] = logits.dims();
        let weights = class_weights.map_or_else(|| vec![1.0; classes], <[f32]>::to_vec);
        if let Some(by_hand) = self.loss.by_hand().filter(|_| kernel_ops::available(&self.device)) {
            let (mut loss, mut same) = (0.0, Found::default());
            let total = kernel_ops::root(logits, &mut |values| {
                let patch = Patch { logits: values, labels, weights: &weights, classes, plane: h * w };
                let gradient;
                (loss, gradient) = judged(by_hand, patch, count);
                same = found(values, labels, n);
                (loss as f32, gradient)
            });
            return (loss, same, total);
        }
        let same = found(as_f32(&values(logits.clone().inner())), labels, n);
        let known = |label: u8| usize::from(label) < weights.len();
        let factors: Vec<f32> =
            labels.iter().map(|&l| if known(l) { weights[usize::from(l)] } else { 0.0 }).collect();
        let classes: Vec<i32> = labels.iter().map(|&l| if known(l) { i32::from(l) } else { 0 }).collect();
        let y = Tensor::<3, Int>::from_data(TensorData::new(classes, [n, h, w]), &self.device);
        let factors = Tensor::<3>::from_data(TensorData::new(factors, [n, h, w]), &self.device);
        let total = masked_mean(self.loss.per_pixel(log_softmax(logits, 1), y), factors, count);
        (f64::from(total.clone().into_scalar::<f32>()), same, total)
    }

    /// Writes network and optimiser into `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let ids = Ids::of(&self.network).0;
        let ids = serde_json::to_string(&ids).map_err(|e| Error::file(folder, e))?;
        let metadata = [("ids".to_owned(), ids)].into();
        checkpoint::save(&self.network.valid(), &metadata, &folder.join("student.safetensors"))?;
        let path = folder.join("optimizer.bpk");
        self.optimizer.save(&path).map_err(|e| Error::file(path, e))
    }

    /// Goes on from what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// When a file cannot be read or is of another network.
    pub fn restore(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join("student.safetensors");
        let metadata = checkpoint::metadata(&path)?;
        let ids: Vec<u64> = metadata
            .get("ids")
            .and_then(|json| serde_json::from_str(json).ok())
            .ok_or_else(|| Error::file(&path, "not a checkpoint of a student"))?;
        let network = checkpoint::with_ids_of(self.network.clone(), &ids);
        self.network = checkpoint::load(network, &path)?;
        let path = folder.join("optimizer.bpk");
        self.optimizer = self.optimizer.clone().load(&path).map_err(|e| Error::file(path, e))?;
        Ok(())
    }
}

/// The ids of a network's parameters in visiting order: the optimiser knows them by these.
#[derive(Default)]
struct Ids(Vec<u64>);

impl Ids {
    fn of(network: &Network) -> Self {
        let mut ids = Self::default();
        network.visit(&mut ids);
        ids
    }
}

impl ModuleVisitor for Ids {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.id.val());
    }
}

/// Pixels of a batch that are not ignored.
fn counted(batch: &Batch) -> usize {
    batch.labels.iter().filter(|&&label| label != IGNORE).count()
}

/// Counted pixels whose most likely class is their label.
///
/// `scores` is `[n, k, h, w]`, `labels` `[n, h, w]`.
fn found(scores: &[f32], labels: &[u8], n: usize) -> Found {
    let plane = labels.len() / n;
    let per_item = scores.len() / n;
    let mut found = Found::new(per_item / plane);
    let mut most = vec![0.0; plane];
    for (scores, labels) in scores.chunks_exact(per_item).zip(labels.chunks_exact(plane)) {
        most.fill(f32::NEG_INFINITY);
        for scores in scores.chunks_exact(plane) {
            most.iter_mut().zip(scores).for_each(|(most, &score)| *most = most.max(score));
        }
        for ((pixel, &label), &most) in labels.iter().enumerate().zip(&most) {
            if label == IGNORE {
                continue;
            }
            let class = usize::from(label);
            found.of[class] += 1;
            found.same[class] += u64::from(scores[class * plane + pixel] >= most);
        }
    }
    found
}
