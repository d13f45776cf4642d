"""What all packages hold: the programs, their man pages, completions for shells, the configuration file."""

import gzip
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
PROGRAMS = ("djr-server", "djr-cli")
SUMMARY = "A persistent, Redis-compatible server: cache, sessions, Celery broker and rate limits for Django, and a drop-in for Redis and Valkey"
SHELLS = {
    "bash": "share/bash-completion/completions/{}",
    "zsh": "share/zsh/site-functions/_{}",
    "fish": "share/fish/vendor_completions.d/{}.fish",
}


def version():
    """That of the workspace."""
    return tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def binaries(chosen=None, profile=None):
    """The directory with both programs: the chosen one, else what cargo builds in this profile (release)."""
    if chosen is not None:
        found = Path(chosen).resolve()
    else:
        profile = profile or os.environ.get("DJR_PROFILE", "release")
        cargo = [os.environ.get("CARGO", "cargo"), "build", "--profile", profile, "--locked", "-p", "djr-server", "-p", "djr-cli"]
        subprocess.run(cargo, cwd=REPOSITORY, check=True)
        target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
        found = REPOSITORY / target / ("debug" if profile == "dev" else profile)
    missing = [name for name in PROGRAMS if not (found / name).is_file()]
    if missing:
        raise SystemExit(f"{' and '.join(missing)} is not in {found}")
    return found


def stripped(program, target):
    """A copy without debugging information, where there is a `strip`."""
    shutil.copy(program, target)
    if shutil.which("strip"):
        subprocess.run(["strip", "--strip-unneeded", "--remove-section=.comment", "--remove-section=.note", target], check=True)
    return Path(target)


def glibc_needed(programs):
    """The newest glibc that one of these asks for, as (2, minor)."""
    minors = [int(minor) for program in programs for minor in re.findall(rb"GLIBC_2\.(\d+)", Path(program).read_bytes())]
    return 2, max(minors, default=17)


def pages_and_completions(programs):
    """{path below /usr: content} of man pages and completions, asked of the programs themselves."""
    cli, server = programs / "djr-cli", programs / "djr-server"
    found = {
        "share/man/man1/djr-cli.1.gz": packed(output(cli, "man")),
        "share/man/man1/djr-server.1.gz": packed((HERE / "man" / "djr-server.1").read_bytes().replace(b"@VERSION@", version().encode())),
    }
    for shell, path in SHELLS.items():
        found[path.format("djr-cli")] = output(cli, "completions", shell)
    directives = sorted(set(re.findall(rb"^# ([a-z][a-z0-9-]+)(?: |$)", output(server, "--print-config"), re.MULTILINE)))
    template = (HERE / "completions" / "djr-server.bash").read_bytes()
    words = b" ".join(b"--" + name for name in directives if is_directive(server, name))
    found[SHELLS["bash"].format("djr-server")] = template.replace(b"@DIRECTIVES@", words)
    return found


def is_directive(server, name, _known={}):
    """Whether a word that a line of the printed file begins with is a directive, and not one of a comment."""
    if server not in _known:
        table = output(server, "--print-config-markdown")
        _known[server] = {word.encode() for word in re.findall(r"^\|(.*?)\|", table.decode(), re.MULTILINE) for word in re.findall(r"`([a-z0-9-]+)`", word)}
    return name in _known[server]


def output(program, *arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True).stdout


def packed(content):
    """Gzip without a time, so that the same content makes the same file."""
    return gzip.compress(content, 9, mtime=0)
