"""Pictures made of DICOM: volumes of a series, previews of an image.

Owns: the geometry of slices, and what is made of them.
May import: the standard library, numpy, pydicom, msgspec, protocol, blocks.contract, blocks.dicom, blocks.formats.

Needs the extra `imaging`.  What it works on was de-identified before; what it writes says nothing that the files did
not.
"""
