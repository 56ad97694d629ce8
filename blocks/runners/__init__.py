"""How blocks are run: in a warm worker process, in a sandbox, or in a container; never in the caller's process.

Owns: starting, limiting, killing and reporting; what a policy lets which block run in.
May import: the standard library, protocol, blocks.contract.
"""
