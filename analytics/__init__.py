"""Reports: the top floor, which may know every other app."""
