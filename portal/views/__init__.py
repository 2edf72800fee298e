"""The pages of the portal, and those about it in the console."""
