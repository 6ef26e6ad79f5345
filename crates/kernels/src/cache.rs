//! How much a core has to itself.

use std::sync::OnceLock;

/// Bytes of a core's second cache that the data of a task may fill: three quarters, since filters pass through it too. What
/// is computed must not depend on it.
pub(crate) fn own() -> usize {
    static OWN: OnceLock<usize> = OnceLock::new();
    *OWN.get_or_init(|| second().unwrap_or(SECOND) / 4 * 3)
}

/// Its size where it is not known.
const SECOND: usize = 512 << 10;

/// As the processor says.
#[cfg(target_arch = "x86_64")]
fn second() -> Option<usize> {
    let mut caches = raw_cpuid::CpuId::new().get_cache_parameters()?;
    let second = caches.find(|cache| cache.level() == 2)?;
    Some(
        second.associativity()
            * second.physical_line_partitions()
            * second.coherency_line_size()
            * second.sets(),
    )
}

/// Not asked for.
#[cfg(not(target_arch = "x86_64"))]
fn second() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_cache_has_the_size_of_one() {
        assert!((64 << 10..64 << 20).contains(&own()), "{}", own());
        #[cfg(target_os = "linux")]
        if let (Some(found), Ok(told)) =
            (second(), std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size"))
        {
            assert_eq!(format!("{}K", found >> 10), told.trim());
        }
    }
}
