"""Where the built `mb-synclight` begins."""

import sys

from synclight.cli import main

sys.exit(main())
