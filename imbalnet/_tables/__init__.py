"""Reading of the tables, labels and weights that users pass, as matrices and `Rows`.

The estimator reads its data with this package; training and prediction receive the
result. No function takes the estimator. The estimator compares column names and width
of tables that `as_table` returned (scikit-learn's ``validate_data``, `check_names`).
"""

from imbalnet._tables.columns import Columns
from imbalnet._tables.features import Reading, as_table, matrix_blocks, table_reader
from imbalnet._tables.join import FurtherRules, apart, join, recoded
from imbalnet._tables.labels import all_classes, as_groups
from imbalnet._tables.large.read import read_large_rows, without_labels
from imbalnet._tables.large.shuffled import ShuffledMatrix
from imbalnet._tables.large.table import LargeTable, is_large, opened
from imbalnet._tables.levels import Levels
from imbalnet._tables.names import check_names, column_names
from imbalnet._tables.read import read_rows, read_validation_rows
from imbalnet._tables.readers import is_frame
from imbalnet._tables.rows import Rows, resampled_matrix
from imbalnet._tables.rules import ColumnRules

__all__ = [
    "ColumnRules",
    "Columns",
    "FurtherRules",
    "LargeTable",
    "Levels",
    "Reading",
    "Rows",
    "ShuffledMatrix",
    "all_classes",
    "apart",
    "as_groups",
    "as_table",
    "check_names",
    "column_names",
    "is_frame",
    "is_large",
    "join",
    "matrix_blocks",
    "opened",
    "read_large_rows",
    "read_rows",
    "read_validation_rows",
    "recoded",
    "resampled_matrix",
    "table_reader",
    "without_labels",
]
