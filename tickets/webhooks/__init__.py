"""Webhooks: what happens on tickets is told to other programs, signed, in order of time, and again until it arrives."""
