"""Makes the golden files beside it with the programs that are at home in each format.

    pip install -r ../../../../tests/peers/volume/requirements.txt
    python make.py [ROOM ...]

Every volume holds the same voxels, cast to the type in the file name:
value(z, y, x) = (z * 41 + y * 7 + x * 3) % 120, shape 3 x 17 x 17 unless the name tells another.
"""

import pathlib
import shutil
import sys

import h5py
import hdf5plugin
import mrcfile
import nibabel
import nrrd
import numpy as np
import SimpleITK as sitk
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
    # Label stacks with the colours of a palette.
    palette = {"photometric": "palette", "colormap": np.arange(768, dtype="uint16").reshape(3, 256)}
    write(out / "palette_uint8.tif", volume(dtype="uint8"), **palette)
    write(out / "palette_lzw_uint8.tif", volume(dtype="uint8"), compression="lzw", byteorder=">", **palette)
    write(out / "palette_big_zstd_uint8.tif", volume(dtype="uint8"), compression="zstd", bigtiff=True, **palette)
    # What must be refused.
    rgb = np.zeros((4, 5, 3), "uint8")
    write(out / "refused_rgb.tif", rgb, photometric="rgb")
    write(out / "refused_two_samples.tif", rgb[..., :2], photometric="minisblack", planarconfig="contig")
    write(out / "refused_bits.tif", np.zeros((4, 8), bool), photometric="minisblack")
    write(out / "refused_complex.tif", np.zeros((4, 5), "complex64"), photometric="minisblack")
    write(out / "refused_channels.tif", np.zeros((2, 2, 4, 5), "uint8"), imagej=True, metadata={"axes": "ZCYX"})
    part = tifffile.tiffcomment(out / "ome.ome.tif").replace('SizeZ="3"', 'SizeZ="9"').encode()
    shutil.copy(out / "ome.ome.tif", out / "refused_part.ome.tif")
    tifffile.tiffcomment(out / "refused_part.ome.tif", part)
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


