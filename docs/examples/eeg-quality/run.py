"""Reads the channels of an EDF recording, asks the model, writes a table and labels. Only the standard library.

No name of a channel and nothing else of the header is written: channels are numbered.
"""

import json
import sys
from array import array
from pathlib import Path

from features import features, probability

MOST_SAMPLES = 200_000  # of one channel: what a judgement needs
MOST_SIGNALS = 4_096


def channels(data):
    """Samples and ends of each signal; ValueError: no EDF."""
    count = int(data[252:256])
    records = int(data[236:244])
    if not 0 < count <= MOST_SIGNALS or len(data) < 256 * (count + 1):
        raise ValueError("no header")

    def column(start, width):
        at = 256 + start * count
        return [data[at + n * width : at + (n + 1) * width] for n in range(count)]

    labels, lows, highs, sizes = column(0, 16), column(120, 8), column(128, 8), column(216, 8)
    sizes = [int(size) for size in sizes]
    width = 2 * sum(sizes)
    if width <= 0:
        raise ValueError("no samples")
    body = memoryview(data)[256 * (count + 1) :]
    for n in range(count):
        if labels[n].strip().lower() == b"edf annotations":
            continue
        samples, before = array("h"), 2 * sum(sizes[:n])
        for record in range(min(records, len(body) // width)):
            start = record * width + before
            samples.frombytes(bytes(body[start : start + 2 * sizes[n]]))
            if len(samples) >= MOST_SAMPLES:
                break
        if sys.byteorder == "big":
            samples.byteswap()
        yield samples, int(lows[n]), int(highs[n])


def answer(number, file, model, threshold):
    try:
        found = [
            probability(model, features(*one)) for one in channels((Path("in") / file["file"]).read_bytes())
        ]
    except ValueError:
        return {"source": number, "verdict": "unchanged"}
    if not found:
        return {"source": number, "verdict": "unchanged"}
    good = sum(one >= threshold for one in found)
    lines = ["channel,probability"] + [f"{n + 1},{one:.3f}" for n, one in enumerate(found)]
    (Path("out") / f"{number}.csv").write_text("\n".join(lines) + "\n")
    share = good / len(found)
    value = "good" if share >= 0.8 else "poor" if share < 0.5 else "mixed"
    sure = sum(max(one, 1 - one) for one in found) / len(found)
    return {
        "source": number,
        "verdict": "released",
        "outputs": [
            {"file": f"{number}.csv", "path": [*file["path"][:-1], file["path"][-1] + ".quality.csv"]}
        ],
        "labels": [
            {
                "name": name,
                "value": text,
                "rule": "logistic",
                "confidence": round(sure, 3),
                "source": "edf.samples",
            }
            for name, text in (("signal-quality", value), ("good-channels", str(good)))
        ],
    }


if __name__ == "__main__":
    job = json.loads(Path("job.json").read_text())
    model = json.loads(Path(__file__).with_name("model.json").read_text())
    threshold = job["parameters"].get("threshold", 0.5)
    answers = [answer(number, file, model, threshold) for number, file in enumerate(job["files"])]
    Path("result.json").write_text(json.dumps({"contract": 1, "files": answers}))
