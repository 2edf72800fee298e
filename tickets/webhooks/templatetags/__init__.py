"""Tags of the pages of webhooks."""
