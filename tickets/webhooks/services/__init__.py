"""What webhooks do."""
