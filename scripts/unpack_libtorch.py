"""unpack_libtorch.py FOLDER WHEEL…: the parts of PyTorch's wheels that make a libtorch for the CPU, as FOLDER/{lib,include}.

The wheel also holds the CUDA half (libtorch_cuda.so and the Python bindings), which `libtorch.so` would pull in: here
`libtorch.so` is a link to `libtorch_cpu.so`, so a process loads 440 MB of libraries less.
"""

import errno
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

LIBRARIES = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"}
HEADERS = "torch/include/"


def main(folder: Path, wheels: list[Path]) -> None:
    missing = set(LIBRARIES)
    (folder / "lib").mkdir(parents=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                name = PurePosixPath(member.filename).name
                if name in missing:
                    extract(archive, member, folder / "lib" / name)
                    missing.remove(name)
                elif member.filename.startswith(HEADERS) and not member.is_dir():
                    extract(archive, member, folder / "include" / member.filename[len(HEADERS) :])
    if missing:
        sys.exit(f"error: the wheels hold no {', '.join(sorted(missing))}: not the wheels that were pinned")
    (folder / "lib" / "libtorch.so").symlink_to("libtorch_cpu.so")


def extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), [Path(wheel) for wheel in sys.argv[2:]])
    except OSError as error:
        hint = "The disk is full: free 500 MB" if error.errno == errno.ENOSPC else "Check the folder's permissions"
        sys.exit(f"error: libtorch could not be unpacked into {sys.argv[1]}: {error.strerror}\n       {hint} and run the same command again.")
