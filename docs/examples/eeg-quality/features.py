"""What the model sees of a channel: four numbers. The same code makes them for training and in the block."""

import math
from itertools import pairwise

NAMES = ("flat", "clipped", "roughness", "range")


def features(samples, low, high):
    """samples: whole numbers. low, high: the ends of what the amplifier can write."""
    if len(samples) < 3:
        return [1.0, 0.0, 0.0, 0.0]
    steps = [after - before for before, after in pairwise(samples)]
    flat = sum(step == 0 for step in steps) / len(steps)
    clipped = sum(sample <= low or sample >= high for sample in samples) / len(samples)
    mean = sum(samples) / len(samples)
    spread = math.sqrt(sum((sample - mean) ** 2 for sample in samples) / len(samples))
    step = math.sqrt(sum(step * step for step in steps) / len(steps))
    roughness = step / spread if spread else 0.0
    reach = math.log10(1 + spread) / math.log10(1 + high - low) if high > low else 0.0
    return [flat, clipped, roughness, reach]


def probability(model, values):
    """Of being of use: logistic regression on standardized values."""
    total = model["bias"]
    columns = zip(model["weights"], values, model["means"], model["scales"], strict=True)
    for weight, value, mean, scale in columns:
        total += weight * (value - mean) / scale
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, total))))
