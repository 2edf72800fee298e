"""The REST API of the automation."""
