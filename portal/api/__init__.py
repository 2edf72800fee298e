"""The public API: what a customer, or a site or bot acting for one, does without an account."""
