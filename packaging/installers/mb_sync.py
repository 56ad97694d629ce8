"""Where the built `mb-sync` begins."""

import sys

from sync_client.cli import main

sys.exit(main())
