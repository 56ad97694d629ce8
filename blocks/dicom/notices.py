"""Documents inside DICOM objects, replaced by a page that says so.

Owns: which objects hold a document that can be replaced, the two notices (PDF, CDA), how the object is marked.
May import: pydicom, blocks.dicom.

Nothing can clean a stranger's PDF: text stands in fonts, pictures, forms and attachments.  So nothing of it stays.
Source: PS3.3 A.45 (encapsulated documents), ISO 32000-1 (PDF), HL7 CDA R2.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from blocks.dicom.pseudonyms import Pseudonyms

PDF, CDA = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.2"
WORDS = "Removed by de-identification"
DOCUMENT = 0x00420011
_INSTANCE = 0x0040E001  # of the CDA document, in HL7's own way
_LENGTH = 0x00420015


def can_replace(dataset: Dataset, sop_class: str) -> bool:
    return sop_class in {PDF, CDA} and DOCUMENT in dataset


def take_out(dataset: Dataset) -> None:
    """Before anything is looked at: what stands in the document is nobody's business."""
    for tag in (DOCUMENT, _LENGTH):
        if tag in dataset:
            del dataset[tag]


def put_in(dataset: Dataset, sop_class: str, pseudonyms: Pseudonyms) -> None:
    """The notice, with everything that must fit to it; the object was cleaned before."""
    notice, kind = (pdf_notice(), "application/pdf") if sop_class == PDF else (cda_notice(), "text/XML")
    dataset.add_new(DOCUMENT, "OB", notice + b"\0" * (len(notice) % 2))
    dataset.add_new(_LENGTH, "UL", len(notice))
    dataset.add_new(0x00420012, "LO", kind)
    dataset.add_new(0x00420010, "ST", WORDS)  # its title
    dataset.add_new(0x00280301, "CS", "NO")
    if 0x00420014 in dataset:  # the kinds of what was inside
        del dataset[0x00420014]
    if sop_class == CDA:
        dataset.add_new(_INSTANCE, "ST", pseudonyms.uid(str(dataset.get("SOPInstanceUID") or "")))
    elif _INSTANCE in dataset:
        del dataset[_INSTANCE]


def pdf_notice() -> bytes:
    """One page of PDF 1.4 with the words, and nothing else: no date, no producer, no metadata."""
    text = f"BT /F1 18 Tf 72 720 Td ({WORDS}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return data + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, len(data))
    )


def cda_notice() -> bytes:
    """A document of HL7 CDA R2 in which everybody is unknown."""
    nobody = '<id nullFlavor="MSK"/>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3">'
        '<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><id nullFlavor="MSK"/>'
        f'<code nullFlavor="MSK"/><title>{WORDS}</title><effectiveTime nullFlavor="MSK"/>'
        '<confidentialityCode nullFlavor="MSK"/>'
        f"<recordTarget><patientRole>{nobody}</patientRole></recordTarget>"
        f'<author><time nullFlavor="MSK"/><assignedAuthor>{nobody}</assignedAuthor></author>'
        f"<custodian><assignedCustodian><representedCustodianOrganization>{nobody}"
        "</representedCustodianOrganization></assignedCustodian></custodian>"
        f"<component><nonXMLBody><text>{WORDS}</text></nonXMLBody></component></ClinicalDocument>\n"
    ).encode()
