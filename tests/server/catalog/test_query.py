"""What a search means: read from text, decided on the facts of one file, and found again by the index."""

from __future__ import annotations

import math
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from protocol.attributes import Values
from protocol.errors import BadRequest
from protocol.limits import MAX_QUERY, MAX_QUERY_CONDITIONS, MAX_QUERY_DEPTH
from server.catalog.entries import add_terms
from server.catalog.query import All, Any, Has, Is, Not, Query, of_labels_alone, parse, satisfies
from server.catalog.searching import Order, statement
from server.database.session import rows_of_sql
from server.database.tables import Base, CatalogEntryRow, SpaceRow

KNEE: dict[str, Values] = {
    "region": ("knee",),
    "sequence": ("T1", "FLAIR"),
    "grade": ("3",),
    "Modality": ("MR",),
    "EchoTime": (11.5, 80.0),
    "StudyDate": ("20200315",),
    "SeriesDescription": ("t1 tse sagittal, left knee",),
    "PatientID": ("0042",),
}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "region=knee",
        "Region=KNEE",
        "region=hip,knee",
        'region="knee"',
        "region=*",
        "region=kn*",
        "region=knee sequence=flair",
        "region=knee and sequence=t1",
        "region=hip or sequence=T1",
        "not region=hip",
        "region!=hip",
        "side!=*",
        "not not region=knee",
        "(region=hip or region=knee) not sequence=T2",
        "(((region=knee)))",
        "EchoTime=80",
        "echotime=80.0",
        "EchoTime=20..80",
        "EchoTime=..11.5",
        "EchoTime=79.9..",
        "grade=2..4",
        "StudyDate=2020",
        "StudyDate=2020-03",
        "StudyDate=20200315",
        "StudyDate=2019..2020",
        "StudyDate=2020-03-15..",
        "modality=mr",
        "PatientID=0042",
        "sagit",
        "left KNEE",
        "text=flair",
        'text="left knee"',
        "sagittal modality=MR",
    ],
)
def test_it_fits(text: str) -> None:
    assert satisfies(KNEE, parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "region=hip",
        "region=kne",
        "region!=knee",
        "region=knee sequence=T2",
        "region=hip or sequence=T2",
        "not (region=knee or region=hip)",
        "side=*",
        "EchoTime=12..79",
        "EchoTime=80.5..",
        "StudyDate=2021",
        "StudyDate=..2019",
        "StudyDate=2020-04",
        "PatientID=42",
        "gittal",
        "text=hip",
        "MODALITY=CT",
    ],
)
def test_it_does_not_fit(text: str) -> None:
    assert not satisfies(KNEE, parse(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("region=", "region has no value"),
        ("EchoTime=a..b", "is no range"),
        ("StudyDate=x..2020", "dates such as"),
        ("EchoTime=..", "is no range"),
        ("EchoTime=nan..5", "is no range"),
        ("EchoTime=..inf", "is no range"),
        ("EchoTime=1e999..", "is no range"),
        ("EchoTime=0x10..", "is no range"),
        ("EchoTime=1_0..", "is no range"),
        ("StudyDate=2020-13", "is no date"),
        ("StudyDate=2020-00-01..", "is no range"),
        ("StudyDate=2020-02-32", "is no date"),
        ("StudyDate=yesterday", "is no date"),
        ("(region=knee", "a ) is missing"),
        ("region=knee)", "a ) too many"),
        ("or region=knee", "a condition is missing"),
        ("region=knee or", "a condition is missing"),
        ("not", "a condition is missing"),
        ("()", "a condition is missing"),
        ('region="knee', "is not closed"),
        ("text=...", "without a word"),
        ("A-=knee", "neither a label nor an attribute"),
    ],
)
def test_what_is_no_query_is_said_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says.replace("(", r"\(").replace(")", r"\)")):
        parse(text)


