//! What Zarr's files promise, held against what they can hold. zarrs takes as much memory as the header of a
//! packed chunk or the index of a shard asks for before it looks at the rest: a damaged one could ask for all.

use std::any::Any;
use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, Once};

use zarrs::array::codec::api::{
    BytesRepresentation, BytesToBytesCodecTraits, Codec, CodecError, CodecMetadataOptions, CodecOptions,
    CodecRuntimePluginV2, CodecRuntimePluginV3, CodecTraits, CodecTraitsV2, CodecTraitsV3,
    PartialDecoderCapability, PartialEncoderCapability, RecommendedConcurrency, register_codec_v2,
    register_codec_v3,
};
use zarrs::array::codec::{BloscCodec, ZstdCodec};
use zarrs::array::{Array, ArrayBytesRaw, ArrayMetadata};
use zarrs::convert::array_metadata_v2_to_v3;
use zarrs::filesystem::FilesystemStore;
use zarrs::metadata::Configuration;
use zarrs::plugin::{ExtensionName, PluginCreateError, ZarrVersion};
use zarrs::storage::byte_range::{ByteRange, ByteRangeIterator};
use zarrs::storage::{MaybeBytesIterator, ReadableStorageTraits, StorageError, StoreKey};

/// The array at `path`; a Zarr v2 array is read as the v3 array it amounts to, because zarrs looks the codecs of
/// those up. What is wrong is told in words.
pub(super) fn open(files: FilesystemStore, path: &str) -> Result<Array<Checked>, String> {
    distrust_chunks();
    let store = Arc::new(Checked(files));
    let array = Array::open(Arc::clone(&store), path).map_err(|e| e.to_string())?;
    let ArrayMetadata::V2(v2) = array.metadata() else { return Ok(array) };
    let v3 = array_metadata_v2_to_v3(v2).map_err(|e| e.to_string())?;
    Array::new_with_metadata(store, path, ArrayMetadata::V3(v3)).map_err(|e| e.to_string())
}

/// Has zarrs unpack blosc and zstd with the codecs of this file, from now on.
fn distrust_chunks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        register::<BloscCodec>("blosc", unpack_blosc);
        register::<ZstdCodec>("zstd", unpack_zstd);
    });
}

/// Unpacks bytes with a codec, or without it, to so many at most.
type Unpack = fn(&dyn BytesToBytesCodecTraits, &[u8], u64, &CodecOptions) -> Result<Vec<u8>, CodecError>;

/// Believes the header where it promises no more than may come.
fn unpack_blosc(
    codec: &dyn BytesToBytesCodecTraits,
    packed: &[u8],
    most: u64,
    options: &CodecOptions,
) -> Result<Vec<u8>, CodecError> {
    // Bytes 4 to 7 of a blosc header (C-Blosc's README_CHUNK_FORMAT).
    let promised =
        packed.get(4..).and_then(|rest| rest.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes));
    match promised.map(u64::from) {
        Some(promised) if promised > most => Err(too_much(most)),
        _ => {
            let unpacked = BytesRepresentation::BoundedSize(most);
            codec.decode(Cow::Borrowed(packed), &unpacked, options).map(Cow::into_owned)
        }
    }
}

/// Takes what comes, and no more: a frame need not tell its size.
fn unpack_zstd(
    _: &dyn BytesToBytesCodecTraits,
    packed: &[u8],
    most: u64,
    _: &CodecOptions,
) -> Result<Vec<u8>, CodecError> {
    let mut unpacked = Vec::new();
    zstd::Decoder::new(packed)?.take(most.saturating_add(1)).read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > most { Err(too_much(most)) } else { Ok(unpacked) }
}

fn too_much(most: u64) -> CodecError {
    CodecError::Other(format!("a chunk of {most} bytes unpacks to more"))
}

fn register<C: CodecTraitsV2 + CodecTraitsV3>(name: &'static str, unpack: Unpack) {
    let bounded = move |codec| match codec {
        Codec::BytesToBytes(codec) => Codec::BytesToBytes(Arc::new(Bounded { codec, unpack })),
        other => other,
    };
    register_codec_v2(CodecRuntimePluginV2::new(
        move |found: &str| found == name,
        move |metadata| -> Result<Codec, PluginCreateError> {
            <C as CodecTraitsV2>::create(metadata).map(bounded)
        },
    ));
    register_codec_v3(CodecRuntimePluginV3::new(
        move |found: &str| found == name,
        move |metadata| -> Result<Codec, PluginCreateError> {
            <C as CodecTraitsV3>::create(metadata).map(bounded)
        },
    ));
}

/// A codec that unpacks no more than the chunk holds.
#[derive(Debug)]
struct Bounded {
    codec: Arc<dyn BytesToBytesCodecTraits>,
    unpack: Unpack,
}

impl ExtensionName for Bounded {
    fn name(&self, version: ZarrVersion) -> Option<Cow<'static, str>> {
        self.codec.name(version)
    }
}

impl CodecTraits for Bounded {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn configuration(&self, version: ZarrVersion, options: &CodecMetadataOptions) -> Option<Configuration> {
        self.codec.configuration(version, options)
    }

    fn partial_decoder_capability(&self) -> PartialDecoderCapability {
        self.codec.partial_decoder_capability()
    }

    fn partial_encoder_capability(&self) -> PartialEncoderCapability {
        self.codec.partial_encoder_capability()
    }
}

impl BytesToBytesCodecTraits for Bounded {
    fn into_dyn(self: Arc<Self>) -> Arc<dyn BytesToBytesCodecTraits> {
        self
    }

    fn recommended_concurrency(
        &self,
        unpacked: &BytesRepresentation,
    ) -> Result<RecommendedConcurrency, CodecError> {
        self.codec.recommended_concurrency(unpacked)
    }

    fn encoded_representation(&self, unpacked: &BytesRepresentation) -> BytesRepresentation {
        self.codec.encoded_representation(unpacked)
    }

    fn encode<'a>(
        &self,
        unpacked: ArrayBytesRaw<'a>,
        options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        self.codec.encode(unpacked, options)
    }

    fn decode<'a>(
        &self,
        packed: ArrayBytesRaw<'a>,
        unpacked: &BytesRepresentation,
        options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        match unpacked.size() {
            Some(size) => (self.unpack)(&*self.codec, &packed, size, options).map(Cow::Owned),
            None => self.codec.decode(packed, unpacked, options),
        }
    }
}

/// A store that reads only what a file has.
#[derive(Debug)]
pub(super) struct Checked(FilesystemStore);

impl ReadableStorageTraits for Checked {
    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        ranges: ByteRangeIterator<'a>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let Some(size) = self.0.size_key(key)? else { return Ok(None) };
        let ranges: Vec<ByteRange> = ranges.collect();
        for range in &ranges {
            let end = match *range {
                ByteRange::FromStart(start, length) => start.checked_add(length.unwrap_or(0)),
                ByteRange::Suffix(length) => Some(length),
            };
            if end.is_none_or(|end| end > size) {
                return Err(StorageError::Other(format!("`{key}` has {size} bytes, not those at {range}")));
            }
        }
        self.0.get_partial_many(key, Box::new(ranges.into_iter()))
    }

    fn size_key(&self, key: &StoreKey) -> Result<Option<u64>, StorageError> {
        self.0.size_key(key)
    }

    fn supports_get_partial(&self) -> bool {
        self.0.supports_get_partial()
    }
}
