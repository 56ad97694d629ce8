"""EDF and BDF files with a person in them, written byte by byte: nobody's real data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Recording:
    """Two signals and a list of annotations, of Jane Zweistein, born on 1 April 1980; three records of a second."""

    version: bytes = b"0"
    patient: bytes = b"PID-4711-X F 01-APR-1980 Zweistein_Jane"
    recording: bytes = b"Startdate 29-FEB-2024 ACC7731 Quacksalver Acme"
    date: bytes = b"29.02.24"
    time: bytes = b"10.11.12"
    reserved: bytes = b"EDF+C"
    labels: list[bytes] = field(default_factory=lambda: [b"EEG Fp1-Ref", b"ECG"])
    transducer: bytes = b"AgAgCl electrode"
    prefilter: bytes = b"HP:0.1Hz LP:75Hz"
    unit: bytes = b"uV"
    minimum: bytes = b"-100"
    signal_reserved: bytes = b""
    texts: list[bytes] = field(default_factory=lambda: [b"Eyes open", b"Sleep stage W", b"Stimulus 12"])
    onsets: list[bytes] = field(default_factory=lambda: [b"+0", b"+1", b"+2"])
    records: int = 3

    @property
    def sample_bytes(self) -> int:
        return 3 if self.version.startswith(b"\xff") else 2

    def signals(self, record: int) -> bytes:
        """What must not change: every value there is, byte after byte."""
        return bytes((record * 7 + n) % 256 for n in range(2 * 10 * self.sample_bytes))

    def annotations(self, record: int) -> bytes:
        lists = self.onsets[record] + b"\x14\x14\0"
        if record < len(self.texts):
            lists += self.onsets[record] + b".5\x150.25\x14" + self.texts[record] + b"\x14\0"
        return lists.ljust(60 * self.sample_bytes, b"\0")

    def as_bytes(self) -> bytes:
        kind = b"BDF" if self.sample_bytes == 3 else b"EDF"
        labels = [*self.labels, kind + b" Annotations"]
        top = b"8388607" if self.sample_bytes == 3 else b"32767"
        lows = b"-8388608" if self.sample_bytes == 3 else b"-32768"
        fixed = (
            (self.version, 8), (self.patient, 80), (self.recording, 80), (self.date, 8), (self.time, 8), (b"1024", 8),
            (self.reserved, 44), (b"%d" % self.records, 8), (b"1", 8), (b"3", 4),
        )  # fmt: skip
        of_signals = (
            (labels, 16), ([self.transducer] * 2 + [b""], 80), ([self.unit] * 2 + [b""], 8),
            ([self.minimum] * 2 + [b"-1"], 8), ([b"100"] * 2 + [b"1"], 8), ([lows] * 3, 8), ([top] * 3, 8),
            ([self.prefilter] * 2 + [b""], 80), ([b"10", b"10", b"60"], 8), ([self.signal_reserved] * 3, 32),
        )  # fmt: skip
        header = b"".join(value.ljust(width) for value, width in fixed)
        header += b"".join(value.ljust(width) for values, width in of_signals for value in values)
        assert len(header) == 1024
        return header + b"".join(self.signals(n) + self.annotations(n) for n in range(self.records))


def a_bdf(**fields: object) -> Recording:
    return Recording(version=b"\xffBIOSEMI", **{"reserved": b"BDF+C", **fields})  # type: ignore[arg-type] # as the test says
