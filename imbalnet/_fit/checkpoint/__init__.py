"""Checkpoints: an unfinished fit on disk, from which a killed fit is resumed.

`saver` writes and resumes a fit, `state` packs the state of a net, `identity` compares
the fit of a file with the present one, and `files` reads and writes the file.
"""
