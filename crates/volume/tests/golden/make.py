"""Makes the golden files beside it with tifffile, numpy and zarr-python.

    pip install numpy==2.4.6 tifffile==2026.3.3 imagecodecs==2026.3.6 zarr==3.1.6
    python make.py

Every volume holds the same voxels, cast to the type in the file name:
value(z, y, x) = (z * 41 + y * 7 + x * 3) % 120, shape 3 x 17 x 17 unless the name tells another.
"""

import pathlib
import shutil

import numpy as np
import tifffile
import zarr

HERE = pathlib.Path(__file__).parent
Z, Y, X = 3, 17, 17


def volume(z=Z, y=Y, x=X, dtype="uint16"):
    grid = np.indices((z, y, x))
    return ((grid[0] * 41 + grid[1] * 7 + grid[2] * 3) % 120).astype(dtype)


def tiffs(out):
    write = tifffile.imwrite
    for dtype in "uint8 int8 uint16 int16 uint32 int32 float16 float32 float64".split():
        write(out / f"plain_{dtype}.tif", volume(dtype=dtype), photometric="minisblack")
    write(out / "big_endian.tif", volume(), byteorder=">", photometric="minisblack")
    write(out / "bigtiff.tif", volume(), bigtiff=True, photometric="minisblack")
    write(out / "bigtiff_big_endian.tif", volume(), bigtiff=True, byteorder=">", photometric="minisblack")
    write(out / "strips.tif", volume(), rowsperstrip=3, photometric="minisblack")
    write(out / "tiles.tif", volume(), tile=(16, 16), photometric="minisblack")
    grey = {"photometric": "minisblack"}
    write(out / "lzw.tif", volume(), compression="lzw", rowsperstrip=7, **grey)
    write(out / "lzw_predictor.tif", volume(), compression="lzw", predictor=2, rowsperstrip=7, **grey)
    write(out / "deflate_tiles_predictor.tif", volume(), compression="zlib", predictor=2, tile=(16, 16), **grey)
    write(out / "packbits.tif", volume(dtype="uint8"), compression="packbits", **grey)
    write(out / "zstd.tif", volume(), compression="zstd", **grey)
    write(out / "float_predictor.tif", volume(dtype="float32"), compression="zlib", predictor=3, **grey)
    write(out / "imagej.tif", volume(), imagej=True, resolution=(1 / 0.65, 1 / 0.65),
          metadata={"axes": "ZYX", "spacing": 1.5, "unit": "um"})
    write(out / "ome.ome.tif", volume(), metadata={
        "axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0,
        "PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm", "PhysicalSizeZUnit": "µm"}, **grey)
    # ImageJ beyond 4 GiB: one directory, the other slices follow bare.
    first = volume(dtype=">u2")
    write(out / "imagej_bare.tif", first[:1], byteorder=">", photometric="minisblack", metadata=None,
          description=f"ImageJ=1.54f\nimages={Z}\nslices={Z}\nloop=false\n")
    with open(out / "imagej_bare.tif", "ab") as file, tifffile.TiffFile(out / "imagej_bare.tif") as tif:
        page = tif.pages[0]
        end = page.dataoffsets[0] + page.databytecounts[0]
        assert end == tif.filehandle.size, "the voxels must come last"
        file.write(first[1:].tobytes())
    # What must be refused.
    rgb = np.zeros((4, 5, 3), "uint8")
    write(out / "refused_rgb.tif", rgb, photometric="rgb")
    write(out / "refused_palette.tif", rgb[..., 0], photometric="palette", colormap=np.zeros((3, 256), "uint16"))
    write(out / "refused_two_samples.tif", rgb[..., :2], photometric="minisblack", planarconfig="contig")
    write(out / "refused_bits.tif", np.zeros((4, 8), bool), photometric="minisblack")
    write(out / "refused_complex.tif", np.zeros((4, 5), "complex64"), photometric="minisblack")
    write(out / "refused_channels.tif", np.zeros((2, 2, 4, 5), "uint8"), imagej=True, metadata={"axes": "ZCYX"})
    with tifffile.TiffWriter(out / "refused_shapes.tif") as tif:
        tif.write(np.zeros((4, 5), "uint8"), photometric="minisblack")
        tif.write(np.zeros((4, 6), "uint8"), photometric="minisblack")


def npys(out):
    for dtype in "uint8 int8 uint16 int16 uint32 int32 float16 float32 float64".split():
        np.save(out / f"c_{dtype}.npy", volume(dtype=dtype)[:, :6, :7])
    np.save(out / "fortran_float32.npy", np.asfortranarray(volume(dtype="float32")[:, :6, :7]))
    np.save(out / "big_endian_uint16.npy", volume(dtype=">u2")[:, :6, :7])
    np.save(out / "flat_uint8.npy", volume(dtype="uint8")[0, :6, :7])
    np.save(out / "flat_fortran_uint8.npy", np.asfortranarray(volume(dtype="uint8")[0, :6, :7]))
    np.save(out / "refused_complex.npy", np.zeros((2, 2, 2), "complex64"))
    np.save(out / "refused_axes.npy", np.zeros((2, 2, 2, 2), "uint8"))


def zarrs(out):
    from numcodecs import Blosc, GZip, Zstd

    def v2(name, array, compressor, **more):
        zarr.create_array(out / name, data=array, chunks=(2, 16, 16), zarr_format=2, compressors=compressor, **more)

    v2("v2_blosclz.zarr", volume(), Blosc("blosclz", shuffle=Blosc.BITSHUFFLE))
    v2("v2_gzip_fortran.zarr", volume(dtype="float16"), GZip(1), order="F")
    v2("v2_zstd_slash.zarr", volume(dtype="uint8"), Zstd(1), chunk_key_encoding={"name": "v2", "separator": "/"})
    v2("v2_big_endian.zarr", volume(dtype=">i2"), None)
    zarr.create_array(out / "v3_sharded.zarr", data=volume(), chunks=(1, 6, 7), shards=(2, 12, 14))
    # An image of five axes as OME-Zarr 0.5 has it.
    group = zarr.create_group(out / "ome_0.5.zarr", zarr_format=3, attributes={"ome": {
        "version": "0.5",
        "multiscales": [{
            "axes": [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
            + [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"],
            "datasets": [{"path": "s0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 2, 0.5, 0.5]}]}],
        }],
    }})
    group.create_array("s0", data=volume()[None, None], chunks=(1, 1, 3, 17, 17))
    zarr.create_array(out / "refused_channels.zarr", data=np.zeros((2, 2, 3, 4), "uint8"), chunks=(2, 2, 3, 4))


def main():
    for make in (tiffs, npys, zarrs):
        out = HERE / make.__name__
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        make(out)


if __name__ == "__main__":
    main()
