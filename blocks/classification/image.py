"""All labels of one DICOM object, from its facts.

Owns: the order of the rules.
May import: the standard library, blocks.classification.
"""

from __future__ import annotations

from dataclasses import replace

from blocks.classification.anatomy import anatomy, region
from blocks.classification.clues import Finding
from blocks.classification.facts import Facts
from blocks.classification.geometry import counts, derived, dimension, plane
from blocks.classification.modality import modality
from blocks.classification.technique import contrast, fat_saturation, sequence


def labels_of(facts: Facts) -> list[Finding]:
    """Pure: the same facts, the same labels."""
    found = modality(facts)
    known = replace(facts, modality=found[0].value if found else "")
    regions = region(known)
    where = regions[0] if regions else None
    technique = sequence(known, where=where)
    value = technique[0].value if technique else ""
    found += technique
    found += regions
    found += anatomy(known, where=where, sequence=value)
    found += contrast(known)
    found += fat_saturation(known, value)
    found += plane(known)
    found += dimension(known)
    found += derived(known)
    found += counts(known)
    return found
