"""Reads what tomosieve-volume wrote with the programs its users have.

    pip install -r requirements.txt
    cargo build --release -p tomosieve-volume --example convert
    python check.py path/to/convert

Every output kind is written from files made by the programs at home in each format, and compared
to the voxel with what those, ome-zarr and napari-ome-zarr make of it.
"""

import pathlib
import subprocess
import sys
import tempfile

import h5py
import hdf5plugin
import mrcfile
import nibabel
import nrrd
import numpy as np
import SimpleITK as sitk
import tifffile
import zarr
from napari_ome_zarr import napari_get_reader
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models.v04 import Image, ImageLabel

CONVERT = pathlib.Path(sys.argv[1]).resolve()
SIZE = [1.5, 0.65, 0.65]


def convert(source, target, kind, *flags):
    subprocess.run([CONVERT, source, target, kind, *flags], check=True)
    return target


def volume(dtype, shape=(70, 300, 281)):
    noise = np.random.default_rng(7)
    if dtype == "float32":
        return noise.normal(size=shape).astype(dtype)
    if dtype == "uint8":  # labels: blobs of 0, 1 and 2
        z, y, x = np.indices(shape)
        return ((z // 9 + y // 31 + x // 17 + noise.integers(0, 2, shape)) % 3).astype(dtype)
    return noise.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)


def check_arrays(folder, dtype):
    """npy, TIFF folders and TIFF stacks."""
    truth = volume(dtype)
    source = folder / f"{dtype}.npy"
    np.save(source, truth)
    np.testing.assert_array_equal(np.load(convert(source, folder / "copy.npy", "npy")), truth)
    for packing in ([], ["lzw"]):
        slices = convert(source, folder / f"{dtype}_slices{len(packing)}", "tiff-folder", *packing)
        files = sorted(slices.iterdir())
        assert [file.name for file in files] == [f"slice_{z:05}.tif" for z in range(len(truth))]
        np.testing.assert_array_equal(tifffile.imread(files), truth)
        stack = convert(source, folder / f"{dtype}_{len(packing)}.tif", "tiff-stack", *packing)
        with tifffile.TiffFile(stack) as tif:
            assert tif.is_imagej and len(tif.pages) == len(truth)
            assert tif.series[0].axes == "ZYX", tif.series[0].axes
            np.testing.assert_array_equal(tif.asarray(), truth)


def check_imagej(folder):
    """The voxel size goes through ImageJ's description and OME-Zarr's scale."""
    truth = volume("uint16", (5, 20, 30))
    source = folder / "imagej.tif"
    tifffile.imwrite(source, truth, imagej=True, resolution=(1 / SIZE[2], 1 / SIZE[1]),
                     metadata={"axes": "ZYX", "spacing": SIZE[0], "unit": "um"})
    with tifffile.TiffFile(convert(source, folder / "again.tif", "tiff-stack")) as tif:
        meta = tif.imagej_metadata
        assert meta["spacing"] == SIZE[0] and meta["unit"] == "micron", meta
        n, d = tif.pages[0].tags["XResolution"].value
        assert abs(d / n - SIZE[2]) < 1e-6
    out = convert(source, folder / "scaled.ome.zarr", "ome-zarr")
    image = Image.from_zarr(zarr.open_group(out, mode="r"))
    scale = image.attributes.multiscales[0].datasets[0].coordinateTransformations[0].scale
    assert np.allclose(scale, SIZE), scale
    assert {axis.unit for axis in image.attributes.multiscales[0].axes} == {"micrometer"}


def vote(labels):
    """The most frequent of each 1x2x2 cell, the smaller in a tie."""
    z, y, x = labels.shape
    padded = np.pad(labels.astype(int), ((0, 0), (0, y % 2), (0, x % 2)), constant_values=-1)
    cells = padded.reshape(z, (y + 1) // 2, 2, (x + 1) // 2, 2)
    votes = np.stack([(cells == label).sum(axis=(2, 4)) for label in range(3)])
    return votes.argmax(axis=0).astype(labels.dtype)


def check_ome_zarr(folder, dtype):
    """Images: zarr-python, the schema, and the pyramid's mean."""
    truth = volume(dtype)
    out = convert(folder / f"{dtype}.npy", folder / f"{dtype}.ome.zarr", "ome-zarr")
    group = zarr.open_group(out, mode="r")
    np.testing.assert_array_equal(group["0"][:], truth)
    Image.from_zarr(group)
    coarse = group["1"][:]
    cells = np.pad(truth.astype(float), ((0, 0), (0, 0), (0, 1)), mode="edge").reshape(70, 150, 2, 141, 2)
    mean = cells.mean(axis=(2, 4))
    if dtype != "float32":
        mean = np.floor(mean + 0.5)
    np.testing.assert_allclose(coarse, mean, rtol=1e-5, atol=1e-6)


def check_version_5(folder, dtype):
    """OME-Zarr 0.5 in shards: the schema, zarr-python, ome-zarr's reader, napari's plugin."""
    from ome_zarr_models.v05 import Image as Image5, ImageLabel as Label5

    truth = volume(dtype, (70, 300, 1100))
    np.save(folder / "wide.npy", truth)
    labels = ["labels"] if dtype == "uint8" else []
    out = convert(folder / "wide.npy", folder / f"wide_{dtype}.ome.zarr", "ome-zarr", "0.5", *labels)
    group = zarr.open_group(out, mode="r")
    array = group["0"]
    assert array.metadata.zarr_format == 3 and array.shards == (64, 384, 1024) and array.chunks == (64, 128, 128)
    np.testing.assert_array_equal(array[:], truth)
    (Label5 if labels else Image5).from_zarr(group)
    layers = napari_get_reader(str(out))(str(out))
    assert [kind for _, _, kind in layers] == ["labels" if labels else "image"], layers
    np.testing.assert_array_equal(np.asarray(layers[0][0][0]), truth)


def check_labels_within_an_image(folder):
    for version in ("0.4", "0.5"):
        image = convert(folder / "uint8.npy", folder / f"image_{version}.zarr", "ome-zarr", version)
        convert(folder / "uint8.npy", image / "labels" / "phases", "ome-zarr", "labels")
        layers = napari_get_reader(str(image))(str(image))
        assert [kind for _, _, kind in layers] == ["image", "labels"], layers
        np.testing.assert_array_equal(np.asarray(layers[1][0][0]), volume("uint8"))


def check_labels(folder):
    """Labels: the schema, ome-zarr's reader and napari's plugin, which must make a labels layer."""
    truth = volume("uint8")
    out = convert(folder / "uint8.npy", folder / "labels.ome.zarr", "ome-zarr", "labels")
    group = zarr.open_group(out, mode="r")
    np.testing.assert_array_equal(group["0"][:], truth)
    np.testing.assert_array_equal(group["1"][:], vote(truth))
    label = ImageLabel.from_zarr(group)
    assert len(label.attributes.image_label.colors) == 3
    nodes = list(Reader(parse_url(out))())
    np.testing.assert_array_equal(np.asarray(nodes[0].data[0]), truth)
    layers = napari_get_reader(str(out))(str(out))
    assert len(layers) == 1, layers
    data, meta, kind = layers[0]
    assert kind == "labels", kind
    np.testing.assert_array_equal(np.asarray(data[0]), truth)
    print("napari-ome-zarr:", kind, sorted(meta))


ORIGIN = [-3.0, 13.0, 0.25]


def read_npy(folder, source):
    """What tomosieve reads of a file."""
    return np.load(convert(source, folder / "read.npy", "npy"))


def check_hdf5_read(folder):
    """What h5py wrote, with every filter there is."""
    filters = {
        "contiguous": {},
        "gzip": {"compression": "gzip", "shuffle": True, "fletcher32": True},
        "lzf": {"compression": "lzf"},
        "lz4": hdf5plugin.LZ4(),
        "zstd": hdf5plugin.Zstd(),
        "bitshuffle_lz4": hdf5plugin.Bitshuffle(cname="lz4"),
    }
    for cname in "blosclz lz4 lz4hc zlib zstd".split():
        for shuffle in range(3):
            filters[f"blosc_{cname}_{shuffle}"] = hdf5plugin.Blosc(cname=cname, shuffle=shuffle)
    for dtype in ("uint8", "uint16", "float32"):
        truth = volume(dtype)
        for name, packing in filters.items():
            for libver in ("earliest", "latest"):
                chunks = {"chunks": (16, 50, 281)} if packing else {}
                with h5py.File(folder / "in.h5", "w", libver=libver) as file:
                    file.create_dataset("exchange/data", data=truth, **chunks, **packing)
                np.testing.assert_array_equal(read_npy(folder, folder / "in.h5"), truth, err_msg=name)
    with h5py.File(folder / "in.h5", "w") as file:
        file.create_dataset("exchange/data", data=truth, chunks=(16, 50, 281), **hdf5plugin.Bitshuffle(cname="zstd"))
    refused = subprocess.run([CONVERT, folder / "in.h5", folder / "no.npy", "npy"], capture_output=True, text=True)
    assert refused.returncode != 0 and "bitshuffle and zstd" in refused.stderr, refused.stderr
    truth = volume("float32")
    layout = h5py.VirtualLayout(truth.shape, "float32")
    for n, z in enumerate(range(0, 70, 10)):
        with h5py.File(folder / f"part{n}.h5", "w") as file:
            file.create_dataset("exchange/data", data=truth[z : z + 10], chunks=(1, 300, 281), compression="gzip")
        layout[z : z + 10] = h5py.VirtualSource(f"part{n}.h5", "/exchange/data", (10, 300, 281))
    with h5py.File(folder / "virtual.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("/exchange/data", layout)
    np.testing.assert_array_equal(read_npy(folder, folder / "virtual.h5"), truth)
    with h5py.File(folder / "linked.h5", "w") as file:
        file["entry/data/data"] = h5py.ExternalLink("virtual.h5", "/exchange/data")
    np.testing.assert_array_equal(read_npy(folder, folder / "linked.h5::/entry/data/data"), truth)


def scaled_input(folder, dtype, shape=(70, 300, 281)):
    """A volume with size, unit and origin, in the one format that tells all three without ado."""
    truth = volume(dtype, shape)
    header = {"space dimension": 3, "space directions": np.diag(SIZE[::-1]), "space origin": ORIGIN[::-1],
              "space units": ["um"] * 3, "encoding": "raw"}
    nrrd.write(str(folder / f"{dtype}.nrrd"), truth, header, index_order="C")
    return truth, folder / f"{dtype}.nrrd"


def check_hdf5_write(folder, dtype):
    truth, source = scaled_input(folder, dtype)
    labels = ["labels"] if dtype == "uint8" else []
    out = convert(source, folder / f"{dtype}_out.h5", "hdf5", *labels)
    with h5py.File(out) as file:
        data = file["exchange/data"]
        assert data.dtype == truth.dtype and data.compression == "gzip" and data.shuffle, data
        np.testing.assert_array_equal(data[:], truth)
        np.testing.assert_array_equal(data[3:20, 100:280, 5:270], truth[3:20, 100:280, 5:270])
        assert data.attrs["axes"] == "z:y:x"
        assert np.allclose(data.attrs["element_size_um"], SIZE)
        entry = file[file.attrs["default"]]
        nxdata = entry[entry.attrs["default"]]
        assert (entry.attrs["NX_class"], nxdata.attrs["NX_class"]) == ("NXentry", "NXdata")
        assert nxdata[nxdata.attrs["signal"]] == data, "the same object"
        assert list(nxdata.attrs["axes"]) == ["z", "y", "x"]
        for axis, (size, origin) in zip("zyx", zip(SIZE, ORIGIN)):
            at = origin + size * np.arange(nxdata[axis].shape[0])
            assert np.allclose(nxdata[axis][:], at) and nxdata[axis].attrs["units"] == "um"
        if labels:
            assert data.attrs["description"] == "SegmentationLabels"
            assert list(data.attrs["class_names"]) == ["air", "matrix", "grain"]
            assert data.attrs["class_colours"].tolist()[1] == [230, 159, 0, 255]
    np.testing.assert_array_equal(read_npy(folder, out), truth)


def check_headers(folder, dtype):
    """NRRD, MetaImage and NIfTI: what SimpleITK, pynrrd and nibabel read of ours, and we of theirs."""
    truth, source = scaled_input(folder, dtype)
    for name, kind in [("out.nrrd", "nrrd"), ("out.mha", "mha"), ("out.nii", "nifti"), ("out.nii.gz", "nifti")]:
        out = convert(source, folder / name, kind)
        image = sitk.ReadImage(str(out))
        array = sitk.GetArrayFromImage(image)
        # ITK knows no units of NRRD, and has NIfTI in millimetres with x and y turned.
        unit, turn = {"nrrd": (1, 1), "mha": (1e-3, 1), "nifti": (1e-3, -1)}[kind]
        assert array.dtype == truth.dtype, (name, array.dtype)
        np.testing.assert_array_equal(array, truth, err_msg=name)
        assert np.allclose(image.GetSpacing(), np.array(SIZE[::-1]) * unit), (name, image.GetSpacing())
        origin = np.array(ORIGIN[::-1]) * unit * [turn, turn, 1]
        assert np.allclose(image.GetOrigin(), origin, rtol=1e-5), (name, image.GetOrigin(), origin)
        np.testing.assert_array_equal(read_npy(folder, out), truth, err_msg=name)
        # ITK's own, plain and packed.
        for packed in (False, True):
            theirs = folder / f"itk_{name}"
            sitk.WriteImage(image, str(theirs), useCompression=packed)
            np.testing.assert_array_equal(read_npy(folder, theirs), truth, err_msg=name)
    array, header = nrrd.read(str(folder / "out.nrrd"), index_order="C")
    np.testing.assert_array_equal(array, truth)
    assert np.allclose(header["space directions"], np.diag(SIZE[::-1])), header
    assert np.allclose(header["space origin"], ORIGIN[::-1]) and list(header["space units"]) == ["um"] * 3
    for name in ("out.nii", "out.nii.gz"):
        nifti = nibabel.load(folder / name)
        np.testing.assert_array_equal(np.asarray(nifti.dataobj).transpose(), truth)
        assert nifti.header.get_xyzt_units()[0] == "micron"
        assert np.allclose(nifti.affine[:3, :3], np.diag(SIZE[::-1])) and np.allclose(nifti.affine[:3, 3], ORIGIN[::-1])
    out = convert(source, folder / "labels.seg.nrrd", "nrrd", "labels") if dtype == "uint8" else None
    if out:
        array, header = nrrd.read(str(out), index_order="C")
        np.testing.assert_array_equal(array, truth)
        assert header["Segment0_Name"] == "matrix" and header["Segment1_LabelValue"] == "2", header
        assert header["space"] == "left-posterior-superior"


def check_long_nifti(folder):
    truth = volume("uint8", (2, 1, 40_000))
    np.save(folder / "long.npy", truth)
    nifti = nibabel.load(convert(folder / "long.npy", folder / "long.nii", "nifti"))
    assert isinstance(nifti, nibabel.Nifti2Image)
    np.testing.assert_array_equal(np.asarray(nifti.dataobj).transpose(), truth)


def check_mrc(folder):
    for dtype in ("int8", "int16", "uint16", "float16", "float32"):
        truth = np.random.default_rng(3).integers(0, 100, (9, 30, 31)).astype(dtype)
        with mrcfile.new(folder / "in.mrc", truth, overwrite=True) as mrc:
            mrc.set_volume()
        np.testing.assert_array_equal(read_npy(folder, folder / "in.mrc"), truth.astype("float32"), err_msg=dtype)


def check_tiffs(folder):
    """What tifffile wrote: packings, predictors, tiles, byte orders, palettes."""
    grey = {"photometric": "minisblack"}
    palette = {"photometric": "palette", "colormap": np.arange(768, dtype="uint16").reshape(3, 256)}
    packings = [{}, *({"compression": c} for c in ("lzw", "zlib", "zstd", "packbits"))]
    packings += [{"compression": c, "predictor": True} for c in ("lzw", "zlib", "zstd")]
    for dtype in ("uint8", "uint16", "float32"):
        truth = volume(dtype, (5, 300, 281))
        for packing in packings:
            for layout in ({}, {"tile": (64, 48)}, {"rowsperstrip": 17}):
                # The crate tiff 0.11.3 ends early in some LZW tiles ("the file ends early"): an error, no wrong voxel.
                if layout.get("tile") and packing.get("compression") == "lzw":
                    continue
                for more in ({"byteorder": ">"}, {"bigtiff": True}, {}):
                    for colours in (grey, palette) if dtype == "uint8" else (grey,):
                        tifffile.imwrite(folder / "in.tif", truth, **packing, **layout, **more, **colours)
                        found = read_npy(folder, folder / "in.tif")
                        np.testing.assert_array_equal(found, truth, err_msg=f"{packing} {layout} {more} {colours}")


def check_zarrs(folder):
    """What zarr-python wrote: both versions, every codec of blosc, shards."""
    from numcodecs import Blosc
    from zarr.codecs import BloscCodec

    truth = volume("uint16")
    for cname in "blosclz lz4 lz4hc zlib zstd".split():
        for shuffle, words in enumerate(("noshuffle", "shuffle", "bitshuffle")):
            zarr.create_array(folder / "in.zarr", data=truth, chunks=(16, 64, 64), zarr_format=2, overwrite=True,
                              compressors=Blosc(cname, shuffle=shuffle))
            np.testing.assert_array_equal(read_npy(folder, folder / "in.zarr"), truth, err_msg=cname)
            zarr.create_array(folder / "in3.zarr", data=truth, chunks=(8, 32, 32), shards=(16, 64, 64), overwrite=True,
                              compressors=BloscCodec(cname=cname, shuffle=words))
            np.testing.assert_array_equal(read_npy(folder, folder / "in3.zarr"), truth, err_msg=cname)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for dtype in ("uint8", "uint16", "float32"):
            check_arrays(folder, dtype)
            check_ome_zarr(folder, dtype)
            check_version_5(folder, dtype)
            check_hdf5_write(folder, dtype)
            check_headers(folder, dtype)
            print("agreed:", dtype)
        for check in (check_hdf5_read, check_long_nifti, check_mrc, check_tiffs, check_zarrs):
            check(folder)
            print("agreed:", check.__name__)
        check_imagej(folder)
        check_labels(folder)
        check_labels_within_an_image(folder)
    print("all peers agree")


if __name__ == "__main__":
    main()
