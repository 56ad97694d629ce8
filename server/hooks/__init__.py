"""What the server does with blocks.

Owns: for now, what a block's author needs; rules and jobs come here.
May import: protocol, blocks.contract, blocks.runners, and the rooms of the server below.
"""
