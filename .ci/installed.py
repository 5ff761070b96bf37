"""Check an installed imbalnet in an environment without optional dependencies.

Run it outside the repository. It imports every module, fits a classifier, and checks
the errors of functions that need an extra.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import files, metadata, version
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification

import imbalnet
from imbalnet.plots import ReportDisplay

EXTRAS = ["matplotlib", "onnx", "onnxscript", "pandas", "pyarrow", "skl2onnx", "tabm"]


def main() -> None:
    """Raise if files or modules are missing, or should not be there."""
    place = Path(imbalnet.__file__).parent
    assert "site-packages" in place.parts, place
    for info in pkgutil.walk_packages(imbalnet.__path__, "imbalnet."):
        importlib.import_module(info.name)
    found = [name for name in EXTRAS if name in sys.modules]
    assert not found, f"imported without need: {found}"
    names = [str(path) for path in files("imbalnet") or ()]
    assert "imbalnet/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    others = {name.split("/")[0] for name in names} - {"imbalnet"}
    assert all(name.endswith(".dist-info") for name in others), others
    check_description()
    check_fit()
    print(f"imbalnet {version('imbalnet')} in {place}: {len(names)} files")


def check_description() -> None:
    """Raise if the description has relative links, which are dead on PyPI."""
    text = metadata("imbalnet")["Description"]
    links = re.findall(r'(?:\]\(|src="|href=")([^)"\s]+)', text)
    assert links, "no description"
    relative = [link for link in links if not link.startswith("https://")]
    assert not relative, relative


def check_fit() -> None:
    """Fit, predict, and call functions that need extras."""
    X, y = make_classification(400, weights=[0.9], random_state=0)
    model = imbalnet.BalancedNeuralClassifier(max_epochs=2, random_state=0).fit(X, y)
    assert np.allclose(model.predict_proba(X).sum(axis=1), 1)
    print(model.report_)
    for call, cure in (
        (model.to_onnx, "imbalnet[onnx]"),
        (imbalnet.check_table(X).to_frame, "imbalnet[tables]"),
        (partial(ReportDisplay.from_out_of_fold, model), "imbalnet[plots]"),
        (model.set_params(preset="best").fit, "imbalnet[best]"),
    ):
        check_cure(call, (X, y) if call == model.fit else (), cure)


def check_cure(call: Callable[..., object], arguments: tuple, cure: str) -> None:
    """Raise if the error of a call does not name the extra to install."""
    message = ""
    try:
        call(*arguments)
    except ImportError as error:
        message = str(error)
    if f"pip install {cure}" not in message:
        raise AssertionError(f"{call} without {cure}: {message or 'works'}")


if __name__ == "__main__":
    main()
