//! Attenuation as 16-bit grey values, on one linear scale for all phantoms.
//!
//! μ = −1 is 0 and μ = 3 is 65 535, one step 6.1·10⁻⁵; values outside are clamped. The scale is fixed so
//! that slices can be written as they are made.

const LOWEST: f32 = -1.0;
const HIGHEST: f32 = 3.0;
const STEPS: f32 = 65_535.0;

/// The grey value nearest to attenuation `mu`; not-a-number becomes 0.
pub fn to_u16(mu: f32) -> u16 {
    ((mu - LOWEST) / (HIGHEST - LOWEST) * STEPS).round() as u16
}

/// The attenuation in the middle of a grey value.
pub fn from_u16(grey: u16) -> f32 {
    LOWEST + f32::from(grey) / STEPS * (HIGHEST - LOWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_values_round_trip_and_clamp() {
        for grey in [0, 1, 16_384, 32_767, 65_534, 65_535] {
            assert_eq!(to_u16(from_u16(grey)), grey);
        }
        assert_eq!((to_u16(-7.0), to_u16(1e9), to_u16(f32::NAN)), (0, 65_535, 0));
        assert!((from_u16(to_u16(0.97)) - 0.97).abs() < 4e-5);
    }
}
