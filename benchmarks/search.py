"""How long a search takes in a space with 100,000 series: `python -m benchmarks.search [--series N] [--files N]`.

Rows are made up and written straight into the tables, 3 files to a series; questions go through the same code as those
of `GET /views/{view}/search`, without the network.  Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from dataclasses import astuple
from pathlib import Path
from uuid import UUID

from protocol.attributes import Values
from protocol.ids import DeviceId, NodeId, SpaceId, UserId, ViewId
from server.access.cursors import Cursors
from server.access.new_spaces import make_space
from server.access.rights import PROJECT, Principal, ReadableView, Role
from server.catalog.counts import counts
from server.catalog.entries import add_terms, entry_of
from server.catalog.query import parse
from server.catalog.searching import Asked, Level, Order, search
from server.database.session import Database, insert_rows
from server.database.tables import (
    CatalogEntryRow,
    CatalogFileRow,
    MetaRow,
    NodeRow,
    PersonLabelRow,
    SpaceRow,
)

REGIONS = ("brain", "spine", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
SEQUENCES = ("T1", "T2", "PD", "STIR", "FLAIR", "DWI", "TOF", "MPRAGE")
MAKERS = ("SIEMENS", "Philips", "GE MEDICAL SYSTEMS")
PERSON = Principal(UserId(UUID(int=1)), "ada", DeviceId(UUID(int=2)), "laptop", False, 0)
QUESTIONS = {
    "one label": "region=knee",
    "a label that is rare": "pathology=sarcoma",
    "a patient": "PatientID=P0004217",
    "a range": "EchoTime=20..25",
    "a range of dates": "StudyDate=2020-02..2020-03",
    "two labels and a range": "region=knee sequence=T2 EchoTime=60..90",
    "a word": "sagittal",
    "either, and not": "(region=hip or region=wrist) Modality=MR not sequence=T1",
    "nothing fits": "region=knee pathology=sarcoma Manufacturer=Philips sequence=TOF EchoTime=..4",
    "all there is": "",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--times", type=int, default=15)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "server.db", migrate=True)
        view = fill(database, asked.series, asked.files)
        size = (Path(folder) / "server.db").stat().st_size
        print(
            f"{asked.series:,} series, {asked.series * asked.files:,} files; database {size / 1e6:,.0f} MB\n"
        )
        print("| question | found | first page (ms), median | slowest |\n|---|---|---|---|")
        every: list[float] = []
        for name, text in QUESTIONS.items():
            for order in (Order.PATIENT, Order.LATEST):
                told, took = ask(database, view, text, order, asked.times)
                every += took
                words = f"{name}, latest first" if order is Order.LATEST else name
                print(f"| {words}: `{text}` | {told} | {statistics.median(took):.1f} | {max(took):.1f} |")
        begin = time.perf_counter(), time.process_time()
        with database.reading() as session:
            made = counts(session, PERSON, view)
        wall, own = time.perf_counter() - begin[0], time.process_time() - begin[1]
        print(
            f"\nCounts of {made.files:,} files by {len(made.by)} names: {wall:.1f} s, {own:.1f} s of a processor"
        )
        print(f"\nMedian of all {len(every)}: {statistics.median(every):.1f} ms")
        database.close()


def ask(
    database: Database, view: ReadableView, text: str, order: Order, times: int
) -> tuple[str, list[float]]:
    cursors = Cursors(bytes(32))
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        with database.reading() as session:
            found = search(session, PERSON, view, Asked(parse(text), Level.SERIES, order), cursors)
        took.append((time.perf_counter() - begin) * 1_000)
    return f"{len(found.items)}{'+' if found.next else ''}", took


def fill(database: Database, series: int, files: int) -> ReadableView:
    with database.writing() as session:
        session.merge(MetaRow(key="epoch", value="1"))
        session.flush()
        space = make_space(session, PROJECT, "/Projects/Many", now_ms=1)
        root: bytes = session.get(SpaceRow, space).root  # type: ignore[union-attr] # just made
    for begin in range(0, series, 5_000):
        with database.writing() as session:
            nodes, entries, rows, labels, said = [], [], [], [], []
            for at in range(begin, min(begin + 5_000, series)):
                folder = UUID(int=1 << 100 | at).bytes
                nodes.append(_node(space, folder, root, f"series-{at}", "folder"))
                attributes, marks = made_up(at)
                for number in range(files):
                    node = UUID(int=1 << 101 | at << 20 | number).bytes
                    nodes.append(_node(space, node, folder, f"{number}.dcm", "file"))
                    own = attributes | {
                        "InstanceNumber": (number + 1,),
                        "SOPInstanceUID": (f"1.9.{at}.{number}",),
                    }
                    rows.append((space, node, at + 1, 1, 1, "MR", json.dumps(own, sort_keys=True)))
                    labels += [(space, node, name, value, bytes(16), 1) for name, (value,) in marks.items()]
                    said.append((at + 1, own | marks))
                entries.append((at + 1, space, *astuple(entry_of(node, attributes))))
            insert_rows(session, NodeRow, nodes)
            insert_rows(session, CatalogEntryRow, entries)
            insert_rows(session, CatalogFileRow, rows)
            insert_rows(session, PersonLabelRow, labels)
            add_terms(session, space, said)
    return ReadableView(
        ViewId(UUID(int=3)),
        SpaceId(space),
        NodeId(UUID(bytes=root)),
        PROJECT,
        "",
        roles=frozenset({Role.OWNER}),
    )


def made_up(at: int) -> tuple[dict[str, Values], dict[str, tuple[str]]]:
    chance = random.Random(at)
    patient, study = at // 10, at // 5
    sequence = chance.choice(SEQUENCES)
    plane = chance.choice(("sagittal", "coronal", "axial"))
    attributes: dict[str, Values] = {
        "PatientID": (f"P{patient:07}",),
        "StudyInstanceUID": (f"1.2.{study}",),
        "SeriesInstanceUID": (f"1.3.{at}",),
        "StudyDate": (f"20{15 + study % 8:02}{1 + study % 12:02}{1 + study % 28:02}",),
        "SeriesNumber": (at % 5 + 1,),
        "Modality": ("MR",),
        "Manufacturer": (chance.choice(MAKERS),),
        "SeriesDescription": (f"{sequence} {plane}",),
        "EchoTime": (round(chance.uniform(3, 120), 1),),
        "RepetitionTime": (round(chance.uniform(10, 6_000)),),
        "SliceThickness": (chance.choice((1.0, 3.0, 5.0)),),
        "Rows": (512,),
        "Columns": (512,),
    }
    labels = {"region": (chance.choice(REGIONS),), "sequence": (sequence,), "plane": (plane,)}
    if chance.random() < 0.001:
        labels["pathology"] = ("sarcoma",)
    return attributes, labels


def _node(space: int, node: bytes, parent: bytes, name: str, kind: str) -> tuple[object, ...]:
    none = bytes(16)
    return (space, node, parent, name, name, kind, 1, 1, 1, 1, none, none, 1, 1, none, None, None, "")


if __name__ == "__main__":
    main()
