"""Tables that need not fit into memory, read block by block.

`LargeTable` reads a source in blocks of rows. `read_large_rows` writes the training
rows to a `ShuffledMatrix`, a temporary file, from which training reads windows of rows.
"""
