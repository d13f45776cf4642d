#!/usr/bin/env python3
"""Makes the Debian package `djr`: both programs, a systemd unit, /etc/djr/djr.conf, a user of its own, man pages, completions.

    packaging/build_deb.py --out dist                       builds in release
    packaging/build_deb.py --binaries target/quick --out dist

Needs Python 3.11, cargo and dpkg-deb.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import shared  # noqa: E402

MAINTAINER = "The DJR authors <djr@example.org>"
CONFIG_HEAD = """\
# The configuration of the service djr: what differs from the defaults comes first.
# CONFIG REWRITE changes this file; dpkg asks before it replaces one that was changed.

dir /var/lib/djr
unixsocket /run/djr/djr.sock
unixsocketperm 770

"""


def write(root, path, content, mode=0o644):
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    target.chmod(mode)
    return target


def configuration(server):
    """The default file, with what a service needs at its head; those directives are taken out below."""
    printed = shared.output(server, "--print-config").decode()
    return CONFIG_HEAD + printed


def changelog(version, when):
    """Debian's format; the news are in CHANGELOG.md, which is beside it."""
    stamp = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(when))
    return f"djr ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- {MAINTAINER}  {stamp}\n"


def stage(root, programs, version, when):
    """Everything that the package holds, below `root`."""
    (root / "usr/bin").mkdir(parents=True)
    copies = [shared.stripped(programs / program, root / "usr/bin" / program) for program in shared.PROGRAMS]
    for copy in copies:
        copy.chmod(0o755)
    for path, content in shared.pages_and_completions(programs).items():
        write(root, "usr/" + path.replace("zsh/site-functions", "zsh/vendor-completions"), content)
    write(root, "etc/djr/djr.conf", configuration(programs / "djr-server"))
    write(root, "usr/lib/systemd/system/djr.service", (shared.HERE / "systemd/djr.service").read_bytes())
    docs = "usr/share/doc/djr"
    write(root, f"{docs}/copyright", (shared.HERE / "debian/copyright").read_bytes())
    write(root, f"{docs}/changelog.gz", shared.packed(changelog(version, when).encode()))
    write(root, f"{docs}/CHANGELOG.md.gz", shared.packed((shared.REPOSITORY / "CHANGELOG.md").read_bytes()))
    write(root, f"{docs}/README.md.gz", shared.packed((shared.REPOSITORY / "README.md").read_bytes()))
    return copies


def control(root, copies, version):
    """DEBIAN/…: what dpkg is told."""
    minor = shared.glibc_needed(copies)[1]
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    values = {
        "VERSION": version,
        "ARCHITECTURE": subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip(),
        "MAINTAINER": MAINTAINER,
        "GLIBC": f"2.{minor}",
        "SIZE": str(-(-size // 1024)),
        "SUMMARY": "persistent, Redis-compatible server for cache, sessions and queues",
    }
    sums = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root).as_posix()
        if not name.startswith("etc/"):
            sums.append(f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {name}\n")
    text = (shared.HERE / "debian/control").read_text()
    write(root, "DEBIAN/control", re.sub(r"@(\w+)@", lambda match: values[match.group(1)], text))
    write(root, "DEBIAN/conffiles", "/etc/djr/djr.conf\n")
    write(root, "DEBIAN/md5sums", "".join(sums))
    for script in ("postinst", "prerm", "postrm"):
        write(root, f"DEBIAN/{script}", (shared.HERE / "debian" / script).read_bytes(), 0o755)
    return values["ARCHITECTURE"]


def make(out, programs):
    """Writes the package into the directory `out`, and returns its path."""
    if not shutil.which("dpkg-deb"):
        raise SystemExit("dpkg-deb is missing: Debian packages are made on Debian and its kin")
    version = shared.version()
    # The same sources make the same package.
    when = int(os.environ.get("SOURCE_DATE_EPOCH") or last_commit())
    out = Path(out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "djr"
        root.mkdir()
        root.chmod(0o755)
        umask = os.umask(0o022)
        try:
            copies = stage(root, programs, version, when)
            architecture = control(root, copies, version)
        finally:
            os.umask(umask)
        package = out / f"djr_{version}_{architecture}.deb"
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, package]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"SOURCE_DATE_EPOCH": str(when)})
    return package


def last_commit():
    found = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=shared.REPOSITORY, capture_output=True, text=True)
    return found.stdout.strip() or time.time()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=shared.REPOSITORY / "target" / "package")
    parser.add_argument("--binaries", help="the directory with both programs, instead of building them")
    parser.add_argument("--profile", help="cargo's (release)")
    options = parser.parse_args()
    print(make(options.out, shared.binaries(options.binaries, options.profile)))


if __name__ == "__main__":
    main()
