//! The names of lengths: `ImageJ` and OME spell them differently.

/// OME's name, `ImageJ`'s name, what else is met, and the length in metres.
struct Unit {
    ome: &'static str,
    imagej: &'static str,
    others: &'static [&'static str],
    metres: f64,
}

const UNITS: [Unit; 7] = {
    const fn unit(
        ome: &'static str,
        imagej: &'static str,
        others: &'static [&'static str],
        metres: f64,
    ) -> Unit {
        Unit { ome, imagej, others, metres }
    }
    [
        unit("angstrom", "angstrom", &["Å", "å", "A"], 1e-10),
        unit("nanometer", "nm", &["nanometre"], 1e-9),
        unit("micrometer", "micron", &["µm", "μm", "um", "microns", "micrometre"], 1e-6),
        unit("millimeter", "mm", &["millimetre"], 1e-3),
        unit("centimeter", "cm", &["centimetre"], 1e-2),
        unit("meter", "m", &["metre"], 1.0),
        unit("inch", "inch", &["in", "\""], 0.0254),
    ]
};

fn row(unit: &str) -> Option<&'static Unit> {
    UNITS.iter().find(|row| unit == row.ome || unit == row.imagej || row.others.contains(&unit))
}

/// The name `OME-Zarr` demands, if it knows the unit.
pub(crate) fn ome(unit: &str) -> Option<&'static str> {
    row(unit).map(|row| row.ome)
}

/// The name `ImageJ` prefers; others are kept.
pub(crate) fn imagej(unit: &str) -> &str {
    row(unit).map_or(unit, |row| row.imagej)
}

/// How many of unit `to` one of unit `from` is; none where a unit is not known.
pub(crate) fn ratio(from: &str, to: &str) -> Option<f64> {
    Some(row(from)?.metres / row(to)?.metres)
}
