//! Numbers at fixed places of a binary header, in either byte order.

/// The bytes of a header.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) bytes: Vec<u8>,
    pub(super) big_endian: bool,
}

macro_rules! number {
    ($name:ident) => {
        #[doc = concat!("The number at a place, if the header reaches so far: `", stringify!($name), "`.")]
        pub(super) fn $name(&self, at: usize) -> Option<$name> {
            let bytes = *self.bytes.get(at..)?.first_chunk()?;
            Some(if self.big_endian { $name::from_be_bytes(bytes) } else { $name::from_le_bytes(bytes) })
        }
    };
}

impl Fields {
    number!(i16);
    number!(i32);
    number!(i64);
    number!(f32);
    number!(f64);
}
