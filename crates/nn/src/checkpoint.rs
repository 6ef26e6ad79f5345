//! Model files: the weights of a network as [safetensors](https://huggingface.co/docs/safetensors),
//! with everything needed to use them (network, classes, normalisation) in the file's own header.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{Error, Result};

/// One parameter: its shape and its values, row-major.
type Entry = (Vec<usize>, Vec<f32>);

/// Collects every parameter under its path, such as `encoder.0.first.conv.weight`.
#[derive(Default)]
struct Gather {
    path: Vec<String>,
    entries: BTreeMap<String, Entry>,
}

impl ModuleVisitor for Gather {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        let shape = data.shape().to_vec();
        let values = data.convert::<f32>().try_into_vec().unwrap_or_default();
        self.entries.insert(self.path.join("."), (shape, values));
    }
}

/// Puts the entries of a file in the place of a network's parameters.
struct Scatter {
    path: Vec<String>,
    entries: BTreeMap<String, Entry>,
    problem: Option<String>,
}

impl ModuleMapper for Scatter {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let expected: Vec<usize> = param.lazy_shape().to_vec();
        match self.entries.remove(&name) {
            Some((shape, values)) if shape == expected => param.map(|old| {
                let new = Tensor::from_data(TensorData::new(values, shape), &old.device());
                if old.is_require_grad() { new.require_grad() } else { new }
            }),
            Some((shape, _)) => {
                self.problem = Some(format!("tensor `{name}` is {shape:?}, expected {expected:?}"));
                param
            }
            None => {
                self.problem = Some(format!("tensor `{name}` is missing"));
                param
            }
        }
    }
}

/// Writes the network's weights and `metadata` to `path`, whole or not at all.
///
/// # Errors
/// [`Error::ModelFile`] when the file cannot be written.
pub fn save<M: Module>(network: &M, metadata: &BTreeMap<String, String>, path: &Path) -> Result<()> {
    let mut gather = Gather::default();
    network.visit(&mut gather);
    let bytes: BTreeMap<&String, (&Vec<usize>, Vec<u8>)> = gather
        .entries
        .iter()
        .map(|(name, (shape, values))| (name, (shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())))
        .collect();
    let failed = |reason: String| Error::ModelFile { path: path.to_owned(), reason };
    let mut views = Vec::with_capacity(bytes.len());
    for (name, (shape, data)) in &bytes {
        let view = TensorView::new(Dtype::F32, (*shape).clone(), data);
        views.push(((*name).clone(), view.map_err(|e| failed(e.to_string()))?));
    }
    // One entry: a hash map of several would be written in a different order each time.
    let json = serde_json::to_string(metadata).map_err(|e| failed(e.to_string()))?;
    let header = HashMap::from([(METADATA_KEY.to_owned(), json)]);
    let file = safetensors::serialize(views, Some(header)).map_err(|e| failed(e.to_string()))?;
    let temporary = path.with_extension("partial");
    std::fs::write(&temporary, file)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|e| failed(format!("cannot write the model: {e}")))
}

/// The header entry that holds all of our metadata as JSON.
const METADATA_KEY: &str = "tomosieve";

/// The metadata of a model file.
///
/// # Errors
/// [`Error::ModelFile`] when the file is missing, damaged or not ours.
pub fn metadata(path: &Path) -> Result<BTreeMap<String, String>> {
    let bytes = read(path)?;
    let failed = |reason: String| Error::ModelFile { path: path.to_owned(), reason };
    let (_, header) = SafeTensors::read_metadata(&bytes)
        .map_err(|e| failed(format!("not a whole safetensors file: {e}")))?;
    let json = header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY));
    let json = json.ok_or_else(|| failed("a safetensors file, but not one of tomosieve's".into()))?;
    serde_json::from_str(json).map_err(|e| failed(format!("damaged metadata: {e}")))
}

/// The network with the weights of the file in the place of its own.
///
/// # Errors
/// [`Error::ModelFile`] when the file is missing or damaged, or holds another network.
pub fn load<M: Module>(network: M, path: &Path) -> Result<M> {
    let bytes = read(path)?;
    let failed = |reason: String| Error::ModelFile { path: path.to_owned(), reason };
    let file =
        SafeTensors::deserialize(&bytes).map_err(|e| failed(format!("not a whole safetensors file: {e}")))?;
    let mut entries = BTreeMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(failed(format!("tensor `{name}` is {:?}, expected F32", view.dtype())));
        }
        let (words, _) = view.data().as_chunks::<4>();
        let values = words.iter().map(|b| f32::from_le_bytes(*b)).collect();
        entries.insert(name, (view.shape().to_vec(), values));
    }
    let mut scatter = Scatter { path: Vec::new(), entries, problem: None };
    let network = network.map(&mut scatter);
    let extra = scatter.entries.keys().next().map(|name| format!("tensor `{name}` has no place"));
    match scatter.problem.or(extra) {
        Some(problem) => Err(failed(format!("the model is of another network: {problem}"))),
        None => Ok(network),
    }
}

/// The bytes of a model file.
fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::ModelFile {
        path: path.to_owned(),
        reason: format!("cannot read the model: {e}"),
    })
}

/// Gives each parameter of `network` the id of the parameter at the same place of `like`.
///
/// The optimiser knows parameters by id, and ids are drawn anew for every network made.
#[must_use]
pub fn with_ids_of<M: Module>(network: M, ids: &[u64]) -> M {
    struct Adopt<'a>(std::slice::Iter<'a, u64>);
    impl ModuleMapper for Adopt<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.0.next() {
                Some(id) => Param::initialized(ParamId::from(*id), param.val()),
                None => param,
            }
        }
    }
    network.map(&mut Adopt(ids.iter()))
}
