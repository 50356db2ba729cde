"""Files of other formats: the same depth as was put in, whatever wrote it."""

import struct

import numpy as np
import pytest
from trees import SHAPE, face

from depthjax.data.depth_files import Unfit, read_images

TRUTH = face(1)
METRES = np.where(TRUTH > 0, TRUTH / np.float32(1000), np.nan).astype(np.float32)


def only(path):
    images = list(read_images(path))
    assert len(images) == 1
    return images[0]


def refused(path):
    with pytest.raises(Unfit) as fault:
        list(read_images(path))
    return fault.value


@pytest.mark.parametrize("comment", [b"", b"# made by a test\n", b"# made by\n# a 7 test\n"])
@pytest.mark.parametrize(("most", "dtype"), [(65535, ">u2"), (4095, ">u2"), (255, "u1")])
def test_pgm_is_big_endian_and_never_scaled(tmp_path, comment, most, dtype):
    values = (TRUTH if most > 255 else TRUTH // 8).astype(dtype)
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5\n%b%d %d\n%d\n" % (comment, SHAPE[1], SHAPE[0], most) + values.tobytes())
    found = only(path)
    assert found.dtype == values.dtype.newbyteorder("=") and np.array_equal(found, values)
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(path).kind == "damaged"
    path.write_bytes(b"P2\n32 40\n255\n" + b"7 " * 1280)
    assert refused(path).kind == "not a PGM"


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_exr(tmp_path, kind):
    exr = pytest.importorskip("OpenEXR")
    header, depth = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}, np.nan_to_num(METRES).astype(kind)
    exr.File(header, {"Z": depth, "A": depth * 0}).write(str(tmp_path / "a.exr"))
    assert np.array_equal(only(tmp_path / "a.exr"), depth)
    exr.File(header, {"R": depth, "G": depth, "B": depth}).write(str(tmp_path / "b.exr"))
    assert np.array_equal(only(tmp_path / "b.exr"), depth)
    exr.File(header, {"R": depth, "G": depth * 2, "B": depth}).write(str(tmp_path / "c.exr"))
    assert refused(tmp_path / "c.exr").kind == "colour"


def test_a_damaged_exr_is_one_line(tmp_path, capsys):
    exr = pytest.importorskip("OpenEXR")
    header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
    exr.File(header, {"Z": np.nan_to_num(METRES)}).write(str(tmp_path / "a.exr"))
    whole = (tmp_path / "a.exr").read_bytes()
    for size in (3, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "b.exr").write_bytes(whole[:size])
        fault = refused(tmp_path / "b.exr")
        assert fault.kind == "damaged" and "\n" not in fault.what
    assert capsys.readouterr().out == ""


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    (tmp_path / "a.exr").write_bytes(b"v/1\x01")
    fault = refused(tmp_path / "a.exr")
    assert fault.kind == "no reader" and "OpenEXR" in fault.what and "depthjax[formats]" in fault.todo


FRAMES = np.stack([face(subject, shape=(40, 32)) for subject in range(1, 19)])


def mat5(path, array):
    from scipy.io import savemat

    savemat(path, {"depth": array, "fps": 30.0}, do_compression=True)


def mat73(path, array):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        file["depth"] = array.T  # as MATLAB stores it
        file["depth"].attrs["MATLAB_class"] = np.bytes_(b"uint16")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


@pytest.mark.parametrize("save", [mat5, mat73])
def test_mat_of_both_versions_and_both_orders(tmp_path, save):
    save(tmp_path / "one.mat", TRUTH)
    assert np.array_equal(only(tmp_path / "one.mat"), TRUTH)
    for i, frames in enumerate((FRAMES, np.repeat(FRAMES, 2, axis=0)[:34])):  # of 34 either order has likely sides
        save(tmp_path / f"last{i}.mat", np.moveaxis(frames, 0, -1))
        assert np.array_equal(list(read_images(tmp_path / f"last{i}.mat")), frames)
        save(tmp_path / f"first{i}.mat", frames)
        assert np.array_equal(list(read_images(tmp_path / f"first{i}.mat")), frames)


