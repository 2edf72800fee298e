"""From the bytes of a message to what it says. Pure: no Django, no database."""
