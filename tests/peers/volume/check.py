"""Reads what tomosieve-volume wrote with the programs its users have.

    pip install -r requirements.txt
    cargo build --release -p tomosieve-volume --example convert
    python check.py path/to/convert

Every output kind is written from files made by numpy, tifffile and zarr-python, and compared to
the voxel with what those, ome-zarr and napari-ome-zarr make of it.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
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


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for dtype in ("uint8", "uint16", "float32"):
            check_arrays(folder, dtype)
            check_ome_zarr(folder, dtype)
            print("agreed:", dtype)
        check_imagej(folder)
        check_labels(folder)
    print("all peers agree")


if __name__ == "__main__":
    main()
