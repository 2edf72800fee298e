"""The REST API of the reports."""
