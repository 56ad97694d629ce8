"""A screen that nobody looks at, for what has to be seen: an X server of its own, what stands on it, a mouse and keys.

Owns: Xvfb, pictures of it, xdotool.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from PIL import Image, ImageGrab

from tests.support.forks import environment


@contextmanager
def a_screen(width: int, height: int) -> Iterator[str]:
    """Its DISPLAY."""
    reading, writing = os.pipe()
    size = f"{width}x{height}x24"
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", size, "-nolisten", "tcp", "-noreset"],
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with open(reading, encoding="ascii") as said:
            yield ":" + said.readline().strip()
    finally:
        process.terminate()
        process.wait(60)


def picture(display: str) -> Image.Image:
    return ImageGrab.grab(xdisplay=display).convert("RGB")


def xdotool(variables: Mapping[str, str], *words: str | int) -> None:
    """variables: DISPLAY among them."""
    subprocess.run(["xdotool", *map(str, words)], env=environment() | variables, check=True, timeout=60)
