"""Rules: when something happens to a ticket, if it meets the conditions, then do."""
