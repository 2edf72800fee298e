"""Console pages of the automation."""
