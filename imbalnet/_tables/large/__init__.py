"""Tables that need not fit into memory, read block by block.

`LargeTable` reads a source in blocks of rows. `read_large_rows` brings those that
``fit`` trains on into a `ShuffledMatrix`, a temporary file, from which training takes
windows of rows.
"""
