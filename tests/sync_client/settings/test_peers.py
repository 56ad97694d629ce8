"""Whose connection it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sync_client.settings.peers import is_of_this_user, user_of

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1267 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1061 1 0 100 0 0 10 0
   1: 0100007F:D8B4 0100007F:1267 01 00000000:00000000 03:00001504 00000000  1000        0 77 3 0
   2: 0100007F:1267 0100007F:D8B4 01 00000000:00000000 03:00001504 00000000  1001        0 78 3 0
"""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@linux_only
def test_the_user_of_the_other_end_is_read_from_the_systems_table() -> None:
    here, there = ("127.0.0.1", 0x1267), ("127.0.0.1", 0xD8B4)
    assert user_of(TABLE, there, here) == 1000
    assert user_of(TABLE, here, there) == 1001
    assert user_of(TABLE, ("127.0.0.1", 1), here) is None


@linux_only
def test_a_connection_of_our_own_is_ours_and_one_of_somebody_else_is_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as other:
            accepted, peer = listener.accept()
            with accepted:
                assert is_of_this_user(accepted.getsockname(), peer)
            del other
        if os.getuid() != 0:
            return  # only the administrator can play somebody else
        script = f"import socket; s = socket.create_connection(('127.0.0.1', {port})); s.recv(1)"
        stranger = subprocess.Popen(
            ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-S", "-c", script], cwd="/"
        )
        accepted, peer = listener.accept()
        with accepted:
            assert not is_of_this_user(accepted.getsockname(), peer)
        stranger.wait(60)
