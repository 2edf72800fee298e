"""The REST API of the tickets."""
