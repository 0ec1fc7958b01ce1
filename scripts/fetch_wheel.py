"""fetch_wheel.py NAME VERSION SHA256 FOLDER: downloads a wheel through pip's settings, prints its path.

pip itself starts a broken download again from the first byte, which half a gigabyte on a poor line may never survive. So pip is
asked for the wheel's address only (its index, proxy, certificates and credentials are the user's), and the file is fetched with HTTP
ranges: what a run got, the next one keeps. Where pip's inner functions have changed, `pip download` does the whole job.
"""

import errno
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

# The libraries inside do not depend on Python's version: one wheel is pinned, whatever Python this machine runs.
PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]
TARGET = ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11", "--abi=cp311", "--abi=none"]
TARGET += [f"--platform={platform}" for platform in PLATFORMS]
TRIES_WITHOUT_PROGRESS = 6
CHUNK = 1 << 20


class Failure(Exception):
    """What failed and, on its second line, what to do."""


def main(name: str, version: str, sha256: str, folder: Path) -> Path:
    target = folder / f"{name}-{version}.whl"
    if target.exists() and digest(target) == sha256:
        return target
    try:
        session, link = locate(name, version, sha256)
    except (ImportError, AttributeError, TypeError) as change:
        note(f"this pip has other inner functions ({change}): falling back to `pip download`, which cannot resume")
        pip_download(name, version, target)
        verify(target, sha256, f"{name} {version}")
        return target
    if link.is_file:
        shutil.copyfile(url2pathname(urlsplit(link.url).path), target)
        verify(target, sha256, f"{name} {version}")
        return target
    part = target.with_suffix(".part")
    resumed = part.exists()
    download(session, link, part, f"{name} {version}")
    try:
        verify(part, sha256, f"{name} {version}")
    except Failure:
        if not resumed:
            raise
        note("the pieces do not fit together: once more from the beginning")
        download(session, link, part, f"{name} {version}")
        verify(part, sha256, f"{name} {version}")
    part.rename(target)
    return target


def locate(name: str, version: str, sha256: str):
    """pip's HTTP session and the link to the wheel, as `pip download` with the same settings would use them."""
    from pip._internal.cli.cmdoptions import make_target_python
    from pip._internal.commands.download import DownloadCommand

    command = DownloadCommand("download", "")
    options, _ = command.parse_args(["--no-cache-dir", *TARGET])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session, make_target_python(options))
        found = [c for c in finder.find_all_candidates(name) if str(c.version).split("+")[0] == version]
    if not found:
        raise Failure(
            f"{why_nothing_found(session, finder, name)} (wanted: {name} {version} for Linux x86-64)\n"
            f"Check the network, the proxy and pip's settings (`pip config list`); this should work: pip download --no-deps {name}=={version}"
        )
    pinned = [c for c in found if c.link.hash == sha256]
    return session, (pinned or found)[0].link


def why_nothing_found(session, finder, name: str) -> str:
    """pip keeps an unreachable index to itself and just finds nothing: tell the two apart."""
    for index in finder.index_urls:
        try:
            status = session.get(f"{index.rstrip('/')}/{name}/", timeout=20).status_code
        except Exception as error:  # noqa: BLE001 (pip's vendored requests raises its own types)
            return f"pip's index {urlsplit(index).hostname} cannot be reached ({type(error).__name__})"
        if status != 200:
            return f"pip's index {urlsplit(index).hostname} answers HTTP {status}"
    return "pip's index does not have the wheel"


def download(session, link, part: Path, what: str) -> None:
    """Fetches `link` into `part`, going on from the bytes that are there. Raises Failure when tries bring nothing more."""
    tries, reason = 0, ""
    while tries < TRIES_WITHOUT_PROGRESS:
        have = size(part)
        try:
            if fetch_rest(session, link.url_without_fragment, part, have, what):
                return
            reason = "the connection ended early"
        except OSError as error:  # requests' and urllib3's network errors are OSErrors too
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Failure(f"The disk is full: {part} has {size(part) >> 20} MB of {what}\nFree some space; the next run goes on from there.") from error
            reason = type(error).__name__
        except Exception as error:  # noqa: BLE001 (pip's vendored urllib3 raises its own types)
            if type(error).__module__.split(".")[0] != "pip":
                raise
            reason = type(error).__name__
        got = size(part)
        tries = 0 if got > have else tries + 1
        note(f"{what}: {reason} at {got >> 20} MB, trying again")
        time.sleep(min(2**tries, 30))
    raise Failure(
        f"{what} could not be downloaded from {urlsplit(link.url).hostname}: {reason}\n"
        f"Check the network and the proxy, then run the same command again: it goes on from the {size(part) >> 20} MB that are here."
    )


def fetch_rest(session, url: str, part: Path, have: int, what: str) -> bool:
    """One request for what is missing; True when the file is complete."""
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with session.get(url, headers=headers, stream=True) as response:
        if response.status_code == 416:  # nothing after `have`: complete, or longer than it should be (the checksum tells)
            return True
        if response.status_code >= 500 or response.status_code in (408, 429):
            raise ConnectionError(f"HTTP {response.status_code}")
        if response.status_code not in (200, 206):
            raise Failure(f"{urlsplit(url).hostname} answered HTTP {response.status_code} for {what}\nCheck pip's index and credentials (`pip config list`).")
        if response.status_code == 200:  # the server knows no ranges
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        note(f"{what}: {have >> 20} of {total >> 20 if total else '?'} MB are here" if have else f"{what}: {total >> 20 if total else '?'} MB")
        with open(part, "ab" if have else "wb") as out:
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                out.write(chunk)
                have += len(chunk)
    return total is None or have >= total


def pip_download(name: str, version: str, target: Path) -> None:
    folder = target.with_suffix(".pip")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", f"--dest={folder}", *TARGET, f"{name}=={version}"]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise Failure(f"pip could not download {name} {version}\nSee its message above: network, proxy, index or disk.")
    next(folder.glob("*.whl")).replace(target)
    shutil.rmtree(folder)


def verify(file: Path, sha256: str, what: str) -> None:
    found = digest(file)
    if found != sha256:
        file.unlink()
        raise Failure(
            f"Checksum mismatch for {what}: expected SHA-256 {sha256}, found {found}\n"
            "The file was deleted. Run the same command again; if it happens again, the index or a proxy serves another file than the pinned one."
        )


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def digest(file: Path) -> str:
    sha256 = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()


def note(text: str) -> None:
    print(f"   {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        print(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])))
    except Failure as failure:
        what, todo = str(failure).split("\n", 1)
        sys.exit(f"error: {what}\n       {todo}")
    except KeyboardInterrupt:
        sys.exit("interrupted: the next run goes on from here")
