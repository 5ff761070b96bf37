"""One training run: a module for each step, which take values and give values."""
