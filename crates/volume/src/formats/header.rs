//! What the headers of NRRD, MetaImage, NIfTI and MRC have in common, and how the text ones are read.

use std::path::Path;
use std::str::FromStr;

use super::source::Source;
use crate::error::{Error, Result};
use crate::region::Shape;

/// What is told of axes that a header does not name.
pub(super) const X_FASTEST: &str = "the axes are taken as x, y, z from the fastest on.";
/// What is told of axes that are not those of space.
pub(super) const TURNED: &str = "its axes are turned or mirrored in space; voxels are taken as stored.";

/// Headers of many named segments have tens of kilobytes.
const MAX_HEADER: u64 = 1 << 20;

/// A header of lines, and where it ends.
#[derive(Debug)]
pub(super) struct Lines {
    lines: Vec<String>,
    /// The first byte after it.
    pub(super) end: u64,
}

impl Lines {
    /// Reads the lines up to the one that is `last`, or all of a file without one.
    pub(super) fn read(source: &Source, magic: &[u8], last: impl Fn(&str) -> bool) -> Result<Self> {
        let mut bytes = vec![0; source.len().min(MAX_HEADER) as usize];
        source.read_at(0, &mut bytes)?;
        if !bytes.starts_with(magic) {
            let magic = String::from_utf8_lossy(magic);
            let found = format!("a file that does not start with `{magic}` is");
            return Err(Error::unsupported(source.path(), found, "a header that does"));
        }
        let (mut lines, mut end) = (Vec::new(), 0);
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            end += line.len();
            let line = String::from_utf8_lossy(line).trim_end_matches(['\n', '\r']).to_string();
            let done = last(&line);
            lines.push(line);
            if done {
                return Ok(Self { lines, end: end as u64 });
            }
        }
        if source.len() > MAX_HEADER {
            return Err(Error::damaged(source.path(), "the header does not end"));
        }
        Ok(Self { lines, end: end as u64 })
    }

    /// What stands after `name` and the separator, in the first line that starts so.
    pub(super) fn field(&self, name: &str, separator: char) -> Option<&str> {
        self.lines.iter().find_map(|line| {
            let (key, value) = line.split_once(separator)?;
            // NRRD's `key:=value` pairs are the user's own.
            (key.trim().eq_ignore_ascii_case(name) && !value.starts_with('=')).then(|| value.trim())
        })
    }
}

/// The first name that has a value.
pub(super) fn first_of<'a, T>(names: &[&'a str], value: impl Fn(&'a str) -> Option<T>) -> Option<T> {
    names.iter().find_map(|name| value(name))
}

/// Numbers with spaces or commas between them; none if one is no number, or there are none.
pub(super) fn numbers<T: FromStr>(text: &str) -> Option<Vec<T>> {
    let words = text.split([' ', ',', '\t']).filter(|word| !word.is_empty());
    words.map(|word| word.parse().ok()).collect::<Option<Vec<T>>>().filter(|numbers| !numbers.is_empty())
}

/// Three numbers told as x, y, z.
pub(super) fn to_zyx(xyz: &[f64]) -> Option<[f64; 3]> {
    match *xyz {
        [x, y, z] if xyz.iter().all(|n| n.is_finite()) => Some([z, y, x]),
        _ => None,
    }
}

/// Edge lengths, if a voxel can have them.
pub(super) fn lengths(size: [f64; 3]) -> Option<[f64; 3]> {
    size.iter().all(|&n| n.is_finite() && n > 0.0).then_some(size)
}

/// Whether the directions of x, y and z are other than those of space.
pub(super) fn oblique(directions: [&[f64]; 3]) -> bool {
    directions.iter().enumerate().any(|(axis, v)| {
        v.iter().enumerate().any(|(n, &value)| if n == axis { value < 0.0 } else { value != 0.0 })
    })
}

/// The shape of axes told from the fastest on; axes after z must have length one.
pub(super) fn shape(path: &Path, sizes: &[usize]) -> Result<Shape> {
    match *sizes {
        [x, y] => Ok(Shape::new(1, y, x)),
        [x, y, z, ref more @ ..] if more.iter().all(|&n| n == 1) => Ok(Shape::new(z, y, x)),
        _ => {
            let axes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
            let found = format!("an array of {} is", axes.join("×"));
            Err(Error::unsupported(path, found, "three axes x, y, z, from the fastest on"))
        }
    }
}

/// The one file, told by name, that holds the voxels of a header.
pub(super) fn beside(path: &Path, name: &str) -> Result<Source> {
    if name.starts_with("LIST") || name.contains('%') {
        return Err(Error::unsupported(
            path,
            "a header of voxels spread over several files is",
            "one file; open the folder of slices itself if they are TIFF",
        ));
    }
    let file = path.parent().unwrap_or(Path::new(".")).join(name);
    Source::open(&file)
}
