"""People and what they belong to: users, workspaces, members, teams, contacts, keys."""
