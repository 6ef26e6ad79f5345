//! Between burn's storage and the kernels' slices, without copies.

use burn::backend::tensor::FloatTensor;
use burn::backend::{DType, Flex, FlexDevice, TensorData, ops::FloatTensorOps};
use burn::tensor::Shape;
use tomosieve_kernels::{BLOCK, Blocked, Buffer, Change, Input};

use super::deferred::Pending;

/// A tensor of the CPU back end.
pub(super) type Cpu = FloatTensor<Flex>;

/// A tensor whose values lie in order and without gaps.
#[derive(Debug, Clone)]
pub(super) struct Values(Cpu);

impl Values {
    /// Copies only views with gaps.
    pub(super) fn new(tensor: Cpu) -> Self {
        Self(if tensor.layout().contiguous_offsets().is_some() { tensor } else { tensor.to_contiguous() })
    }

    /// The dimensions.
    ///
    /// # Panics
    /// If the rank is another.
    pub(super) fn dims<const D: usize>(&self) -> [usize; D] {
        let shape = self.0.layout().shape();
        std::array::from_fn(|i| {
            assert_eq!(shape.num_dims(), D, "rank of a tensor {shape:?}");
            shape[i]
        })
    }

    /// An activation and the norm that it awaits, as a kernel reads it.
    pub(super) fn awaiting<'a>(&'a self, pending: &'a Pending) -> Input<'a> {
        Input::new(self, pending.as_deref())
    }

    /// The shape of an activation in the blocked layout with `channels` channels.
    pub(super) fn blocked(&self, channels: usize) -> Blocked {
        let [n, blocks, rows, columns, block] = self.dims();
        let shape = Blocked::new(n, channels, rows.saturating_sub(2), columns.saturating_sub(2));
        assert!(block == BLOCK && blocks == shape.blocks(), "{channels} channels in {:?}", self.dims::<5>());
        shape
    }

    /// The shape of an activation in the blocked layout, all its lanes taken for channels.
    pub(super) fn lanes(&self) -> Blocked {
        self.blocked(self.dims::<5>()[1] * BLOCK)
    }
}

impl std::ops::Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        let (start, end) = self.0.layout().contiguous_offsets().expect("made contiguous");
        &self.0.storage::<f32>()[start..end]
    }
}

/// The values of a buffer for a tensor on any device, without a copy on the CPU.
pub fn data(values: Buffer, dims: impl Into<Shape>) -> TensorData {
    TensorData::from_bytes(values.into(), dims, DType::F32)
}

/// A tensor that owns a buffer.
pub(super) fn tensor(values: Buffer, dims: impl Into<Shape>) -> Cpu {
    Flex::float_from_data(data(values, dims), &FlexDevice)
}

/// What `change` makes of a tensor and what it finds on the way. The tensor's own memory is used again if nobody else has it.
pub(super) fn changed<R>(mut tensor: Cpu, change: impl FnOnce(Change<'_>) -> R) -> (Cpu, R) {
    let whole = Some((0, tensor.storage::<f32>().len()));
    if tensor.layout().contiguous_offsets() == whole
        && let Some(values) = tensor.try_storage_mut()
    {
        let found = change(Change::in_place(values));
        return (tensor, found);
    }
    let shape = tensor.layout().shape().clone();
    let before = Values::new(tensor);
    let mut after = Buffer::dirty(before.len());
    let found = change(Change::elsewhere(&before, &mut after));
    (self::tensor(after, shape), found)
}

/// A tensor of a few values.
pub(super) fn vector(values: Vec<f32>) -> Cpu {
    let len = values.len();
    Flex::float_from_data(TensorData::new(values, [len]), &FlexDevice)
}
