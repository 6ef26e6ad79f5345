//! Gradients of the parts of a batch, added up.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::kernel_ops;

/// The sum of what was added so far.
#[derive(Debug, Default)]
pub struct GradientSum(GradientsParams);

impl GradientSum {
    /// Adds the gradients of a part, in a pass over each weight's arrays on the CPU. A parameter that has no gradient yet
    /// takes that of the part.
    pub fn add(&mut self, network: &impl Module, part: GradientsParams) {
        if self.0.is_empty() {
            self.0 = part;
        } else {
            network.visit(&mut Adding { sum: &mut self.0, part });
        }
    }

    /// The sum.
    pub fn into_params(self) -> GradientsParams {
        self.0
    }
}

struct Adding<'a> {
    sum: &'a mut GradientsParams,
    part: GradientsParams,
}

impl ModuleVisitor for Adding<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(new) = self.part.remove::<D>(param.id) else { return };
        let sum = match self.sum.remove::<D>(param.id) {
            Some(old) if kernel_ops::available(&old.device()) => kernel_ops::sum(old, new),
            Some(old) => old + new,
            None => new,
        };
        self.sum.register::<D>(param.id, sum);
    }
}
