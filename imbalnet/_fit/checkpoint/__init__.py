"""An unfinished fit on disk, so that a fit that was killed goes on where it was.

`saver` decides when a fit is written and how it goes on, `state` what of a net is
written, `identity` which fit a file belongs to, and `files` how it is written.
"""