def hdf5s(out):
    def one(name, array=None, path="exchange/data", libver="earliest", **more):
        array = volume() if array is None else array
        with h5py.File(out / name, "w", libver=libver) as file:
            return file.create_dataset(path, data=array, **more).dtype

    for dtype in "uint8 int8 int16 uint32 int32 float16 float32 float64".split():
        one(f"plain_{dtype}.h5", volume(dtype=dtype))
    chunks = {"chunks": (2, 6, 17)}
    one("gzip_shuffle_uint16.h5", compression="gzip", shuffle=True, fletcher32=True, **chunks)
    one("latest_uint16.h5", libver="latest", compression="gzip", **chunks)
    one("big_endian_float32.h5", volume(dtype=">f4"), **chunks)
    one("lzf_uint16.h5", compression="lzf", **chunks)
    one("lz4_uint16.h5", **chunks, **hdf5plugin.LZ4())
    one("zstd_uint16.h5", **chunks, **hdf5plugin.Zstd())
    one("bitshuffle_uint16.h5", **chunks, **hdf5plugin.Bitshuffle(cname="lz4"))
    for cname in "blosclz lz4 lz4hc zlib zstd".split():
        one(f"blosc_{cname}_uint16.h5", **chunks, **hdf5plugin.Blosc(cname=cname, shuffle=2))
    one("only_uint16.h5", path="some/where")
    one("leading_uint16.h5", volume()[None, None], path="data")
    # What tomocupy writes: a virtual dataset over other files.
    parts = out.parent / "hdf5_parts"
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    layout = h5py.VirtualLayout((Z, Y, X), "float32")
    for z in range(Z):
        with h5py.File(parts / f"p{z:04}.h5", "w") as file:
            file["/exchange/data"] = volume(dtype="float32")[z : z + 1]
        layout[z] = h5py.VirtualSource(f"../hdf5_parts/p{z:04}.h5", "/exchange/data", (1, Y, X))[0]
    with h5py.File(out / "tomocupy_float32.h5", "w", libver="latest") as file:
        data = file.create_virtual_dataset("/exchange/data", layout)
        data.attrs.update(axes="z:y:x", description="ReconData", units="counts")
    # NXtomoproc, with an object beside the volume that also has three axes.
    with h5py.File(out / "nexus_float32.nxs", "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update(NX_class="NXentry", definition="NXtomoproc", default="result")
        data = entry.create_group("result")
        data.attrs.update(NX_class="NXdata", signal="grey", axes=["z", "y", "x"])
        data["grey"] = volume(dtype="float32")
        for name, n, size in (("z", Z, 1.5), ("y", Y, 0.65), ("x", X, 0.65)):
            data[name] = 10 + size * np.arange(n)
            data[name].attrs["units"] = "um"
        entry["other"] = np.zeros((2, 2, 2), "uint8")
    with h5py.File(out / "element_size_uint16.h5", "w") as file:
        file["data"] = volume()
        file["data"].attrs["element_size_um"] = [1.5, 0.65, 0.65]
    # What must be refused.
    with h5py.File(out / "refused_projections.h5", "w") as file:
        file["exchange/data"] = np.zeros((4, 5, 6), "uint16")
        file["exchange/theta"] = np.linspace(0, 180, 4)
    with h5py.File(out / "refused_white.h5", "w") as file:
        file["exchange/data"] = np.zeros((4, 5, 6), "uint16")
        file["exchange/data_white"] = np.zeros((1, 5, 6), "uint16")
    one("refused_complex.h5", np.zeros((2, 2, 2), "complex64"))
    with h5py.File(parts / "two.h5", "w") as file:
        file["a"] = file["b"] = np.zeros((2, 2, 2), "uint8")
    one("refused_table.h5", np.zeros((4, 5)))
    one("refused_bitshuffle_zstd.h5", **chunks, **hdf5plugin.Bitshuffle(cname="zstd"))
    one("refused_blosc2.h5", **chunks, **hdf5plugin.Blosc2())


def small(dtype="uint16"):
    """3 x 6 x 7."""
    return volume(dtype=dtype)[:, :6, :7]


def nrrds(out):
    def one(name, array, header=None, **more):
        nrrd.write(str(out / name), array, header or {}, index_order="C", **more)

    for dtype in "uint8 int8 uint16 int16 uint32 int32 float32 float64".split():
        one(f"raw_{dtype}.nrrd", small(dtype), {"encoding": "raw"})
    one("gzip_uint16.nrrd", small(), {"encoding": "gzip"})
    one("big_endian_uint16.nrrd", small(">u2"), {"encoding": "raw", "endian": "big"})
    one("detached_uint16.nhdr", small(), {"encoding": "raw"})
    one("detached_gzip_uint16.nhdr", small(), {"encoding": "gzip"})
    scaled = {"encoding": "raw", "space dimension": 3, "space units": ["um"] * 3, "space origin": [1, 2, 3],
              "space directions": np.diag([0.65, 0.65, 1.5])}
    # index_order C turns nothing but the array: directions are those of x, y, z.
    one("scaled_uint16.nrrd", small(), scaled)
    one("spacings_uint16.nrrd", small(), {"encoding": "raw", "spacings": [0.65, 0.65, 1.5], "units": ["um"] * 3})
    sitk.WriteImage(sitk.GetImageFromArray(small()), str(out / "itk_uint16.nrrd"))
    one("refused_colour.nrrd", np.zeros((2, 3, 4, 3), "uint8"), {"encoding": "raw"})
    one("refused_text.nrrd", small(), {"encoding": "ascii"})
    one("refused_bzip2.nrrd", small(), {"encoding": "bzip2"})


def image(array):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.65, 0.65, 1.5))
    image.SetOrigin((1, 2, 3))
    return image


