"""What every endpoint of the REST API stands on."""
