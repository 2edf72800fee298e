"""The forms of the portal."""
