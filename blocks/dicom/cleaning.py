"""Makes one data set safe, in place: every attribute of every sequence at every depth.

Owns: carrying out decisions, on the bytes as they stand in the file; the look for identifiers in what is left.
May import: pydicom, blocks.dicom.

An element that stays as it is is never decoded: it is written as the bytes that were read.  What was decided by the
tag alone is looked at again by its value, and what does not look like its VR does not pass.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from blocks.dicom.annex_e import safe_private
from blocks.dicom.content import ContentItem
from blocks.dicom.dates import shift_date, shift_date_time
from blocks.dicom.decisions import (
    CHARACTER_SET,
    CONTENT_SEQUENCES,
    ENUMERATED,
    Act,
    Decision,
    Decisions,
    Place,
)
from blocks.dicom.elements import (
    NAME_TAGS,
    Charset,
    CutShort,
    encoded,
    is_sequence,
    items_of,
    own_charset,
    raw_bytes,
    raw_element,
    text_of,
)
from blocks.dicom.identifiers import DATE_TAGS, ID_TAGS, Identifiers, Needles, folded
from blocks.dicom.pseudonyms import Pseudonyms
from blocks.dicom.template import Do, Rule
from blocks.dicom.values import BINARY, NUMBERS_AS_TEXT, SIZES, TEXT, dummy, is_valid, padded
from blocks.dicom.words import only_known_words

MAX_DEPTH = 64
UNDEFINED = 0xFFFFFFFF
OLDEST_AGE_YEARS = 89
_AGE = re.compile(rb"(\d{3})Y")
_OFFSET = re.compile(rb"[+-](0\d|1[0-4])[0-5]\d ?")  # PS3.3 C.12.1.1.8
_CODE_KEYWORDS = {0x00080100: b"REMOVED", 0x00080102: b"99MB", 0x00080104: b"Removed"}
_MAIL = re.compile(r"[\w.+-]@[\w-]")
_KEPT = frozenset({Act.KEEP, Act.RECURSE})


class TooDeep(ValueError):
    """Sequences are nested deeper than any honest file nests them."""


@dataclass(slots=True)
class Patient:
    """What is put where this patient's name stood."""

    pseudonym: str
    days_back: int


@dataclass(slots=True)
class Text:
    """A text that stays, unless an identifier is found in it."""

    dataset: Dataset
    tag: BaseTag
    vr: str
    text: str
    path: tuple[int, ...]


def gather(dataset: Dataset, identifiers: Identifiers, charset: Charset, depth: int = 0) -> None:
    """All names, ids and dates of a data set, at every depth; also of private attributes."""
    if depth > MAX_DEPTH:
        raise TooDeep
    charset = own_charset(dataset, charset)
    for tag, element in dataset.items():
        number = int(tag)
        if isinstance(element, RawDataElement) and element.length not in {
            UNDEFINED,
            len(element.value or b""),
        }:
            raise CutShort
        if number in ID_TAGS:
            identifiers.add_id(text_of(element, charset))
        elif number in DATE_TAGS:
            identifiers.add_date(text_of(element, charset))
        elif element.VR == "PN" or number in NAME_TAGS:
            identifiers.add_name(text_of(element, charset))
        elif is_sequence(element, number):
            for item in items_of(dataset, tag):
                gather(item, identifiers, charset, depth + 1)


