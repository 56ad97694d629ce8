"""`python -m sync_client`: how the background process is started.  May import: sync_client.cli."""

import sys

from sync_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
