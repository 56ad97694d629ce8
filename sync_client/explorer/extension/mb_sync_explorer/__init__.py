"""MB-Sync in the file explorer: what is copied beside the explorer's extension, and runs in the system's Python.

May import: the standard library alone, of Python 3.9 and later, and (in the windows) the desktop's own toolkit.
"""
