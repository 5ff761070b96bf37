"""The estimator's methods for export to torch and ONNX."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from imbalnet._calibration import Calibration
from imbalnet._checks import check_known
from imbalnet._packages import require
from imbalnet._runtime import in_usual_state
from imbalnet._tables import Columns, matrix_blocks
from imbalnet.export.onnx_graph import (
    TrainedClassifier,
    columns_to_onnx,
    matrix_to_onnx,
)
from imbalnet.export.probability_module import Decision, ProbabilityModule
from imbalnet.posterior import resolve_costs
from imbalnet.posterior.prior import log_ratio

CategoryInput = Literal["values", "codes"]


class ExportMixin:
    """Methods that export a fitted classifier to torch and ONNX.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import make_classification
    >>> from imbalnet import BalancedNeuralClassifier
    >>> X, y = make_classification(300, weights=[0.9], random_state=0)
    >>> clf = BalancedNeuralClassifier("linear", random_state=0).fit(X, y)
    >>> module = clf.to_torch()
    >>> module(torch.from_numpy(X[:5])).shape
    torch.Size([5, 2])
    >>> proto = clf.to_onnx("model.onnx")  # doctest: +SKIP
    """

    calibration_: Calibration
    classes_: NDArray
    class_prior_: NDArray
    cost_matrix: Any
    n_features_in_: int
    net_: Any
    target_prior: Any
    threshold: Any
    _column_names: list[Any] | None
    _columns: Columns

    def to_torch(self) -> ProbabilityModule:
        """Return a torch module from raw features to class probabilities.

        The module can be passed to torch.export, Captum and SHAP, and be differentiated
        with respect to its input, see :doc:`/guide/export`.

        Returns
        -------
        ProbabilityModule
            Copies of the network and of the formula from logits to probabilities under
            `target_prior`, in evaluation mode and on the CPU. Its input has codes in
            place of categories.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import make_classification
        >>> from imbalnet import BalancedNeuralClassifier
        >>> X, y = make_classification(300, weights=[0.9], random_state=0)
        >>> clf = BalancedNeuralClassifier("linear", random_state=0).fit(X, y)
        >>> rows = torch.from_numpy(X[:5]).requires_grad_()
        >>> clf.to_torch()(rows)[:, 1].sum().backward()
        >>> rows.grad.shape  # effect of each value on the probability of its row
        torch.Size([5, 20])
        """
        check_is_fitted(self)
        return ProbabilityModule(
            self.net_.module_,
            self.net_.criterion_,
            self.calibration_,
            self._resolved(self.target_prior),  # type: ignore[attr-defined]
            self._columns,
            self.n_features_in_,
            self.net_.dtype,
        )

    @in_usual_state
    def to_tensor(self, X: Any) -> torch.Tensor:
        """Convert rows to the input of the module that ``to_torch()`` returns.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
            Rows with the columns of ``fit``.

        Returns
        -------
        torch.Tensor of float64, shape (n_rows, n_features)
            Numbers unchanged, with NaN for gaps, and the codes of categories (see
            ``categories`` of :class:`imbalnet.export.ProbabilityModule`).

        Raises
        ------
        ValueError
            If ``predict`` would raise for these rows, too.

        Examples
        --------
        >>> import pandas as pd
        >>> from imbalnet import BalancedNeuralClassifier
        >>> X = pd.DataFrame({"size": [1.0, 2.0, 8.0] * 20, "colour": list("rgb") * 20})
        >>> clf = BalancedNeuralClassifier("mlp", max_epochs=1).fit(X, X["size"] > 2)
        >>> clf.to_tensor(X[:3])
        tensor([[1., 2.],
                [2., 1.],
                [8., 0.]], dtype=torch.float64)
        """
        check_is_fitted(self)
        unshifted = replace(self._columns, shifts={})  # the module applies the shifts
        reading = self._reading(unshifted, np.float64)  # type: ignore[attr-defined]
        X = self._table(X, reading, reset=False)  # type: ignore[attr-defined]
        blocks = [
            block.toarray() if sparse.issparse(block) else block
            for block in matrix_blocks(X, reading)
        ]
        return torch.from_numpy(np.concatenate(blocks))

    def to_onnx(
        self, path: str | Path | None = None, *, categories: CategoryInput = "values"
    ) -> Any:
        """Convert the classifier to ONNX, from raw features to labels.

        The graph computes the same as ``predict`` and ``predict_proba``, see
        :doc:`/guide/export`: under `target_prior`, with `threshold` or `cost_matrix`,
        and with neighbours if the fit uses them.

        Parameters
        ----------
        path : str, Path or None, default=None
            File to write; None means that no file is written.
        categories : {"values", "codes"}, default="values"
            Whether the graph expects the values of categories, as in ``fit`` (each
            column of the table is then a separate input), or their codes, in a matrix
            with the other columns (see :class:`imbalnet.export.ProbabilityModule`).
            Without such columns the input is a matrix.

        Returns
        -------
        onnx.ModelProto
            Its inputs are the matrix "X" of shape (batch, n_features), or one of shape
            (batch, 1) for each column, by name. Its outputs are "label", of shape
            (batch,), and "probabilities", of shape (batch, n_classes).

        Raises
        ------
        ImportError
            If onnx or onnxscript is missing: ``pip install imbalnet[onnx]``.
        ValueError
            If `path` is not a file in an existing folder, if `categories` is unknown,
            if a column holds categories that ONNX has no tensors for, or if it has the
            name of an output.

        Examples
        --------
        >>> import onnxruntime  # doctest: +SKIP
        >>> graph = clf.to_onnx("model.onnx")  # doctest: +SKIP
        >>> session = onnxruntime.InferenceSession("model.onnx")  # doctest: +SKIP
        >>> labels, probabilities = session.run(None, {"X": X})  # doctest: +SKIP
        """
        file = None if path is None else _checked_file(path)
        check_known("categories", categories, get_args(CategoryInput))
        check_is_fitted(self)
        onnx = require("onnx", "onnxscript", use="ONNX", cure="imbalnet[onnx]")
        model = self._trained_classifier()
        if categories == "values" and self._columns.levels:
            proto = columns_to_onnx(model)
        else:
            proto = matrix_to_onnx(model, model.dtype)
        if file is not None:
            _save(onnx, proto, file)
        return proto

    def _trained_classifier(self) -> TrainedClassifier:
        """Return the values from which an ONNX graph is built."""
        names = [str(name) for name in self._column_names or ()]
        if len(set(names)) != self.n_features_in_:
            names = [f"x{i}" for i in range(self.n_features_in_)]
        decision = self._decision()
        return TrainedClassifier(
            self.to_torch(), decision, self.classes_, self._columns, names
        )

    def _decision(self) -> Decision:
        """Return the rule by which ``predict`` chooses a class."""
        if self.threshold is not None:
            return Decision(self.threshold_)  # type: ignore[attr-defined]
        if self.cost_matrix is None:
            return Decision()
        costs = resolve_costs(self.cost_matrix, self.classes_)
        to_costs = np.zeros(len(self.classes_))
        if self.target_prior is None:  # expected costs are under the data's prior
            effective = self.calibration_.effective_prior
            to_costs = log_ratio(effective, self.class_prior_)
        return Decision(costs=costs, to_costs=to_costs)


def _checked_file(path: Any) -> Path:
    """Return the path of a file that can be written, or raise."""
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path={path!r} must be a str or a pathlib.Path.")
    file = Path(path)
    if not file.name or file.is_dir():
        raise ValueError(f"path={path!r} must be a file, such as 'model.onnx'.")
    if not file.parent.is_dir():
        raise ValueError(
            f"path={path!r} is in a folder that does not exist: make {file.parent}."
        )
    return file


def _save(onnx: Any, proto: Any, file: Path) -> None:
    """Write a model completely, or leave an existing file unchanged."""
    # with the suffix of the file, by which onnx chooses the format
    unfinished = file.with_name(f".unfinished {file.name}")
    try:
        onnx.save(proto, str(unfinished))
        os.replace(unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)