def test_mat_without_one_depth(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", {"left": TRUTH, "right": TRUTH})
    assert "left, right" in refused(tmp_path / "a.mat").what
    savemat(tmp_path / "b.mat", {"frames": {"depth": TRUTH}})
    assert refused(tmp_path / "b.mat").kind in ("several arrays", "no images")


def points(sign=1):
    cloud = np.zeros(TRUTH.size, [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4")])
    cloud["z"] = sign * METRES.reshape(-1)
    return cloud


def pcd(path, cloud, height, *, ascii_=False, pad=""):
    more = {"": ("", "", "", ""), "pad": (" _ _", " U U", " 1 4", " 1 3")}[pad]
    header = ("# .PCD v.7\nVERSION .7\nFIELDS x y z rgb{}\nSIZE 4 4 4 4{}\nTYPE F F F U{}\nCOUNT 1 1 1 1{}\nWIDTH {}\n"
              "HEIGHT {}\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {}\nDATA {}\n").format(
                  more[0], more[2], more[1], more[3], len(cloud) // height, height, len(cloud),
                  "ascii" if ascii_ else "binary")  # fmt: skip
    body = "".join("{} {} {} {}\n".format(*row) for row in cloud).encode() if ascii_ else cloud.tobytes()
    if pad:
        body = b"".join(row.tobytes() + bytes(13) for row in cloud)
    path.write_bytes(header.encode() + body)


@pytest.mark.parametrize("form", [{}, {"ascii_": True}, {"pad": "pad"}])
@pytest.mark.parametrize("sign", [1, -1])  # a camera may look along -z
def test_organised_pcd(tmp_path, form, sign):
    pcd(tmp_path / "a.pcd", points(sign), SHAPE[0], **form)
    assert np.allclose(only(tmp_path / "a.pcd"), np.nan_to_num(METRES), atol=1e-6)
    pcd(tmp_path / "b.pcd", points(sign), 1, **form)
    assert "no rows and columns" in refused(tmp_path / "b.pcd").what


def ply(path, *, order="<", grid=f"obj_info num_cols {SHAPE[1]}\nobj_info num_rows {SHAPE[0]}\n", ascii_=False):
    form = "ascii" if ascii_ else {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    header = (f"ply\nformat {form} 1.0\n{grid}element vertex {TRUTH.size}\nproperty float x\nproperty float y\n"
              "property float z\nproperty uchar red\nend_header\n")  # fmt: skip
    rows = [(0.0, 0.0, float(z), 7) for z in METRES.reshape(-1)]
    text = "".join("{} {} {} {}\n".format(*row) for row in rows).encode()
    path.write_bytes(header.encode() + (text if ascii_ else b"".join(struct.pack(order + "fffB", *r) for r in rows)))


@pytest.mark.parametrize("form", [{}, {"order": ">"}, {"ascii_": True}, {"grid": "comment width: 32 height: 40\n"}])
def test_organised_ply(tmp_path, form):
    ply(tmp_path / "a.ply", **form)
    assert np.allclose(only(tmp_path / "a.ply"), np.nan_to_num(METRES), atol=1e-6)
    ply(tmp_path / "b.ply", **form | {"grid": ""})
    assert "no rows and columns" in refused(tmp_path / "b.ply").what


def test_images_of_ros_as_arrays(tmp_path):
    np.save(tmp_path / "16UC1.npy", TRUTH[..., None])
    np.save(tmp_path / "32FC1.npy", METRES)
    assert np.array_equal(only(tmp_path / "16UC1.npy"), TRUTH)
    assert np.array_equal(only(tmp_path / "32FC1.npy"), METRES, equal_nan=True)


@pytest.mark.parametrize(
    ("shape", "todo"),
    [
        ((200, 128, 20), "np.moveaxis(array, -1, 0)"),
        ((128, 128, 20), "np.moveaxis(array, -1, 0)"),
        ((200, 128, 900), "np.moveaxis(array, -1, 0)"),
        ((20, 128, 200), "np.swapaxes(array, 1, 2)"),
    ],
)
def test_a_stack_with_its_axes_in_another_order_is_refused(tmp_path, shape, todo):
    np.save(tmp_path / "a.npy", np.full(shape, 900, np.uint16))
    fault = refused(tmp_path / "a.npy")
    assert fault.kind == "shape" and str(shape) in fault.what and todo in fault.todo


@pytest.mark.parametrize("people", [1, 3, 30])  # a clip, three clips, everyone once
@pytest.mark.parametrize("grey", [False, True])
def test_where_the_sides_do_not_tell_the_depth_does(tmp_path, people, grey):
    frames = np.stack([face(4 + i * people // 30, 0, i) for i in range(30)])  # (40, 32, 30) is likely too
    frames = (255 - np.clip((frames.astype(int) - 800) // 2, 0, 250)).astype(np.uint8) if grey else frames
    np.save(tmp_path / "a.npy", frames)
    assert np.array_equal(list(read_images(tmp_path / "a.npy")), frames)
    np.save(tmp_path / "b.npy", np.ascontiguousarray(np.moveaxis(frames, 0, -1)))
    fault = refused(tmp_path / "b.npy")
    assert fault.kind == "shape" and "(40, 32, 30)" in fault.what and "np.moveaxis(array, -1, 0)" in fault.todo


@pytest.mark.parametrize(
    "shape", [(2, 200, 128), (2, 128, 128), (2, 424, 512), (1, 720, 1280), (2, 480, 640), (2, 171, 224)]
)
def test_a_stack_of_faces_or_frames_is_read(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.full(shape, 900, np.uint16))
    assert len(list(read_images(tmp_path / "a.npy"))) == shape[0]


def write_good(folder):
    """A good file of each format that needs no extra."""
    (folder / "good.pgm").write_bytes(b"P5\n32 40\n65535\n" + TRUTH.astype(">u2").tobytes())
    mat5(folder / "good.mat", TRUTH)
    ply(folder / "good.ply")
    pcd(folder / "good.pcd", points(), SHAPE[0])


@pytest.mark.parametrize("suffix", [".pgm", ".mat", ".ply", ".pcd"])
def test_random_bytes_are_a_problem_and_no_crash(tmp_path, suffix):
    write_good(tmp_path)
    whole, rng = (tmp_path / f"good{suffix}").read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(whole)
        for at in rng.integers(0, min(len(data), 400), 6):
            data[at] = rng.integers(256)
        (tmp_path / f"a{suffix}").write_bytes(bytes(data[: rng.integers(1, len(data) + 1)]))
        try:
            assert all(image.ndim == 2 for image in read_images(tmp_path / f"a{suffix}"))
        except Unfit as fault:
            assert fault.what and "\n" not in fault.what


def test_sizes_are_checked_before_values_are_read(tmp_path):
    from scipy.io import savemat

    (tmp_path / "a.pgm").write_bytes(b"P5 20000 20000 65535\n")
    savemat(tmp_path / "a.mat", {"depth": np.zeros((4097, 4096), np.uint8)}, do_compression=True)
    head = "VERSION .7\nFIELDS z\nSIZE 4\nTYPE F\nCOUNT 1\nWIDTH {0}\nHEIGHT {0}\nPOINTS 1\nDATA binary\n"
    (tmp_path / "a.pcd").write_text(head.format(2**31))
    text = "ply\nformat ascii 1.0\ncomment width {0} height {0}\nelement vertex {1}\nproperty float z\nend_header\n"
    (tmp_path / "a.ply").write_text(text.format(10**6, 10**12))
    assert [refused(tmp_path / f"a{suffix}").kind for suffix in (".pgm", ".mat", ".pcd", ".ply")] == ["too large"] * 4
