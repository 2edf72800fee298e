"""The customer portal: submit a request, follow it, answer."""
