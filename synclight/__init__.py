"""Will own MB-SyncLight: one shared folder, read only, for somebody with a sync code and no account."""
