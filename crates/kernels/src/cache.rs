//! How much a core has to itself.

use std::sync::OnceLock;

/// Bytes of a core's second cache that the data of a task may fill: three quarters, since filters pass through it too; but
/// `least` where it is smaller or not known. What is computed must not depend on it, but for rounding where the moments of what
/// tasks wrote are put together.
pub(crate) fn own(least: usize) -> usize {
    static OWN: OnceLock<Option<usize>> = OnceLock::new();
    OWN.get_or_init(second).map_or(least, |second| least.max(second / 4 * 3))
}

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
        let found = own(64 << 10);
        assert!((64 << 10..64 << 20).contains(&found), "{found}");
        assert_eq!(own(0), second().map_or(0, |second| second / 4 * 3));
        assert_eq!(own(usize::MAX), usize::MAX, "no less than what is asked for");
        #[cfg(target_os = "linux")]
        if let (Some(found), Ok(told)) =
            (second(), std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size"))
        {
            assert_eq!(format!("{}K", found >> 10), told.trim());
        }
    }
}
