"""What users install: the wheel, in an empty environment, and the Debian package. Made of the programs that were built for the tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.server import REPOSITORY, binary, free_port
from harness.waiting import wait_until

PACKAGING = REPOSITORY / "packaging"
PROGRAMS = Path(binary()).parent

pytestmark = [
    pytest.mark.skipif(not (PROGRAMS / "djr-cli").is_file() or Path(binary()).name != "djr-server", reason="no djr-cli beside the server"),
    # Packing takes its time, and that of a machine that does other things as well.
    pytest.mark.timeout(180),
]


def made(script, out):
    command = [sys.executable, PACKAGING / script, "--binaries", PROGRAMS, "--out", out]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def output(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, **options).stdout


def serves(server, cli, *options, cwd):
    """Starts the server and asks it by the client; both are those of a package."""
    port = str(free_port())
    process = subprocess.Popen(
        [server, *options, "--port", port, "--unixsocket", "", "--dir", cwd],
        **{"cwd": cwd, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT},
    )

    def ask(*words):
        return subprocess.run([cli, "-p", port, *words], capture_output=True, text=True, timeout=20).stdout.strip()

    try:
        wait_until(lambda: ask("ping") == "PONG", seconds=30, what="an answer")
        assert ask("set", "k", "v") == "OK"
        assert ask("get", "k") == "v"
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_the_wheel(tmp_path):
    wheel = made("build_wheel.py", tmp_path / "dist")
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    output(*pip, "install", "--no-index", "--no-deps", wheel)
    assert "djr" in output(*pip, "list", "--format", "freeze")
    server, cli = environment / "bin" / "djr-server", environment / "bin" / "djr-cli"
    assert output(server, "--version").startswith("DJR server v=")
    for path in ("man/man1/djr-server.1.gz", "man/man1/djr-cli.1.gz", "bash-completion/completions/djr-server"):
        assert (environment / "share" / path).is_file(), path
    serves(server, cli, cwd=tmp_path)
    # The hashes in RECORD are those of what was installed.
    assert "djr" in output(*pip, "show", "--files", "djr")
    output(*pip, "uninstall", "--yes", "djr")
    assert not server.exists()
    assert not list(environment.glob("share/**/*djr*"))


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="not Debian")
def test_the_debian_package(tmp_path):
    package = made("build_deb.py", tmp_path / "dist")
    control = output("dpkg-deb", "--field", package)
    assert "Package: djr\n" in control
    assert "@" not in control.replace("djr@example.org", ""), "a place that was not filled in"
    root = tmp_path / "root"
    output("dpkg-deb", "--extract", package, root)
    output("dpkg-deb", "--control", package, tmp_path / "control")
    assert (tmp_path / "control" / "conffiles").read_text() == "/etc/djr/djr.conf\n"
    output("md5sum", "--check", "--quiet", tmp_path / "control" / "md5sums", cwd=root)
    for script in ("postinst", "prerm", "postrm"):
        output("sh", "-n", tmp_path / "control" / script)
    assert os.access(root / "usr/bin/djr-server", os.X_OK)
    unit = (root / "usr/lib/systemd/system/djr.service").read_text()
    assert "ExecStart=/usr/bin/djr-server /etc/djr/djr.conf" in unit
    configuration = root / "etc/djr/djr.conf"
    assert "\ndir /var/lib/djr\n" in configuration.read_text()
    configuration.write_text(configuration.read_text().replace("dir /var/lib/djr", f"dir {tmp_path}"))
    serves(root / "usr/bin/djr-server", root / "usr/bin/djr-cli", configuration, cwd=tmp_path)
    if shutil.which("lintian"):
        said = subprocess.run(["lintian", "--fail-on", "error,warning", package], capture_output=True, text=True, timeout=120)
        assert said.returncode == 0, said.stdout


def test_the_completion_of_the_server(tmp_path):
    sys.path.insert(0, str(PACKAGING))
    try:
        import shared
    finally:
        sys.path.remove(str(PACKAGING))
    script = tmp_path / "completion"
    script.write_bytes(shared.pages_and_completions(PROGRAMS)["share/bash-completion/completions/djr-server"])
    asked = f"source {script}; COMP_WORDS=(djr-server --maxmemory-p); COMP_CWORD=1; _djr_server; echo ${{COMPREPLY[@]}}"
    assert output("bash", "-c", asked).split() == ["--maxmemory-policy"]
