"""Pages of the service levels."""
