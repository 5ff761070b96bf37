"""One training run: a module for each step, whose functions take and return values."""
