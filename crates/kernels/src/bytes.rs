//! Buffers as the memory of burn's tensors, which may be changed in place by whoever has it alone.

use std::mem::MaybeUninit;
use std::sync::Arc;

use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};

use crate::buffer::Buffer;

impl From<Buffer> for Bytes {
    fn from(values: Buffer) -> Self {
        let len = size_of_val(&*values);
        // SAFETY: the memory has so many bytes, and they are initialised.
        unsafe { Self::from_controller(Box::new(Owned(Arc::new(values))), len) }
    }
}

/// A buffer that duplicates share until one of them is written.
struct Owned(Arc<Buffer>);

impl AllocationController for Owned {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, policy: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        if Arc::get_mut(&mut self.0).is_none() && !policy.copy_allowed() {
            return Err(AccessError::WouldCopy);
        }
        let values = &mut **Arc::make_mut(&mut self.0);
        // SAFETY: any `f32` is four bytes, and the caller writes initialised ones.
        Ok(unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) })
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let values = &**self.0;
        // SAFETY: any `f32` is four bytes.
        Ok(unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) })
    }

    fn duplicate(&self) -> Option<Box<dyn AllocationController>> {
        Some(Box::new(Self(Arc::clone(&self.0))))
    }
}

#[cfg(test)]
mod tests {
    use burn_std::Writer;

    use super::*;

    #[test]
    fn memory_is_changed_in_place_unless_it_is_shared() {
        let values = Buffer::from(vec![1.0, 2.0]);
        let address = values.as_ptr() as usize;
        let mut bytes = Bytes::from(values);
        let at = |bytes: &Bytes| bytes.as_ptr() as usize;
        bytes[..4].copy_from_slice(&3.0_f32.to_ne_bytes());
        assert_eq!((bytes.len(), at(&bytes)), (8, address));
        let shared = bytes.clone();
        assert_eq!(at(&shared), address);
        assert!(bytes.write(Writer::new().no_copy()).is_err());
        bytes[4..].copy_from_slice(&4.0_f32.to_ne_bytes());
        assert_ne!(at(&bytes), address);
        let values = |bytes: &Bytes| bytes.as_chunks().0.iter().map(|&b| f32::from_ne_bytes(b)).collect();
        let [changed, kept]: [Vec<f32>; 2] = [values(&bytes), values(&shared)];
        assert_eq!((changed, kept), (vec![3.0, 4.0], vec![3.0, 2.0]));
    }
}
