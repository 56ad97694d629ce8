"""For authors of blocks: a new one to begin with, and one run without a server.

Owns: nothing but the way from the commands to the blocks.
May import: blocks.contract, blocks.runners.
"""

from blocks.contract.skeleton import write_skeleton
from blocks.runners.trying import Compared, Tried, try_block

__all__ = ["Compared", "Tried", "try_block", "write_skeleton"]
