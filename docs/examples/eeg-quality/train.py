"""Makes model.json: python3 train.py. Learns from signals that it makes itself, so it needs no data of anybody.

Good: slow waves with some noise. Bad: no contact (flat), an overdriven amplifier (clipped), noise alone.
"""

import json
import math
import random
from pathlib import Path

from features import NAMES, features, probability

LOW, HIGH = -32_768, 32_767
SECONDS, RATE = 4, 100


def signal(kind, chance):
    level = chance.uniform(300, 3_000)
    frequency = chance.uniform(1, 12)
    samples = []
    for n in range(SECONDS * RATE):
        wave = level * math.sin(2 * math.pi * frequency * n / RATE)
        noise = chance.gauss(0, 1)
        value = {
            "good": wave + noise * level * 0.2,
            "flat": chance.choice([0.0, 0.0, 0.0, 1.0]) * noise,
            "clipped": 40 * wave,
            "noise": noise * level,
        }[kind]
        samples.append(max(LOW, min(HIGH, round(value))))
    return samples


def examples(count, seed):
    chance = random.Random(seed)  # noqa: S311 - the same signals each time
    kinds = ["good"] * 3 + ["flat", "clipped", "noise"]
    for _ in range(count):
        kind = chance.choice(kinds)
        yield features(signal(kind, chance), LOW, HIGH), kind == "good"


def train(count=600, seed=1, rounds=400, rate=0.5):
    data = list(examples(count, seed))
    columns = list(zip(*(values for values, _ in data), strict=True))
    means = [sum(column) / len(column) for column in columns]
    scales = [
        math.sqrt(sum((value - mean) ** 2 for value in column) / len(column)) or 1.0
        for column, mean in zip(columns, means, strict=True)
    ]
    model = {"weights": [0.0] * len(NAMES), "bias": 0.0, "means": means, "scales": scales}
    for _ in range(rounds):
        wrong = [(probability(model, values) - good, values) for values, good in data]
        model["bias"] -= rate * sum(error for error, _ in wrong) / len(wrong)
        for n, (mean, scale) in enumerate(zip(means, scales, strict=True)):
            slope = sum(error * (values[n] - mean) / scale for error, values in wrong) / len(wrong)
            model["weights"][n] -= rate * slope
    return model


def accuracy(model, count=300, seed=2):
    """On signals that it did not learn from."""
    data = list(examples(count, seed))
    return sum((probability(model, values) >= 0.5) == good for values, good in data) / len(data)


def rounded(model):
    return {
        "features": list(NAMES),
        **{name: [round(one, 6) for one in model[name]] for name in ("weights", "means", "scales")},
        "bias": round(model["bias"], 6),
    }


if __name__ == "__main__":
    made = rounded(train())
    Path(__file__).with_name("model.json").write_text(json.dumps(made, indent=1) + "\n")
    print(f"accuracy on new signals: {accuracy(made):.1%}")