def mhas(out):
    for dtype in "uint8 int8 uint16 int16 uint32 int32 float32 float64".split():
        sitk.WriteImage(image(small(dtype)), str(out / f"plain_{dtype}.mha"))
    sitk.WriteImage(image(small()), str(out / "packed_uint16.mha"), useCompression=True)
    sitk.WriteImage(image(small()), str(out / "detached_uint16.mhd"))
    sitk.WriteImage(image(small()), str(out / "detached_packed_uint16.mhd"), useCompression=True)
    turned = image(small())
    turned.SetDirection((0, -1, 0, 1, 0, 0, 0, 0, 1))
    sitk.WriteImage(turned, str(out / "turned_uint16.mha"))
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4, 3), "uint8"), isVector=True), str(out / "refused_colour.mha"))


def niftis(out):
    affine = np.diag([0.65, 0.65, 1.5, 1])
    affine[:3, 3] = [1, 2, 3]

    def one(name, array, kind=nibabel.Nifti1Image, unit="micron", affine=affine, scale=None):
        # nibabel's arrays run x, y, z.
        nifti = kind(array.transpose(), affine)
        nifti.header.set_xyzt_units(unit)
        nifti.header.set_data_dtype(array.dtype)
        if scale:
            nifti.header.set_slope_inter(*scale)
        nibabel.save(nifti, out / name)

    for dtype in "uint8 int8 uint16 int16 uint32 int32 float32 float64".split():
        one(f"plain_{dtype}.nii", small(dtype))
    one("packed_uint16.nii.gz", small())
    one("second_uint16.nii", small(), nibabel.Nifti2Image)
    one("second_packed_uint16.nii.gz", small(), nibabel.Nifti2Image)
    one("pair_uint16.hdr", small(), nibabel.Nifti1Pair)
    # nibabel stores floats as they are: scaled, the values are the pattern's.
    one("scaled_float32.nii", (small("float32") - 10) / 0.5, scale=(0.5, 10))
    nifti = nibabel.Nifti1Image(small().transpose().astype(">u2"), affine, nibabel.Nifti1Header(endianness=">"))
    nifti.header.set_data_dtype(">u2")
    nibabel.save(nifti, out / "big_endian_uint16.nii")
    one("turned_uint16.nii", small(), affine=np.diag([-0.65, -0.65, 1.5, 1]))
    one("refused_complex.nii", np.zeros((2, 3, 4), "complex64"))
    one("refused_times.nii", np.zeros((2, 2, 3, 4), "uint8"))


def mrcs(out):
    for dtype in "int8 int16 uint16 float16 float32".split():
        with mrcfile.new(out / f"plain_{dtype}.mrc", small(dtype)) as mrc:
            mrc.set_volume()
            mrc.voxel_size = (6.5, 6.5, 15)
            mrc.header.origin = (1, 2, 3)
    with mrcfile.new(out / "extended_uint16.mrc", small()) as mrc:
        mrc.set_volume()
        mrc.set_extended_header(np.zeros(96, "uint8"))
    big = (out / "plain_uint16.mrc").read_bytes()
    words = np.frombuffer(big[:1024], "<i4").byteswap().tobytes()
    (out / "big_endian_uint16.mrc").write_bytes(
        words[:212] + b"\x11\x11\0\0" + words[216:1024] + small(">u2").tobytes())
    with mrcfile.new(out / "refused_complex.mrc", np.zeros((2, 3, 4), "complex64")) as mrc:
        mrc.set_volume()


def raws(out):
    import json

    small().tofile(out / "sidecar_uint16.raw")
    told = {"shape": [3, 6, 7], "dtype": "uint16", "byte_order": "little", "voxel_size": [1.5, 0.65, 0.65], "unit": "um"}
    (out / "sidecar_uint16.raw.json").write_text(json.dumps(told))
    small(">u2").tofile(out / "named_3x6x7_uint16_be.vol")


ROOMS = (tiffs, npys, zarrs, hdf5s, nrrds, mhas, niftis, mrcs, raws)


def main():
    wanted = sys.argv[1:] or [make.__name__ for make in ROOMS]
    for make in (make for make in ROOMS if make.__name__ in wanted):
        out = HERE / make.__name__
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        make(out)


if __name__ == "__main__":
    main()
