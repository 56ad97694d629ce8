"""What an operator types, one module for each part of it: `mb-server COMMAND`."""
