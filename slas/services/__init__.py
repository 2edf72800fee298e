"""What is done with service levels: rules, clocks, the sweep, settings, and work in the background."""
