#!/usr/bin/env python3
"""Makes the wheel `djr`, which puts djr-server and djr-cli onto the PATH of a Python environment.

    packaging/build_wheel.py --out dist                     builds in release
    packaging/build_wheel.py --binaries target/quick --out dist

It is also the build backend of pyproject.toml (PEP 517), so that `pip install ./packaging` works. Needs nothing but Python 3.11 and cargo. A wheel is a
zip file: programs in NAME.data/scripts, what belongs below the environment's root in NAME.data/data, and three files about itself.
"""

import argparse
import base64
import hashlib
import platform
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import shared  # noqa: E402

# The libraries that every manylinux system has.
ALLOWED = re.compile(rb"^(libc|libm|libdl|librt|libpthread|libgcc_s|ld-linux[\w-]*)\.so\.\d+$")


def platform_tag(programs):
    """The systems that these programs run on."""
    machine = platform.machine()
    if sys.platform == "linux":
        for program in programs:
            foreign = [name for name in libraries(program) if not ALLOWED.match(name)]
            if foreign:
                raise SystemExit(f"{program} needs {foreign}, which not every Linux has")
        major, minor = shared.glibc_needed(programs)
        return f"manylinux_{major}_{minor}_{machine}"
    if sys.platform == "darwin":
        return f"macosx_11_0_{machine}"
    raise SystemExit(f"no wheels for {sys.platform}")


def libraries(program):
    """The shared libraries that a program names."""
    listed = subprocess.run(["readelf", "--dynamic", program], check=True, capture_output=True).stdout
    return re.findall(rb"\(NEEDED\).*\[(.*)\]", listed)


def metadata(tag):
    readme = (shared.REPOSITORY / "README.md").read_text()
    about = [
        "Metadata-Version: 2.4",
        "Name: djr",
        f"Version: {shared.version()}",
        f"Summary: {shared.SUMMARY}",
        "Keywords: redis,valkey,cache,django,celery",
        "License-Expression: MIT OR Apache-2.0",
        "License-File: LICENSE-MIT",
        "License-File: LICENSE-APACHE",
        "Classifier: Environment :: No Input/Output (Daemon)",
        "Classifier: Framework :: Django",
        "Classifier: Programming Language :: Rust",
        "Classifier: Topic :: Database :: Database Engines/Servers",
        "Description-Content-Type: text/markdown",
        "",
        readme,
    ]
    wheel = ["Wheel-Version: 1.0", "Generator: djr", "Root-Is-Purelib: false", f"Tag: py3-none-{tag}", ""]
    return {"METADATA": "\n".join(about).encode(), "WHEEL": "\n".join(wheel).encode()}


def make(out, programs):
    """Writes the wheel into the directory `out`, and returns its path."""
    name = f"djr-{shared.version()}"
    with tempfile.TemporaryDirectory() as scratch:
        copies = [shared.stripped(programs / program, Path(scratch) / program) for program in shared.PROGRAMS]
        tag = platform_tag(copies)
        files = {f"{name}.data/scripts/{copy.name}": (copy.read_bytes(), 0o755) for copy in copies}
    for path, content in shared.pages_and_completions(programs).items():
        files[f"{name}.data/data/{path}"] = (content, 0o644)
    for licence in ("LICENSE-MIT", "LICENSE-APACHE"):
        files[f"{name}.dist-info/licenses/{licence}"] = ((shared.REPOSITORY / licence).read_bytes(), 0o644)
    for path, content in metadata(tag).items():
        files[f"{name}.dist-info/{path}"] = (content, 0o644)
    record = f"{name}.dist-info/RECORD"
    lines = [f"{path},sha256={digest(content)},{len(content)}" for path, (content, _) in files.items()]
    files[record] = ("\n".join([*lines, f"{record},,", ""]).encode(), 0o644)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    wheel = out / f"{name}-py3-none-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, (content, mode) in files.items():
            # The same time for all: the same programs make the same wheel.
            info = zipfile.ZipInfo(path, date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = (stat.S_IFREG | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return wheel


def digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


# What pip calls.


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    settings = config_settings or {}
    return make(wheel_directory, shared.binaries(settings.get("binaries"), settings.get("profile"))).name


def build_sdist(sdist_directory, config_settings=None):
    raise SystemExit("the wheel is built from the repository: there is no source archive")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=shared.REPOSITORY / "target" / "package")
    parser.add_argument("--binaries", help="the directory with both programs, instead of building them")
    parser.add_argument("--profile", help="cargo's (release)")
    options = parser.parse_args()
    print(make(options.out, shared.binaries(options.binaries, options.profile)))


if __name__ == "__main__":
    main()
