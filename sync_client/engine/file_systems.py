"""On which kind of file system a folder lies, and whether other computers may change it there.

Owns: the kinds that lie on a network, the kernel's table of mounts.
May import: the standard library.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

# Where another computer may change files without this system's word for it, by the kernel's names.
NETWORK_KINDS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "9p", "ceph", "lustre", "gpfs", "beegfs"),
        *("orangefs", "pvfs2", "glusterfs", "coda", "virtiofs", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph"),
        *("fuse.rclone", "fuse.davfs", "fuse.beegfs", "davfs", "panfs", "wekafs", "quobyte"),
    }
)


def lies_on_a_network(path: Path) -> bool:
    """As far as this system tells."""
    return kind_of(path) in NETWORK_KINDS


def kind_of(path: Path) -> str:
    """Of the file system that it lies on, as the kernel names it; "" where that is not told."""
    try:
        table = Path("/proc/self/mountinfo").read_bytes().decode("latin-1")
    except OSError:
        return ""
    return mounted_kind(table, os.fsencode(os.path.realpath(path)).decode("latin-1"))


def mounted_kind(mountinfo: str, path: str) -> str:
    """The kind of file system that `path` lies on, from the text of /proc/self/mountinfo; "": it does not say.

    Both with each byte as one sign (latin-1); path: whole, with all links followed.  Of several mounts on one place
    the last one counts.  Source: proc(5), /proc/pid/mountinfo; a space in a path stands there as \\040.
    """
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = fields[4].encode("latin-1").decode("unicode_escape")
        if PurePosixPath(path).is_relative_to(point) and len(point) >= best:
            best, kind = len(point), after.split(" ")[0]
    return kind
