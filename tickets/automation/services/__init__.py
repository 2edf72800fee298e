"""What is done with rules: facts, actions, choosing an agent, running, setting up."""