@dataclass(slots=True)
class Cleaner:
    """One file's cleaning.  `changes` counts what was done: (path, act, why) → how often."""

    decisions: Decisions
    pseudonyms: Pseudonyms
    patient: Patient
    needles: Needles
    sop_class: str
    changes: Counter[tuple[tuple[int, ...], str, str]] = field(default_factory=Counter)
    _texts: list[Text] = field(default_factory=list)

    def clean(self, dataset: Dataset, charset: Charset) -> None:
        place = self.decisions.at(self.sop_class, 0, dummy=False)
        self._clean(dataset, place, charset, (), item=None, dummy=False)
        self._search()

    def _clean(
        self,
        dataset: Dataset,
        place: Place,
        charset: Charset,
        path: tuple[int, ...],
        *,
        item: ContentItem | None,
        dummy: bool,
    ) -> None:
        if len(path) > MAX_DEPTH:
            raise TooDeep
        charset = own_charset(dataset, charset)
        private: list[BaseTag] = []
        for tag, element in list(dataset.items()):
            number = int(tag)
            if number & 0x10000:
                private.append(tag)
                continue
            decision = place[number]
            act = decision.act
            if act is Act.KEEP and decision.vr == element.VR:
                size = SIZES.get(decision.vr)
                if size is None or not element.is_raw or len(element.value or b"") % size == 0:
                    continue
            if number == CHARACTER_SET:
                continue
            vr = element.VR or decision.vr
            if vr != decision.vr and decision.vr:
                vr, act, decision = self._as_it_is_written(dataset, tag, vr, decision)
            self._do(dataset, tag, vr, act, decision, charset, (*path, number), item=item, dummy=dummy)
        if private:
            self._clean_private(dataset, private, charset, path)

    def _as_it_is_written(
        self, dataset: Dataset, tag: BaseTag, vr: str, decision: Decision
    ) -> tuple[str, Act, Decision]:
        """An element whose VR is not the dictionary's: UN is read as what it should be; else it must be of a kind."""
        if vr == "UN" and decision.act not in {Act.REMOVE, Act.EMPTY}:
            vr = dataset[tag].VR
            if vr != decision.vr and vr not in decision.other_vrs:
                return vr, Act.REMOVE, Decision(Act.REMOVE, "vr unknown", vr)
            return vr, decision.act, decision
        if decision.act in {Act.REMOVE, Act.EMPTY} or vr in decision.other_vrs:
            return vr, decision.act, decision
        alike = next((kind for kind in (TEXT, NUMBERS_AS_TEXT, BINARY) if vr in kind), frozenset())
        if decision.vr in alike and decision.act is not Act.RECURSE:
            act = Act.KEEP_TEXT if decision.act is Act.KEEP_CODE else decision.act
            return vr, act, decision
        return vr, Act.REMOVE, Decision(Act.REMOVE, "vr is not the attribute's", vr)

    def _do(
        self,
        dataset: Dataset,
        tag: BaseTag,
        vr: str,
        act: Act,
        decision: Decision,
        charset: Charset,
        path: tuple[int, ...],
        *,
        item: ContentItem | None,
        dummy: bool,
    ) -> None:
        match act:
            case Act.KEEP:
                size = SIZES.get(vr)
                if size and dataset.get_item(tag).is_raw and len(raw_bytes(dataset, tag)) % size:
                    self._remove(dataset, tag, path, "value is not of its VR")
                    return
                if vr not in BINARY:
                    self._remove(dataset, tag, path, "vr is not the attribute's")
            case Act.KEEP_NUMBER:
                if vr not in NUMBERS_AS_TEXT or not is_valid(vr, raw_bytes(dataset, tag)):
                    self._set(dataset, tag, vr, b"", path, "emptied", "value is not of its VR")
            case Act.KEEP_OFFSET:
                if not _OFFSET.fullmatch(raw_bytes(dataset, tag)):
                    self._remove(dataset, tag, path, "value is no offset from UTC")
            case Act.KEEP_TEXT if vr == "UI" and not is_valid(vr, raw_bytes(dataset, tag)):
                self._set(dataset, tag, vr, b"", path, "emptied", "value is not of its VR")
            case Act.KEEP_TEXT | Act.KEEP_CODE:
                text = text_of(dataset.get_item(tag), charset)
                if text and not (act is Act.KEEP_CODE and text in ENUMERATED.get(int(tag), ())):
                    coded = vr if act is Act.KEEP_TEXT else "CS"
                    self._texts.append(Text(dataset, tag, coded, folded(text), path))
            case Act.REMOVE:
                self._remove(dataset, tag, path, decision.why)
            case Act.EMPTY:
                self._empty(dataset, tag, vr, path, decision.why)
            case Act.DUMMY:
                self._put_dummy(dataset, tag, vr, path, decision.why)
            case Act.UID:
                self._new_uids(dataset, tag, vr, path, decision.why)
            case Act.SHIFT:
                self._shift(dataset, tag, vr, path, decision.why)
            case Act.WORDS:
                kept = only_known_words(text_of(dataset.get_item(tag), charset))
                if vr == "CS":
                    kept = kept.upper()
                self._set(dataset, tag, vr, encoded(kept, charset), path, "cleaned", decision.why)
                if kept:
                    self._texts.append(Text(dataset, tag, vr, folded(kept), path))
            case Act.AGE:
                self._age(dataset, tag, vr, path, decision.why)
            case Act.RECURSE | Act.RECURSE_DUMMY:
                self._recurse(dataset, tag, charset, path, dummy=dummy or act is Act.RECURSE_DUMMY)
            case Act.CONTENT_VALUE:
                self._content_value(dataset, tag, vr, charset, path, item)
            case Act.PATIENT_NAME | Act.PATIENT_ID:
                value = self.patient.pseudonym.encode()
                self._set(dataset, tag, vr, value, path, "pseudonym", decision.why)
            case Act.TEMPLATE:
                assert decision.rule is not None
                self._by_rule(dataset, tag, vr, decision.rule, charset, path)

    def _recurse(
        self, dataset: Dataset, tag: BaseTag, charset: Charset, path: tuple[int, ...], *, dummy: bool
    ) -> None:
        items = items_of(dataset, tag)
        number = int(tag)
        place = self.decisions.at(self.sop_class, number, dummy=dummy)
        judged = number in CONTENT_SEQUENCES and "structured-content" in self.decisions.options
        gone = []
        for index, below in enumerate(items):
            item = ContentItem.of(below, self.decisions.options) if judged else None
            if item is not None and item.goes:
                gone.append(index)
                continue
            self._clean(below, place, charset, path, item=item, dummy=dummy)
        for index in reversed(gone):
            del items[index]
            self.changes[path, "removed", "annex-e concept"] += 1
        if dummy:
            self.changes[path, "dummy", "annex-e D"] += 1

    def _content_value(
        self,
        dataset: Dataset,
        tag: BaseTag,
        vr: str,
        charset: Charset,
        path: tuple[int, ...],
        item: ContentItem | None,
    ) -> None:
        why = "annex-e concept"
        item = item or ContentItem()
        number = vr in NUMBERS_AS_TEXT
        if number and (item.stays or item.dates_stay or (item.dates_move and vr == "TM")):
            if not is_valid(vr, raw_bytes(dataset, tag)):
                self._put_dummy(dataset, tag, vr, path, why)
            return
        if item.stays and vr in TEXT and vr != "PN":
            self._texts.append(Text(dataset, tag, vr, folded(text_of(dataset.get_item(tag), charset)), path))
            return
        if vr == "UI":
            self._new_uids(dataset, tag, vr, path, why)
        elif vr in {"DA", "DT"} and item.dates_move:
            self._shift(dataset, tag, vr, path, why)
        elif vr in {"UT", "ST", "LT"} and item.words_stay:
            kept = only_known_words(text_of(dataset.get_item(tag), charset)) or "REMOVED"
            self._set(dataset, tag, vr, encoded(kept, charset), path, "cleaned", why)
            self._texts.append(Text(dataset, tag, vr, folded(kept), path))
        else:
            self._put_dummy(dataset, tag, vr, path, why)

    def _clean_private(
        self, dataset: Dataset, tags: list[BaseTag], charset: Charset, path: tuple[int, ...]
    ) -> None:
        """All gone, but for known-safe numbers where the template asks for them, and the names of their blocks."""
        keep: set[int] = set()
        if "safe-private" in self.decisions.options:
            for tag in tags:
                creator_tag = self._safe_creator(dataset, tag, charset)
                if creator_tag is not None:
                    keep |= {int(tag), creator_tag}
        for tag in tags:
            if int(tag) not in keep:
                self._remove(dataset, tag, (*path, int(tag)), "private")

    def _safe_creator(self, dataset: Dataset, tag: BaseTag, charset: Charset) -> int | None:
        """The tag of the creator's name, if this private element is one of the known-safe ones and looks like it."""
        number = int(tag)
        block = number >> 8 & 0xFF
        if block < 0x10:
            return None
        creator_tag = number & 0xFFFF0000 | block
        creator = dataset.get_item(creator_tag) if creator_tag in dataset else None
        if creator is None:
            return None
        known = safe_private().get((number >> 16, text_of(creator, charset).strip(), number & 0xFF))
        element = dataset.get_item(tag)
        if known is None or element.VR not in {known, None, "UN"} or not element.is_raw:
            return None
        value = element.value or b""
        fits: bool
        if known in SIZES:
            fits = len(value) % SIZES[known] == 0 and len(value) <= 4_096
        elif known in NUMBERS_AS_TEXT:
            fits = is_valid(known, value) and len(value) <= 4_096
        else:  # a short code: a ratio such as "0.562:1", a word of the vendor's
            fits = re.fullmatch(rb"[0-9.:/ \0]{0,16}|[A-Z]{0,4}[ \0]?", value) is not None
        return creator_tag if fits else None

    def _remove(self, dataset: Dataset, tag: BaseTag, path: tuple[int, ...], why: str) -> None:
        del dataset[tag]
        self.changes[path, "removed", why] += 1

    def _empty(self, dataset: Dataset, tag: BaseTag, vr: str, path: tuple[int, ...], why: str) -> None:
        if vr == "SQ":
            dataset[tag] = DataElement(tag, "SQ", [])
            self.changes[path, "emptied", why] += 1
        else:
            self._set(dataset, tag, vr, b"", path, "emptied", why)

    def _put_dummy(self, dataset: Dataset, tag: BaseTag, vr: str, path: tuple[int, ...], why: str) -> None:
        value = _CODE_KEYWORDS.get(int(tag)) or dummy(vr)
        if value is None:
            self._remove(dataset, tag, path, why)
        else:
            self._set(dataset, tag, vr, value, path, "dummy", why)

    def _new_uids(self, dataset: Dataset, tag: BaseTag, vr: str, path: tuple[int, ...], why: str) -> None:
        if vr != "UI":
            self._remove(dataset, tag, path, "vr is not the attribute's")
            return
        old = raw_bytes(dataset, tag).decode("latin-1").split("\\")
        new = [self.pseudonyms.uid(uid) if (uid := part.strip(" \0")) else "" for part in old]
        self._set(dataset, tag, vr, "\\".join(new).encode(), path, "new uid", why)

    def _shift(self, dataset: Dataset, tag: BaseTag, vr: str, path: tuple[int, ...], why: str) -> None:
        shift = {"DA": shift_date, "DT": shift_date_time}.get(vr)
        try:
            if shift is None:
                raise ValueError
            parts = raw_bytes(dataset, tag).decode("ascii").split("\\")
            moved = "\\".join(shift(part.strip(" \0"), days=self.patient.days_back) for part in parts)
        except ValueError:
            self._set(dataset, tag, vr, b"", path, "emptied", "no date")
            return
        self._set(dataset, tag, vr, moved.encode(), path, "shifted", why)

    def _age(self, dataset: Dataset, tag: BaseTag, vr: str, path: tuple[int, ...], why: str) -> None:
        value = raw_bytes(dataset, tag)
        if vr != "AS" or not is_valid(vr, value):
            self._set(dataset, tag, vr, b"", path, "emptied", "value is not of its VR")
            return
        found = _AGE.match(value)
        if found is not None and int(found[1]) > OLDEST_AGE_YEARS:
            self._set(dataset, tag, vr, b"090Y", path, "made coarse", why)

    def _by_rule(
        self, dataset: Dataset, tag: BaseTag, vr: str, rule: Rule, charset: Charset, path: tuple[int, ...]
    ) -> None:
        why = f"template {rule.do.value}"
        text = text_of(dataset.get_item(tag), charset)
        if rule.do is Do.REPLACE:
            value = rule.value.encode()
        elif rule.do is Do.REGEX:
            value = encoded(re.sub(rule.pattern, rule.value, text), charset)
        elif vr == "UI":
            self._new_uids(dataset, tag, vr, path, why)
            return
        else:
            value = self.pseudonyms.word(text.strip(), length=12).encode() if text.strip() else b""
        if vr in NUMBERS_AS_TEXT and not is_valid(vr, value):
            value = b""
        if vr not in TEXT and vr not in NUMBERS_AS_TEXT and vr != "UI":
            self._remove(dataset, tag, path, why)
            return
        self._set(dataset, tag, vr, value, path, "replaced", why)
        if rule.do is Do.REGEX and value:
            self._texts.append(Text(dataset, tag, vr, folded(value.decode("utf-8", "replace")), path))

    def _set(
        self, dataset: Dataset, tag: BaseTag, vr: str, value: bytes, path: tuple[int, ...], act: str, why: str
    ) -> None:
        dataset[tag] = raw_element(dataset, tag, vr, padded(vr, value))
        self.changes[path, act, why] += 1

    def _search(self) -> None:
        """One look through all texts that stay; only where something is found, a look at each."""
        texts = self._texts
        joined = "\0".join([text.text for text in texts])
        if "@" not in joined and not self.needles.in_text(joined):
            return
        for text in texts:
            if text.vr == "CS":
                hit = self.needles.in_code(text.text)
            else:
                mail = text.vr != "UI" and _MAIL.search(text.text) is not None
                hit = self.needles.in_text(text.text) or mail
            if hit:
                self._clear(text)

    def _clear(self, text: Text) -> None:
        """An identifier stood in it: nothing of it stays, whatever else it said."""
        tag = text.tag
        if tag not in text.dataset:
            return
        vr = text.dataset.get_item(tag).VR or text.vr
        value = b"" if vr == "UI" else _CODE_KEYWORDS.get(int(tag), b"REMOVED" if len(text.path) > 1 else b"")
        self._set(text.dataset, tag, vr, value, text.path, "cleared", "identifier found in text")
