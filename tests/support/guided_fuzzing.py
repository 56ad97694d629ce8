"""One decoder of tests/test_decoders.py, fed by atheris with whatever reaches new lines of our code.

`python -m tests.support.guided_fuzzing NAME SECONDS FOLDER`: ends with 0 when the time is up, and with an input that
breaks the decoder's promises printed and kept in FOLDER otherwise.  NAME "planted": a decoder with a bug.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["protocol", "server", "sync_client"]):
    from tests import test_decoders as decoders


def planted(data: bytes) -> object:
    """Breaks on five bytes in a row, which chance alone would take years to meet."""
    if (
        data[:1] == b"M"
        and data[1:2] == b"B"
        and data[2:3] == b"-"
        and data[3:4] == b"4"
        and data[4:5] == b"2"
    ):
        raise KeyError("a bug")
    return data


def main(name: str, seconds: str, folder: str) -> None:
    base = Path(folder)
    decoder = (
        decoders.Decoder(atheris.instrument_func(planted), (ValueError,), (b"M",))
        if name == "planted"
        else decoders.DECODERS[name]
    )
    corpus = base / "corpus"
    corpus.mkdir()
    for number, sample in enumerate(decoder.samples):
        (corpus / f"sample-{number}").write_bytes(sample)

    def try_one(data: bytes) -> None:
        try:
            decoder.decode(data)
        except decoder.errors:
            return

    limits = [
        f"-max_total_time={seconds}",
        f"-max_len={decoders.MAX_INPUT_BYTES}",
        "-timeout=60",
        "-rss_limit_mb=1024",
    ]
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-seed={decoders.SEED % 2**31}", f"-artifact_prefix={base}/", *limits],
        try_one,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
