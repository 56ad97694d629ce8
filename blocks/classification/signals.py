"""Labels of EDF, EDF+, BDF and BDF+ recordings: what was recorded, where on the head, how long, with which gaps.

Owns: these rules; names of channels.
May import: the standard library, blocks.classification, blocks.formats.

Sources: edfplus.info/specs (labels), the 10-20 system and its 10-10 extension (names of electrodes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from blocks.classification.clues import Finding, clue, decide
from blocks.classification.vocabulary import vocabulary
from blocks.formats.cleaned import Held
from blocks.formats.edf import (
    FIXED_BYTES,
    MOST_SIGNALS,
    SIGNAL_BYTES,
    Header,
    is_annotations,
    read_annotations,
    read_header,
)

_KINDS = (  # of channels, by words of their labels; the first that fits
    ("ECG", re.compile(r"\b(ecg|ekg|ekg\d|ecg\d)\b")),
    ("EMG", re.compile(r"\b(emg\w*|chin\d?|leg|tib\w*|plm\d?)\b")),
    ("EOG", re.compile(r"\b(eog\w*|loc|roc|e1|e2)\b")),
    ("respiration", re.compile(r"\b(resp\w*|airflow|flow|thor\w*|abdo\w*|nasal|snor\w*|effort)\b")),
    ("saturation", re.compile(r"\b(spo2|sao2|osat|pleth)\b")),
)
_NO_SIGNALS = re.compile(r"\b(status|trig\w*|event\w*|marker|dc\d*)\b")
_WORDS = re.compile(r"[a-z0-9]+")
_MOST_RATES = 20
_MOST_RECORDS = 2_000_000
_GAP_SECONDS = 1e-3


def recording(path: Path) -> list[Finding]:
    """What its header and its lists of annotations say; empty where it is not whole."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        try:
            header = read_header(file.read(FIXED_BYTES + SIGNAL_BYTES * MOST_SIGNALS), size_bytes=size_bytes)
        except Held:
            return []
        return [*_modality(header), *_channels(header), *_times(header), *_annotations(header, file)]


def channel_of(label: str) -> str:
    """The electrode of the 10-20 system, or the kind of the channel, or "other"."""
    plain = label.casefold()
    for kind, expression in _KINDS:
        if expression.search(plain):
            return kind
    electrodes = {value.casefold(): value for value in vocabulary().words["channel"]}
    for word in _WORDS.findall(plain.removeprefix("eeg")):
        if word in electrodes and electrodes[word] not in {"other", "respiration", "saturation"}:
            return electrodes[word]
    return "other"


def _signals(header: Header) -> list[str]:
    labels = (label.decode("latin-1").strip(" \0") for label in header.of_signals["label"])
    return [
        label for label in labels if not is_annotations(label.encode("latin-1")) and not _is_status(label)
    ]


def _is_status(label: str) -> bool:
    return _NO_SIGNALS.search(label.casefold()) is not None


def _modality(header: Header) -> list[Finding]:
    channels = [channel_of(label) for label in _signals(header)]
    electrodes = sum(channel not in {"other", *(kind for kind, _ in _KINDS)} for channel in channels)
    kinds = {channel for channel in channels if channel in {"ECG", "EMG", "EOG", "respiration", "saturation"}}
    if electrodes and "EOG" in kinds and kinds & {"EMG", "respiration"}:
        value, sure = "PSG", 0.85
    elif electrodes or any(label.casefold().startswith("eeg") for label in _signals(header)):
        value, sure = "EEG", 0.9
    elif kinds and kinds <= {"ECG"}:
        value, sure = "ECG", 0.9
    elif kinds and kinds <= {"EMG"}:
        value, sure = "EMG", 0.9
    elif kinds & {"respiration", "saturation"}:
        value, sure = "RESP", 0.6
    else:
        value, sure = "EEG", 0.4  # what such files hold mostly
    return decide("modality", [clue(value, "channel-names", "edf.label", confidence=sure)])


def _channels(header: Header) -> Iterator[Finding]:
    signals = _signals(header)
    yield _header("channels", len(signals), "edf.signals")
    for channel in dict.fromkeys(channel_of(label) for label in signals):
        yield Finding("channel", channel, "channel-names", ("edf.label",), 0.9)


def _times(header: Header) -> Iterator[Finding]:
    yield _header("duration-seconds", header.records * header.duration, "edf.records+edf.duration")
    if not header.duration:
        return
    labels = header.of_signals["label"]
    rates = {
        samples / header.duration
        for samples, label in zip(header.samples, labels, strict=True)
        if not is_annotations(label)
    }
    for rate in sorted(rates)[:_MOST_RATES]:
        yield _header("sampling-rate-hertz", rate, "edf.samples+edf.duration")


def _annotations(header: Header, file: BinaryIO) -> Iterator[Finding]:
    """Only how many there are, and where the recording was interrupted: of their texts not a letter is kept."""
    places = header.annotation_places()
    if not places or not header.is_plus or header.records > _MOST_RECORDS:
        return
    count = gaps = 0
    ends: float | None = None
    try:
        for record in range(header.records):
            for number, place in enumerate(places):
                file.seek(header.size_bytes + record * header.record_bytes + place.start)
                lists = read_annotations(file.read(place.stop - place.start))
                count += sum(bool(text) for one in lists for text in one.texts)
                if number == 0 and lists:
                    onset = lists[0].onset
                    gaps += ends is not None and onset > ends + _GAP_SECONDS
                    ends = onset + header.duration
    except Held:
        return
    yield _header("annotations", count, "edf.annotations")
    yield _header("gaps", gaps, "edf.annotations")


def _header(name: str, value: float, source: str) -> Finding:
    return Finding(name, f"{value:.3f}".rstrip("0").rstrip("."), "edf-header", (source,), 1.0)
