//! The names of lengths: `ImageJ` and OME spell them differently.

/// OME's name, `ImageJ`'s name, and what else is met.
const UNITS: [(&str, &str, &[&str]); 7] = [
    ("angstrom", "angstrom", &["Å", "å"]),
    ("nanometer", "nm", &["nanometre"]),
    ("micrometer", "micron", &["µm", "μm", "um", "microns", "micrometre"]),
    ("millimeter", "mm", &["millimetre"]),
    ("centimeter", "cm", &["centimetre"]),
    ("meter", "m", &["metre"]),
    ("inch", "inch", &["in", "\""]),
];

fn row(unit: &str) -> Option<&'static (&'static str, &'static str, &'static [&'static str])> {
    UNITS.iter().find(|(ome, imagej, others)| unit == *ome || unit == *imagej || others.contains(&unit))
}

/// The name `OME-Zarr` demands, if it knows the unit.
pub(crate) fn ome(unit: &str) -> Option<&'static str> {
    row(unit).map(|(ome, ..)| *ome)
}

/// The name `ImageJ` prefers; others are kept.
pub(crate) fn imagej(unit: &str) -> &str {
    row(unit).map_or(unit, |(_, imagej, _)| imagej)
}
