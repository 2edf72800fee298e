"""Service levels: how soon a ticket must be answered and resolved."""
