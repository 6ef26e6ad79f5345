//! Shapes and boxes within them.

use proptest::prelude::*;
use tomosieve_volume::{Error, ErrorKind, Region, Shape};

#[test]
fn a_region_must_lie_within() {
    let shape = Shape::new(4, 5, 6);
    assert_eq!(shape.to_string(), "4×5×6");
    assert_eq!(shape.voxels(), 120);
    assert_eq!(Region::whole(shape).voxels(), 120);
    assert_eq!(Region::slab(shape, 1..3).unwrap().size, [2, 5, 6]);
    let error = Region::slab(shape, 3..5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(
        error.to_string(),
        "region at [3, 0, 0] of size [2, 5, 6] does not lie within the volume of 4×5×6"
    );
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let backwards = Region::slab(shape, 3..1);
    assert!(matches!(backwards, Err(Error::OutsideVolume { .. })));
    assert!(Region::new(shape, [0, 0, usize::MAX], [1, 1, 2]).is_err());
}

#[test]
fn counting_saturates() {
    let huge = Shape::new(usize::MAX, 2, 2);
    assert_eq!(huge.voxels(), usize::MAX);
}

proptest! {
    #[test]
    fn contained_exactly_if_every_corner_is(
        shape in [1usize..9, 1..9, 1..9],
        start in [0usize..9, 0..9, 0..9],
        size in [1usize..9, 1..9, 1..9],
    ) {
        let shape = Shape::from(shape);
        let axes: [usize; 3] = shape.into();
        let last_inside = (0..3).all(|axis| start[axis] + size[axis] - 1 < axes[axis]);
        prop_assert_eq!(Region::new(shape, start, size).is_ok(), last_inside);
    }
}
