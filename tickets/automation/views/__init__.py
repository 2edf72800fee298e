"""Pages of the automation."""
