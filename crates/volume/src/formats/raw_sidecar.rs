//! What lies beside a raw file or in its name to tell its shape and type.
//!
//! The sidecar is `scan.raw.json` or `scan.json`:
//! `{"shape": [z, y, x], "dtype": "uint16", "byte_order": "little", "offset": 0,
//! "voxel_size": [z, y, x], "unit": "µm", "origin": [z, y, x]}`; all but shape and dtype may be left
//! out.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::region::Shape;
use crate::volume::VoxelType;

/// A sidecar has a few hundred bytes.
const MAX_SIDECAR: u64 = 1 << 16;
const KEYS: [&str; 7] = ["shape", "dtype", "byte_order", "offset", "voxel_size", "unit", "origin"];

/// What is told of a raw file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) shape: Option<Shape>,
    pub(super) voxel_type: Option<VoxelType>,
    pub(super) big_endian: Option<bool>,
    pub(super) offset: Option<u64>,
    pub(super) voxel_size: Option<[f64; 3]>,
    pub(super) unit: Option<String>,
    pub(super) origin: Option<[f64; 3]>,
    /// What the shape was told by, as a sentence.
    pub(super) note: Option<String>,
}

/// Reads the sidecar, if there is one.
pub(super) fn sidecar(raw: &Path) -> Result<Option<Told>> {
    let mut appended = raw.as_os_str().to_owned();
    appended.push(".json");
    let candidates = [appended.into(), raw.with_extension("json")];
    let Some(path) = candidates.iter().find(|path| path.is_file()) else {
        return Ok(None);
    };
    let meta = fs::metadata(path).map_err(|e| Error::read(path, e))?;
    if meta.len() > MAX_SIDECAR {
        return Err(Error::damaged(path, format!("a sidecar of {} bytes", meta.len())));
    }
    let bytes = fs::read(path).map_err(|e| Error::read(path, e))?;
    let json: Value =
        serde_json::from_slice(&bytes).map_err(|e| Error::damaged(path, format!("no valid JSON: {e}")))?;
    parse(&json).map(Some).map_err(|what| Error::damaged(path, what))
}

fn parse(json: &Value) -> std::result::Result<Told, String> {
    let object = json.as_object().ok_or("the sidecar is no JSON object")?;
    if let Some(unknown) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("`{unknown}` is not known; expected some of {}", KEYS.join(", ")));
    }
    let length = |v: &Value| v.as_f64().filter(|n| n.is_finite());
    let axis = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    Ok(Told {
        shape: get(json, "shape", "[z, y, x]", |v| three(v, axis).map(Shape::from))?,
        voxel_type: get(json, "dtype", "a type such as uint16", |v| VoxelType::from_name(v.as_str()?))?,
        big_endian: get(json, "byte_order", "little or big", |v| match v.as_str()? {
            "little" => Some(false),
            "big" => Some(true),
            _ => None,
        })?,
        offset: get(json, "offset", "a number of bytes", Value::as_u64)?,
        voxel_size: get(json, "voxel_size", "three lengths above zero, [z, y, x]", |v| {
            three(v, |v| length(v).filter(|&n| n > 0.0))
        })?,
        unit: get(json, "unit", "a name", |v| v.as_str().map(str::to_string))?,
        origin: get(json, "origin", "three lengths, [z, y, x]", |v| three(v, length))?,
        note: Some("the shape comes from the sidecar.".into()),
    })
}

/// A list of three.
fn three<T>(value: &Value, one: impl Fn(&Value) -> Option<T>) -> Option<[T; 3]> {
    value.as_array()?.iter().map(one).collect::<Option<Vec<T>>>()?.try_into().ok()
}

/// What a key holds; one that is there must hold what it is for.
fn get<T>(
    json: &Value,
    key: &str,
    expected: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> std::result::Result<Option<T>, String> {
    let Some(value) = json.get(key) else { return Ok(None) };
    read(value).map(Some).ok_or_else(|| format!("`{key}` is {value}; expected {expected}"))
}

/// What words of a file name tell: `12x34x56`, `uint16`, `be`.
pub(super) fn parse_name(stem: &str) -> Told {
    let mut told = Told::default();
    for word in stem.split(['_', '-', ' ', '.']) {
        let axes: Vec<Option<usize>> = word.split(['x', '×']).map(|n| n.parse().ok()).collect();
        if let [Some(a), Some(b), Some(c)] = axes[..] {
            // Names write the axes either way round; slices are mostly square, which tells.
            let backward = a == b && b != c;
            let (shape, read) =
                if backward { (Shape::new(c, b, a), "x×y×z") } else { (Shape::new(a, b, c), "z×y×x") };
            told.shape = Some(shape);
            told.note = Some(format!("the shape {shape} comes from the file name, read as {read}."));
        }
        told.voxel_type = VoxelType::from_name(word).or(told.voxel_type);
        told.big_endian = match word {
            "le" => Some(false),
            "be" => Some(true),
            _ => told.big_endian,
        };
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_shape_type_and_byte_order() {
        let told = parse_name("scan_12x34x56_uint16_be");
        assert_eq!(told.shape, Some(Shape::new(12, 34, 56)));
        assert_eq!(told.voxel_type, Some(VoxelType::U16));
        assert_eq!(told.big_endian, Some(true));
        assert_eq!(parse_name("sample_20x_objective"), Told::default());
    }

    #[test]
    fn square_slices_tell_which_axis_is_z() {
        let shape = |name| parse_name(name).shape.map(<[usize; 3]>::from);
        assert_eq!(shape("scan_2048x2048x1500_uint16"), Some([1500, 2048, 2048]));
        assert_eq!(shape("scan_1500x2048x2048_uint16"), Some([1500, 2048, 2048]));
        assert_eq!(shape("scan_64x64x64"), Some([64, 64, 64]));
    }

    #[test]
    fn a_sidecar_says_what_it_may() {
        let told = |text: &str| parse(&serde_json::from_str(text).expect("JSON"));
        let all = told(
            r#"{"shape": [2, 3, 4], "dtype": "f32", "byte_order": "big", "offset": 9,
                "voxel_size": [1, 0.5, 0.5], "unit": "nm", "origin": [0, -1, 2]}"#,
        )
        .expect("a whole sidecar");
        assert_eq!((all.shape, all.voxel_type), (Some(Shape::new(2, 3, 4)), Some(VoxelType::F32)));
        assert_eq!((all.big_endian, all.offset), (Some(true), Some(9)));
        assert_eq!((all.voxel_size, all.origin), (Some([1.0, 0.5, 0.5]), Some([0.0, -1.0, 2.0])));
        for (wrong, words) in [
            (r#"{"shap": [1, 2, 3]}"#, "`shap` is not known"),
            (r#"{"shape": [1, 2]}"#, "`shape` is [1,2]; expected [z, y, x]"),
            (r#"{"shape": [1, 2, -3]}"#, "expected [z, y, x]"),
            (r#"{"dtype": "colour"}"#, "expected a type"),
            (r#"{"voxel_size": [0, 1, 1]}"#, "above zero"),
            ("[]", "no JSON object"),
        ] {
            let error = told(wrong).expect_err(wrong);
            assert!(error.contains(words), "{error}");
        }
    }
}
