"""The server as a container image, built from this tree and run by its Compose file."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT
from tests.support.clean_root import CleanRoot
from tests.support.mb_sync import MbSync
from tests.support.server import PASSWORD

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux's"),
    pytest.mark.timeout(1_500),  # it builds what it tries
]
# As root inside another container, as developers' machines and CI are: limits that it may set, and no systemd.
SETTINGS = (
    '[containers]\ndefault_ulimits=["nofile=1024:4096","nproc=4096:4096"]\n'
    '[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="none"\n'
)
BASE = "localhost/medical-blocks-test-base"
IMAGE = "localhost/medical-blocks-test-server"


class Compose:
    """`podman-compose` with this tree's file, as a project of its own."""

    def __init__(self, port: int, environment: dict[str, str]) -> None:
        self.port = port
        self._words = [Path(sys.executable).with_name("podman-compose"), "--project-name", f"mb-test-{port}"]
        self._environment = environment

    def comes_up(self) -> None:
        """Until something answers at the port."""
        ends = time.monotonic() + 120
        while True:
            try:
                context = ssl._create_unverified_context()  # the question is only whether anybody is there
                urllib.request.urlopen(
                    f"https://localhost:{self.port}/api/v1/hello", context=context, timeout=10
                )
            except OSError as error:
                if time.monotonic() > ends:
                    pytest.fail(f"never up: {error}\n{self.done('logs')}")
                time.sleep(0.2)
            else:
                return

    def done(self, *words: str, stdin: str = "") -> str:
        ran = subprocess.run(
            [*map(str, self._words), *words],
            cwd=ROOT / "packaging/container", env=self._environment, input=stdin,
            capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"
        return ran.stdout + ran.stderr


@pytest.fixture
def compose(debian: CleanRoot, tmp_path: Path) -> Iterator[Compose]:
    subprocess.run(["make", "wheels"], cwd=ROOT, check=True, timeout=600, stdout=subprocess.DEVNULL)
    settings = tmp_path / "containers.conf"
    settings.write_text(SETTINGS)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    environment = os.environ | {
        "CONTAINERS_CONF": str(settings),
        "BUILDAH_ISOLATION": "chroot",
        "BUILDAH_LAYERS": "false",  # nothing of the way there is kept
        "MB_BASE": BASE,
        "MB_IMAGE": IMAGE,
        "MB_ADDRESS": f"127.0.0.1:{port}",
    }
    with subprocess.Popen(
        ["tar", "--create", "--directory", debian.folder, "."], stdout=subprocess.PIPE
    ) as tar:
        subprocess.run(
            ["podman", "import", "--quiet", "-", BASE],
            stdin=tar.stdout,
            env=environment,
            check=True,
            timeout=600,
        )
    made = Compose(port, environment)
    try:
        made.done("build")
        yield made
    finally:
        made.done("down", "--volumes")
        subprocess.run(
            ["podman", "rmi", "--force", IMAGE, BASE], env=environment, capture_output=True, check=False
        )


def test_compose_brings_a_server_up_that_a_computer_syncs_with(compose: Compose, tmp_path: Path) -> None:
    said = compose.done(
        "run", "--rm", "-T", "server", "init", "--admin", "ada", "--password-stdin", stdin=PASSWORD
    )
    assert "recovery key" in said
    compose.done("up", "--detach")
    laptop = MbSync(tmp_path / "laptop")
    compose.comes_up()
    told = compose.done("exec", "-T", "server", "mb-server", "tls", "--json")
    fingerprint = json.loads(told[told.index("{") : told.rindex("}") + 1])["fingerprint"]
    laptop.done(
        *("login", f"https://localhost:{compose.port}", "--user", "ada", "--password-stdin"),
        *("--fingerprint", fingerprint),
        stdin=PASSWORD + "\n",
    )
    folder = tmp_path / "Study"
    folder.mkdir()
    (folder / "cohort.csv").write_text("patient,age\n")
    laptop.done("add", "/Home/Study", folder, "--create")
    laptop.done("once")
    assert "Every invariant holds" in compose.done("exec", "-T", "server", "mb-server", "check", "--deep")
    compose.done("restart")
    compose.comes_up()
    listed = compose.done("exec", "-T", "server", "mb-server", "manifest")
    assert "cohort.csv" in listed
