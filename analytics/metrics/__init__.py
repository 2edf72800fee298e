"""What the reports count, one module for each. Reads only; every figure is exact."""
