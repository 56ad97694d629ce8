"""Blocks for DICOM files.

Owns: everything that knows DICOM.  Loaded in worker processes only, never in the server.
May import: pydicom, msgspec, protocol, blocks.contract.
"""
