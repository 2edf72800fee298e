"""Pages of the automation in the console."""
