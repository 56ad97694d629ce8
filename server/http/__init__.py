"""The interface of the server: thin resources, one module each, and what they share."""
