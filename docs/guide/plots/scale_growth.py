"""Time and memory of a fit by rows, columns, classes and members."""

import sys
from pathlib import Path

import pandas as pd

# Sphinx runs this without __file__, and puts this folder first on the path, where the
# module of the same name is this script.
guide = Path(sys.argv[0]).resolve().parents[1]
sys.path.insert(0, str(guide.parents[1] / "examples" / "benchmarks"))

from scale_growth import draw  # noqa: E402

figure = draw(pd.read_csv(guide / "results" / "scale_growth.csv"))
