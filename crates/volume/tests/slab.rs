//! Slabs cover a volume once, and their depth follows the budget.

use proptest::prelude::*;
use tomosieve_volume::{ErrorKind, Shape, Slabs, depth_for, reflect};

#[test]
fn halos_are_clipped() {
    let slabs: Vec<_> = Slabs::new(Shape::new(7, 1, 1), 3, 2).collect();
    let cores: Vec<_> = slabs.iter().map(|s| s.z.clone()).collect();
    let halos: Vec<_> = slabs.iter().map(|s| s.with_halo.clone()).collect();
    assert_eq!(cores, [0..3, 3..6, 6..7]);
    assert_eq!(halos, [0..5, 1..7, 4..7]);
    assert_eq!(slabs[1].core_within_halo(), 2..5);
}

#[test]
fn too_little_memory_is_said_with_what_is_needed() {
    assert_eq!(depth_for(1000, 100, 200, 2).unwrap(), 4);
    let error = depth_for(600, 100, 200, 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Memory);
    assert!(error.to_string().contains("needs 700 bytes"), "{error}");
    assert!(depth_for(u64::MAX, 0, 0, 0).is_ok());
}

#[test]
fn reflection_does_not_repeat_the_edge() {
    let mirrored: Vec<usize> = (-5..9).map(|i| reflect(i, 4)).collect();
    assert_eq!(mirrored, [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
    assert_eq!(reflect(-7, 1), 0);
    assert_eq!(reflect(isize::MIN, 3), reflect(isize::MIN + 4, 3));
}

proptest! {
    #[test]
    fn cores_cover_once_within_their_halos(z in 0usize..200, depth in 0usize..40, halo in 0usize..9) {
        let slabs = Slabs::new(Shape::new(z, 3, 3), depth, halo);
        let count = slabs.len();
        let slabs: Vec<_> = slabs.collect();
        prop_assert_eq!(slabs.len(), count);
        let covered: Vec<usize> = slabs.iter().flat_map(|s| s.z.clone()).collect();
        prop_assert_eq!(covered, (0..z).collect::<Vec<_>>());
        for slab in &slabs {
            prop_assert!(slab.z.len() <= depth.max(1));
            prop_assert_eq!(slab.with_halo.start, slab.z.start.saturating_sub(halo));
            prop_assert_eq!(slab.with_halo.end, (slab.z.end + halo).min(z));
        }
    }

    #[test]
    fn the_depth_is_the_greatest_that_fits(
        budget in 0u64..100_000, slice in 1u64..500, fixed in 0u64..5000, halo in 0usize..9,
    ) {
        let takes = |depth: u64| (depth + 2 * halo as u64) * slice + fixed;
        match depth_for(budget, slice, fixed, halo) {
            Ok(depth) => {
                prop_assert!(takes(depth as u64) <= budget);
                prop_assert!(takes(depth as u64 + 1) > budget);
            }
            Err(_) => prop_assert!(takes(1) > budget),
        }
    }

    #[test]
    fn reflection_stays_inside_and_mirrors(index in -1000isize..1000, len in 1usize..50) {
        let at = reflect(index, len);
        prop_assert!(at < len);
        prop_assert_eq!(at, reflect(-index, len));
        if (0..len as isize).contains(&index) {
            prop_assert_eq!(at, index as usize);
        }
    }
}
