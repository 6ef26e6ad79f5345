//! Reading ahead: every slab in order, and nobody waits for a side that has ended.

use tomosieve_volume::{
    Error, Memory, Region, Shape, VolumeInfo, VolumeReader, VoxelType, read_ahead, slab_depth,
};

const SHAPE: Shape = Shape::new(5, 2, 3);

fn volume() -> Memory {
    Memory::new(SHAPE, (0..30u8).map(f32::from).collect()).unwrap()
}

/// A volume whose slices from 2 on cannot be read.
struct Broken(Memory);

impl VolumeReader for Broken {
    fn info(&self) -> &VolumeInfo {
        self.0.info()
    }

    fn read(&self, at: &Region, into: &mut [f32]) -> Result<(), Error> {
        if at.start[0] >= 2 {
            return Err(Error::Damaged { path: "broken".into(), what: "a test".into() });
        }
        self.0.read(at, into)
    }
}

/// An error of the caller's own.
#[derive(Debug)]
struct Mine(String);

impl From<Error> for Mine {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

#[test]
fn slabs_of_any_depth_are_the_volume() {
    for depth in [0, 1, 2, 5, 9] {
        let (mut all, mut sizes) = (Vec::new(), Vec::new());
        let whole = read_ahead(&volume(), depth, |voxels| -> Result<bool, Error> {
            all.extend_from_slice(voxels.as_f32(&mut Vec::new()));
            sizes.push(voxels.len() / SHAPE.slice_voxels());
            Ok(true)
        });
        assert!(whole.unwrap());
        assert_eq!(all, (0..30u8).map(f32::from).collect::<Vec<_>>());
        let depth = depth.max(1);
        let expected: Vec<usize> = (0..5).step_by(depth).map(|z| depth.min(5 - z)).collect();
        assert_eq!(sizes, expected);
    }
}

#[test]
fn either_side_may_end_early() {
    let mut seen = 0;
    let whole = read_ahead(&volume(), 1, |_| -> Result<bool, Error> {
        seen += 1;
        Ok(seen < 2)
    });
    assert_eq!((whole.unwrap(), seen), (false, 2));

    let failed = read_ahead(&volume(), 1, |_| Err::<bool, _>(Mine("enough".into())));
    assert_eq!(failed.unwrap_err().0, "enough");
    let mut seen = 0;
    let failed = read_ahead(&Broken(volume()), 1, |_| -> Result<bool, Mine> {
        seen += 1;
        Ok(true)
    });
    assert!(failed.unwrap_err().0.contains("damaged: a test"));
    assert_eq!(seen, 2);
}

/// A large volume of which so many slices decode together, and nothing can be read.
struct Layered(VolumeInfo, usize);

impl VolumeReader for Layered {
    fn info(&self) -> &VolumeInfo {
        &self.0
    }

    fn slices_at_once(&self) -> usize {
        self.1
    }

    fn read(&self, _: &Region, _: &mut [f32]) -> Result<(), Error> {
        Err(Error::Damaged { path: "layered".into(), what: "a test".into() })
    }
}

#[test]
fn slabs_suit_the_cache_the_threads_and_what_decodes_together() {
    let depth = |voxel_type, layer, most, threads| {
        let info = VolumeInfo::new("test", "layered", Shape::new(4096, 1024, 1024), voxel_type);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| slab_depth(&Layered(info, layer), most))
    };
    assert_eq!(depth(VoxelType::U8, 1, 100, 2), 8);
    assert_eq!(depth(VoxelType::U16, 1, 100, 2), 4);
    assert_eq!(depth(VoxelType::F64, 1, 100, 2), 2); // handed out as f32
    assert_eq!(depth(VoxelType::U16, 1, 100, 7), 7);
    assert_eq!(depth(VoxelType::U16, 3, 100, 2), 6);
    assert_eq!(depth(VoxelType::U16, 3, 5, 2), 3);
    assert_eq!(depth(VoxelType::U16, 64, 51, 2), 51);
}
