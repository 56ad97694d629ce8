"""`make package`: what people install, for the system this runs on.

Owns: the environment that builds, the programs by PyInstaller, .deb and .rpm by nfpm, their names in dist/.
May import: the standard library; it runs in any Python 3.11 or newer, and sets up the rest itself.

    dist/programs/mb-sync/, mb-synclight/   the programs, as folders
    dist/mb-synclight-VERSION-SYSTEM        MB-SyncLight as one file
    dist/*.deb, *.rpm                       Linux packages of both

On Windows and macOS the programs come out; README.md beside this file says how an installer is made of them.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOOLS = ("pyinstaller>=6.16", *(("nfpm>=2.48",) if sys.platform == "linux" else ()))
ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}  # as nfpm names them; the others have one name
FORMATS = ("deb", "rpm")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "dist", help="where the results go (default: dist/)"
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build", help="for what is not kept (default: build/)"
    )
    parser.add_argument("--programs-only", action="store_true", help="no .deb and .rpm")
    asked = parser.parse_args(arguments)
    out, work = asked.out.resolve(), asked.work.resolve()
    tools = set_up(work / "package-env")
    made = [build_programs(tools, out, work)]
    if sys.platform == "linux" and not asked.programs_only:
        made += build_packages(tools, out, work)
    for path in made:
        print(f"{path.stat().st_size / 1e6:6.1f} MB  {path.name}")
    return 0


def set_up(environment: Path) -> Path:
    """An environment with both clients and what builds them, installed and not editable: a build holds copies.  Its
    programs' folder."""
    tools = environment / ("Scripts" if sys.platform == "win32" else "bin")
    if not (environment / "made").exists():
        run(sys.executable, "-m", "venv", "--clear", environment)
        run(
            tools / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *TOOLS,
            f"{ROOT}[sync]",
        )
        (environment / "made").touch()
    # ours alone anew: it changes from build to build, what it stands on does not
    run(
        tools / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--force-reinstall", ROOT,
    )  # fmt: skip
    return tools


def build_programs(tools: Path, out: Path, work: Path) -> Path:
    """Both as folders in out/programs; the single file, which is what comes back."""
    programs = out / "programs"
    shutil.rmtree(programs, ignore_errors=True)
    run(
        tools / "pyinstaller", "--noconfirm", "--log-level", "ERROR", "--distpath", programs, "--workpath",
        work / "pyinstaller", HERE / "programs.spec",
    )  # fmt: skip
    ending = ".exe" if sys.platform == "win32" else ""
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}[sys.platform]
    single = out / f"mb-synclight-{version()}-{system}-{platform.machine().lower()}{ending}"
    shutil.move(programs / f"mb-synclight-single{ending}", single)
    return single


def build_packages(tools: Path, out: Path, work: Path) -> list[Path]:
    """A .deb and an .rpm of each program."""
    files = work / "package-files"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    for source in (
        *HERE.glob("*.desktop"),
        HERE / "copyright",
        *(HERE.parent / "systemd").glob("mb-sync*.service"),
    ):
        shutil.copy(source, files)
    (files / "medical-blocks.svg").write_text(icon(tools), encoding="utf-8")
    words = {
        "ARCH": ARCHES.get(platform.machine(), platform.machine()),
        "VERSION": version(),
        "LIBC": platform.libc_ver()[1],  # built against this one: an older one may lack what is called
        "PROGRAMS": str(out / "programs"),
        "FILES": str(files),
    }
    made = []
    for name in ("mb-sync", "mb-synclight"):
        filled = files / f"{name}.yaml"
        filled.write_text(fill((HERE / f"{name}.yaml").read_text(encoding="utf-8"), words), encoding="utf-8")
        for form in FORMATS:
            target = out / f"{name}-{words['VERSION']}-{words['ARCH']}.{form}"
            run(
                tools / "nfpm",
                "package",
                "--config",
                filled,
                "--packager",
                form,
                "--target",
                target,
                quiet=True,
            )
            made.append(target)
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made)
    (out / "SHA256SUMS").write_text(sums, encoding="utf-8")
    return made


def fill(text: str, words: dict[str, str]) -> str:
    """nfpm takes variables in some fields only; ours stand anywhere."""
    for name, value in words.items():
        text = text.replace(f"${{{name}}}", value)
    if "${" in text:
        raise SystemExit(f"Nothing fills {text[text.index('${') :][:40]!r}")
    return text


def icon(tools: Path) -> str:
    """The mark that the tray shows, without a state."""
    words = "from sync_client.tray.icons import mark; print(mark(), end='')"
    return subprocess.run([tools / "python", "-c", words], check=True, capture_output=True, text=True).stdout


def version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def run(*words: str | Path, quiet: bool = False) -> None:
    """Raises SystemExit with what it said."""
    ran = subprocess.run(
        [str(word) for word in words], check=False, capture_output=quiet, text=True, cwd=ROOT
    )
    if ran.returncode:
        raise SystemExit(f"{words[0]} ended with {ran.returncode}\n{ran.stderr or ''}")


if __name__ == "__main__":
    sys.exit(main())