def test_bounds() -> None:
    parse(" ".join(["a=b"] * MAX_QUERY_CONDITIONS))
    with pytest.raises(BadRequest, match="conditions"):
        parse(" ".join(["a=b"] * (MAX_QUERY_CONDITIONS + 1)))
    parse("(" * MAX_QUERY_DEPTH + "a=b" + ")" * MAX_QUERY_DEPTH)
    for deep in ("(" * (MAX_QUERY_DEPTH + 1) + "a=b" + ")" * (MAX_QUERY_DEPTH + 1), "not " * 300 + "a=b"):
        with pytest.raises(BadRequest, match="nested"):
            parse(deep)
    parse("a=" + "b" * (MAX_QUERY - 2))
    with pytest.raises(BadRequest, match="characters"):
        parse("a=" + "b" * (MAX_QUERY - 1))


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+$",
        "region=(.*)*x",
        "region=" + "a?" * 500 + "a" * 500,
        "region=%' OR 1=1 --",
        "region=" + ",".join(["a"] * 900),
        '"' * 1_998,
        '"a' * 900,
        "region=" + "*" * 1_900,
        "region=" + "." * 1_900,
        "EchoTime=" + "9" * 1_900 + "..",
        "not " * 9 + "region=" + "\U0010ffff" * 1_000,
        "\x00 \ud800 region=\x00",
    ],
)
def test_what_looks_like_another_language_costs_nothing(text: str) -> None:
    began = time.process_time()
    with suppress(BadRequest):
        satisfies(KNEE, parse(text))
    assert (
        time.process_time() - began < 2.0
    )  # a fraction of a millisecond, on a machine that does nothing else


def test_numbers_at_the_edge_fit_as_they_should() -> None:
    assert satisfies({"EchoTime": (1.7e308,)}, parse("EchoTime=1e308.."))
    assert not satisfies({"EchoTime": (math.nan,)}, parse("EchoTime=..1e308"))
    assert not satisfies(KNEE, parse("EchoTime=80..20"))


def test_who_sees_labels_alone_asks_for_labels_alone() -> None:
    assert of_labels_alone(parse("region=knee")) == parse("region=knee")
    assert of_labels_alone(parse("modality=MR")) == Has(("modality",), (Is("mr", None),))
    for text in ("EchoTime=80", "region=knee EchoTime=80", "region=knee or not EchoTime=80"):
        assert of_labels_alone(parse(text)) is None
    assert of_labels_alone(parse("knee")) == parse("knee")  # among their labels


@given(st.text(alphabet='ab=!,.*"() or', max_size=30))
def test_any_text_is_a_query_or_a_sentence(text: str) -> None:
    try:
        query = parse(text)
    except BadRequest:
        return
    satisfies(KNEE, query)


_values = st.sampled_from(["knee", "hip", "Knee joint", "3", "20"])
_facts = st.fixed_dictionaries(
    {},
    optional={
        "region": st.lists(_values, min_size=1, max_size=2).map(tuple),
        "grade": st.lists(_values, min_size=1, max_size=1).map(tuple),
        "EchoTime": st.lists(st.sampled_from([3.0, 20.0, 20.5]), min_size=1, max_size=2).map(tuple),
        "StudyDate": st.sampled_from([("20200101",), ("20201231",)]),
    },
)
_conditions = st.sampled_from(
    [
        *("region=knee", "region=hip,3", "region=k*", "side=left", "grade=3..20", "grade=20", "EchoTime=20"),
        *("echotime=..20", "EchoTime=*", "StudyDate=2020-12", "knee", "joint"),
    ]
).map(parse)
_queries: st.SearchStrategy[Query] = st.recursive(
    _conditions,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Any(tuple(parts))),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(_facts, min_size=1, max_size=6),
    st.lists(_queries, min_size=1, max_size=5),
    st.one_of(st.none(), st.sets(st.integers(1, 6))),
)
def test_the_index_never_misses_a_file_that_fits(
    every: list[dict[str, Values]], queries: list[Query], among: set[int] | None
) -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(SpaceRow(id=1, kind="project", root=bytes(16), created_at_ms=0))
        for number, facts in enumerate(every, start=1):
            at = f"{number:03}"
            session.add(
                CatalogEntryRow(
                    id=number, space=1, key=at, patient="", study="", series="", date="", place=at, dated=at
                )
            )
            session.flush()
            add_terms(session, 1, [(number, facts)])
        for query in queries:
            fitting = {number for number, facts in enumerate(every, start=1) if satisfies(facts, query)}
            these = None if among is None else sorted(among)
            sql, values = statement(1, query, Order.PATIENT, None, 100, among=these)
            found = [row.id for row in rows_of_sql(session, sql, *values)]
            assert found == sorted(found)
            assert (fitting if among is None else fitting & among) <= set(found), query
            assert among is None or set(found) <= among
    engine.dispose()
