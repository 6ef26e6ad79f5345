//! Adam (Kingma & Ba 2015, arXiv 1412.6980): burn's, but on the CPU in one pass over a weight's arrays instead
//! of a dozen.

use burn::optim::{AdamConfig, AdamState, AdaptiveMomentumState, LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use crate::kernel_ops;

/// β₁ and β₂, as everywhere.
const BETAS: [f64; 2] = [0.9, 0.999];

/// Adam without weight decay, its state that of burn's.
#[derive(Clone)]
pub struct Adam {
    epsilon: f32,
    composed: burn::optim::Adam,
}

impl Adam {
    /// An optimiser of a whole network; `epsilon` is added to the root of the second moment.
    pub fn optimizer(epsilon: f32) -> ModuleOptimizer {
        let [beta_1, beta_2] = BETAS.map(|beta| beta as f32);
        let config = AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(epsilon);
        Self { epsilon, composed: config.build() }.into()
    }
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        if !kernel_ops::available(&tensor.device()) {
            return self.composed.step(rate, tensor, gradient, state);
        }
        let (time, moments) = match state {
            Some(AdamState { momentum: m }) => (m.time + 1, [m.moment_1, m.moment_2]),
            None => (1, [tensor.zeros_like(), tensor.zeros_like()]),
        };
        let epsilon = f64::from(self.epsilon);
        let step = tomosieve_kernels::Adam { rate, betas: BETAS, epsilon, time: time as i32 };
        let (new, [first, second]) = kernel_ops::adam(tensor, gradient, moments, step);
        (new, Some(AdamState::new(AdaptiveMomentumState::new(time, first, second))))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        burn::optim::Adam::to_device(state, device)
    }
}
