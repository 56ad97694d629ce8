"""What is told of any volume, whatever its format: its size, and the risks that no header tells of.

Owns: labels of volumes; who might be recognised in one.
May import: the standard library, blocks.contract, blocks.dicom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from blocks.contract.result import Label, Reason
from blocks.dicom.template import Faces, Template

PICTURE = Reason(
    code="burned-in-risk", text="It is a picture rather than a volume: a name may stand in the picture."
)
_SHORTEST_MM, _COARSEST_MM = 60.0, 6.0  # of a volume in which a face could be seen


def may_show_a_face(shape: Sequence[int], spacing_mm: Sequence[float]) -> bool:
    """Whether a surface of its size and fineness could be a face; of what body part it is no header tells."""
    sides = list(zip(shape[:3], spacing_mm[:3], strict=False))
    return len(sides) == 3 and all(
        count * step >= _SHORTEST_MM and step <= _COARSEST_MM for count, step in sides
    )


def face_risk(template: Template, shape: Sequence[int], spacing_mm: Sequence[float]) -> list[Reason]:
    """Why a person must look first, where the project wants that."""
    if template.faces is not Faces.HOLD or not may_show_a_face(shape, spacing_mm):
        return []
    text = "A face could be made from a volume of this size; whether it shows a head, and was defaced, is not known."
    return [Reason(code="face-risk", text=text)]


def volume_labels(shape: Sequence[int], spacing_mm: Sequence[float], *, rule: str) -> list[Label]:
    told = [
        ("dimensions", " x ".join(str(length) for length in shape)),
        ("voxel-size-mm", " x ".join(f"{step:.4g}" for step in spacing_mm)),
        ("volumes", str(math.prod(shape[3:]))),
    ]
    if may_show_a_face(shape, spacing_mm):
        told.append(("face", "not looked for"))
    return [Label(name=name, value=value, rule=rule) for name, value in told if value]
