//! The teacher: an exponential moving average of the student's weights (Sec. III-D, Eq. 10;
//! Tarvainen & Valpola 2017, arXiv 1703.01780).

use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::kernel_ops;
use crate::kernels::together;

/// The student's parameters in visiting order, type-erased.
#[derive(Default)]
struct Collect(VecDeque<Box<dyn std::any::Any + Send>>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push_back(Box::new(param.val().inner()));
    }
}

/// Blends the collected parameters into the teacher's.
struct Blend {
    student: Collect,
    alpha: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let student = self.student.0.pop_front().and_then(|value| value.downcast::<Tensor<D>>().ok());
        // Teacher and student are one type and one config, so both visits meet the same parameters.
        let student = *student.expect("teacher and student have the same parameters");
        param.map(|teacher| {
            if kernel_ops::available(&teacher.device()) {
                kernel_ops::blend(teacher, student, self.alpha)
            } else {
                teacher.mul_scalar(self.alpha) + student.mul_scalar(1.0 - self.alpha)
            }
        })
    }
}

/// `θ_t ← α θ_t + (1 − α) θ_s` (Eq. 10).
///
/// `teacher` lives on the plain device, `student` on the device with autodiff.
///
/// # Panics
/// If the two are not networks of one configuration.
#[must_use]
pub fn blend<M: Module>(teacher: M, student: &M, alpha: f64) -> M {
    let mut collected = Collect::default();
    student.visit(&mut collected);
    // One task for the pool of threads, not one for each parameter.
    together(|| teacher.map(&mut Blend { student: collected, alpha }))
}
