"""Classification: labels for files, read from their headers.

Owns: the block `classify`; facts read from a header, rules over them, the vocabulary of labels, the lexicon of words.
May import: pydicom (reading only), msgspec, protocol, blocks.contract, blocks.dicom, blocks.formats.
"""
