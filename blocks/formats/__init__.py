"""Cleaners of files that are no DICOM, and the one block that takes every format that we can make safe.

Owns: EDF and BDF, NIfTI, MetaImage, sidecars; the choice of a cleaner by the kind of a file.
May import: the standard library, msgspec, protocol, blocks.contract, blocks.dicom.
"""
