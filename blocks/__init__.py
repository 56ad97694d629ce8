"""Will own blocks: the contract of the programs that run on new files, what runs them, and our own ones."""
