"""What the helpdesk does to tickets. Every door (page, API, task, command) comes through here.

Each function is one transaction: it locks the ticket, changes it, records the activity, and
leaves what follows to the subscribers. `now` is passed in (aware UTC).
"""
