"""Forms of the settings of mail."""
