"""The contract of a block: what it is told (`job.json`), what it answers (`result.json`), what it may leave in `out/`.

Owns: the manifest, both messages, their bounds, the check of a block's output, and the sniffing of types.
May import: msgspec, protocol.  Nothing here opens a file of a format that a stranger wrote.
"""
