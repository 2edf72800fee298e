"""Tickets: the conversation between a customer and the agents, and everything done to it."""
