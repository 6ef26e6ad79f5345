//! Values and what becomes of them, in their own place or elsewhere.

use std::marker::PhantomData;

use crate::parallel::{Shared, Source};

/// Values that a kernel reads, and where it writes what it makes of them: over them, or elsewhere. Over them takes half the
/// memory, and what is written lies in a cache already.
///
/// ```
/// use tomosieve_kernels::{Change, Isa, add};
///
/// let (mut values, mut sums) = (vec![1.0, 2.0], vec![0.0; 2]);
/// add(Isa::best(), Change::elsewhere(&values, &mut sums), &[10.0, 20.0]);
/// assert_eq!(sums, [11.0, 22.0]);
/// add(Isa::best(), Change::in_place(&mut values), &[10.0, 20.0]);
/// assert_eq!(values, sums);
/// ```
#[derive(Debug)]
pub struct Change<'a> {
    from: Source,
    to: Shared,
    len: usize,
    values: PhantomData<&'a mut [f32]>,
}

impl<'a> Change<'a> {
    /// The values are overwritten.
    pub fn in_place(values: &'a mut [f32]) -> Self {
        let len = values.len();
        let to = Shared::new(values);
        Self { from: to.source(), to, len, values: PhantomData }
    }

    /// The values stay, and what they become is written elsewhere.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn elsewhere(from: &'a [f32], to: &'a mut [f32]) -> Self {
        assert_eq!(from.len(), to.len(), "values before and after");
        Self { from: Source::new(from.as_ptr()), to: Shared::new(to), len: from.len(), values: PhantomData }
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Where they are read and where written. A task reads none that another one writes, and each before it writes it.
    pub(crate) fn ends(self) -> (Source, Shared) {
        (self.from, self.to)
    }
}
