"""What the columns of a table hold: numbers, or categories as codes."""

from imbalnet._tables.columns import ColumnRules, Columns, listed
from imbalnet._tables.readers import (
    ArrayReader,
    Reader,
    is_frame,
    is_plain,
    reader_of,
    reject_times,
)

__all__ = [
    "ArrayReader",
    "ColumnRules",
    "Columns",
    "Reader",
    "is_frame",
    "is_plain",
    "listed",
    "reader_of",
    "reject_times",
]
