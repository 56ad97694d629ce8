"""`python -m synclight`: how the program replaces itself and is started at login.  May import: synclight.cli."""

import sys

from synclight.cli import main

if __name__ == "__main__":
    sys.exit(main())
