//! Golden files: tensors by name, and a module that takes its parameters from one.

use std::collections::BTreeMap;

use burn::module::{ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;

/// One case of a golden file: its tensors by name.
pub(crate) struct Golden(pub(crate) BTreeMap<String, TensorData>);

impl Golden {
    /// The tensors below `case` of the file beside this one, or of the file the environment names in `fresh`.
    pub(crate) fn new(file: &str, fresh: &str, case: &str) -> Self {
        let committed = || format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(std::env::var(fresh).unwrap_or_else(|_| committed())).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.tensors().into_iter().filter_map(|(name, view)| {
            let name = name.strip_prefix(case)?.strip_prefix('/')?.to_owned();
            let values: Vec<f32> =
                view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            Some((name, TensorData::new(values, view.shape().to_vec())))
        });
        Self(tensors.collect())
    }

    /// A tensor of the case.
    pub(crate) fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(self.0[name].clone(), device)
    }

    /// Fails unless `found` is the tensor of that name within 1e-4 of its largest value, at least 1.
    pub(crate) fn holds<const D: usize>(&self, name: &str, found: Tensor<D>) {
        let expected = &self.0[name];
        assert_eq!(found.dims().as_slice(), expected.shape().as_slice(), "{name}");
        let expected: Vec<f32> = expected.clone().try_into_vec().unwrap();
        let found: Vec<f32> = found.into_data().try_into_vec().unwrap();
        let scale = expected.iter().fold(1.0_f32, |most, v| most.max(v.abs()));
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() <= 1e-4 * scale, "{name}: {a} instead of {b}, scale {scale}");
        }
    }
}

/// Puts the golden parameters into a module.
pub(crate) struct Fill<'a>(pub(crate) &'a Golden, pub(crate) Vec<String>);

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.1.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.1.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = format!("param/{}", self.1.join("."));
        param.map(|old| {
            let new = self.0.tensor::<D>(&name, &old.device());
            assert_eq!(new.dims(), old.dims(), "{name}");
            new.require_grad()
        })
    }
}
