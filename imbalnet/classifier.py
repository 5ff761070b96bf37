"""The estimator: parameters, ``fit``, ``predict`` and what a fit leaves.

It alone knows scikit-learn's conventions. It reads the table, resolves the parameters
into values, and hands these to :func:`imbalnet._fit.train.train`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn
from torch.utils.data import Sampler

from imbalnet._callbacks import CallbacksMixin
from imbalnet._constraints import MeantNamesMixin, Names, Number
from imbalnet._fit.fitted import Fitted
from imbalnet._fit.gather import Part, next_part
from imbalnet._fit.large import check_in_memory, check_large
from imbalnet._fit.options import column_rules, feature_dtype, resolve_options
from imbalnet._fit.rare import without_rare_levels
from imbalnet._fit.train import train
from imbalnet._fitted_attributes import FittedAttributesMixin
from imbalnet._html import RepresentationMixin
from imbalnet._nested import NestedParametersMixin
from imbalnet._optimizers import OptimizerFactory
from imbalnet._other_names import OTHER_NAMES
from imbalnet._parameters import (
    NESTED_NAMES,
    Auto,
    ColumnRule,
    DtypeName,
    LossName,
    ModuleName,
    MonitorName,
    NestedParameters,
    OptimizerName,
    PresetName,
    PriorName,
    Resampler,
    SamplerName,
    ScheduleName,
    ThresholdName,
    WeightRule,
)
from imbalnet._persistence import PersistenceMixin
from imbalnet._ranks import await_others, on_every_rank
from imbalnet._runtime import (
    MOST_THREADS,
    in_usual_state,
    restored_on_failure,
    torch_threads,
)
from imbalnet._tables import (
    Columns,
    FurtherRules,
    LargeTable,
    Reading,
    Rows,
    all_classes,
    as_groups,
    as_table,
    check_names,
    column_names,
    matrix_blocks,
    opened,
    read_large_rows,
    read_rows,
    read_validation_rows,
    without_labels,
)
from imbalnet._tasks import CallbackSupportMixin, FitTasks
from imbalnet.class_weights import ClassWeight
from imbalnet.export import ExportMixin
from imbalnet.posterior import cheapest_class, resolve_costs
from imbalnet.posterior.prior import target_distribution
from imbalnet.retention import RetentionMixin
from imbalnet.samplers import IndexSampler
from imbalnet.samplers.resamplers import import_of

_AUTO = Names(Auto)
_COUNT = Number(Integral, 1, None, closed="left")
_SEED = Number(Integral, 0, 2**32 - 1, closed="both")

_PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "module": [Names(ModuleName), callable],
    "preset": [Names(PresetName), None],
    "loss": [Names(LossName), callable],
    "class_weight": [Names(WeightRule), dict, "array-like", callable, None],
    # instances and pipelines without a sampler meet a clearer error in fit
    "sampler": [
        Names(SamplerName),
        HasMethods("fit_resample"),
        HasMethods("get_params"),
        type,
        IndexSampler,
        Sampler,
        None,
    ],
    "target_prior": [Names(PriorName), dict, "array-like", None],
    "cost_matrix": ["array-like", dict, None],
    "threshold": [Real, str, callable, None],
    "categorical_features": [Names(ColumnRule), "array-like", None],
    "n_members": [_COUNT, _AUTO],
    "cv": ["cv_object"],
    "n_neighbors": [Number(Integral, 0, None, closed="left"), _AUTO],
    "optimizer": [Names(OptimizerName), callable],
    "learning_rate": [Number(Real, 0, None, closed="neither"), _AUTO],
    "schedule": [Names(ScheduleName)],
    "weight_decay": [Number(Real, 0, None, closed="left"), _AUTO],
    "batch_size": [_COUNT, _AUTO],
    "max_epochs": [_COUNT, _AUTO],
    "early_stopping": ["boolean", _AUTO],
    "validation_fraction": [Number(Real, 0, 1, closed="neither")],
    "patience": [_COUNT, _AUTO],
    "monitor": [Names(MonitorName)],
    "calibrate": ["boolean"],
    "device": [str, torch.device],
    "dtype": [Names(DtypeName)],
    "n_threads": [Number(Integral, 1, MOST_THREADS, closed="both"), None],
    "compile": ["boolean"],
    "warm_start": ["boolean"],
    "checkpoint": [str, os.PathLike, None],
    "random_state": [_SEED, np.random.RandomState, None],
    "verbose": ["verbose"],
    "callbacks": [list, tuple, None],
}


class BalancedNeuralClassifier(
    PersistenceMixin,
    FittedAttributesMixin,
    RetentionMixin,
    CallbacksMixin,
    ExportMixin,
    RepresentationMixin,
    NestedParametersMixin,
    MeantNamesMixin,
    CallbackSupportMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """Neural network classifier for imbalanced tabular data.

    A scikit-learn classifier that trains a torch network f through skorch. It minimises
    the mean of ``w[y] * s * loss(f(x), y)`` over the training rows that `sampler`
    draws, with class weights w and sample weights s. Validation rows are split off
    before anything is weighted or resampled. The class distribution that the network
    learns under is known (``effective_prior_``), so that `target_prior` can give
    probabilities for another one.

    Most fits need two or three of the parameters. They are about

    - the network: `module`, `preset`, `n_members`, `n_neighbors`;
    - levers against imbalance: `loss`, `class_weight`, `sampler`;
    - probabilities and decisions: `target_prior`, `cost_matrix`, `threshold`;
    - the columns: `categorical_features`;
    - rows that are held out: `cv`, `early_stopping`, `validation_fraction`, `patience`,
      `monitor`, `calibrate`;
    - the steps of training: `optimizer`, `learning_rate`, `schedule`, `weight_decay`,
      `batch_size`, `max_epochs`;
    - the machine: `device`, `dtype`, `n_threads`, `compile`;
    - the run: `warm_start`, `checkpoint`, `random_state`, `verbose`, `callbacks`.

    Parameters
    ----------
    module : {"auto", "tabular", "tabm", "resnet", "mlp", "linear"} or callable, \
            default="auto"
        The network: a name, see :mod:`imbalnet.networks`, or a ``torch.nn.Module``
        class or factory. It is called as ``module(in_features=, out_features=,
        **module__*)``, with ``n_categories=`` where there are categories, and returns
        logits. "auto" is the network of `preset`.

    preset : {"quick", "best"} or None, default=None
        Chooses the network, and the meaning of "auto" in the other parameters, instead
        of `module`. None is "tabular". "quick" has fewer members and epochs. "best" is
        "tabm", which takes longer and needs ``pip install imbalnet[best]``.

    loss : {"cross_entropy", "focal", "poly1", "poly_focal", "asymmetric", \
            "logit_adjusted", "balanced_softmax", "vector_scaling", "ldam", \
            "average_precision"} or callable, default="cross_entropy"
        A name, see :mod:`imbalnet.losses`, or a ``torch.nn.Module`` class or instance
        whose ``forward(logits, target)`` gives a value for each row, such as
        ``torch.nn.BCEWithLogitsLoss``. Its parameters are ``loss__gamma``,
        ``loss__pos_weight`` and so on.

    class_weight : {"balanced", "effective"}, dict, array-like, callable or None, \
            default=None
        Weights of the classes in the loss, see
        :func:`imbalnet.class_weights.class_weights`. ``class_weight__power`` tempers
        them, ``class_weight__max_ratio`` caps them, ``class_weight__beta`` is a
        parameter of "effective". ``class_weight__start_epoch`` defers them by a number
        of epochs, or by a share of `max_epochs`. With a `sampler`, they are computed
        from the class counts that it delivers.

    sampler : {"weighted", "oversample", "undersample", "balanced_batch", \
            "stratified_batch"}, imbalanced-learn sampler, type or None, default=None
        Which training rows an epoch sees. The names draw afresh in each epoch, see
        :mod:`imbalnet.samplers`. An imbalanced-learn sampler, or a pipeline of them, is
        applied once to the training rows. A subclass of ``torch.utils.data.Sampler`` or
        :class:`imbalnet.samplers.IndexSampler` (the class, not an instance) is built
        when the training rows are known.

    target_prior : {"train", "uniform"}, dict, Series, array-like or None, default=None
        Class distribution that probabilities are given for: None is the one that the
        network learned under, "train" the training data's, "uniform" makes ``predict``
        minimise the balanced error. A dict or pandas Series (label to probability), or
        an array in the order of ``classes_``, is the base rate at the place of use.
        Read at prediction time, without a refit.

    cost_matrix : array-like of shape (n_classes, n_classes), dict, data frame or \
            None, default=None
        Makes ``predict`` choose the class of the lowest expected cost.
        ``cost_matrix[i, j]`` is the cost of predicting class j where i is true; a dict
        maps (true label, predicted label) to the cost; a data frame has true labels in
        its index and predicted ones in its columns. Probabilities are those under
        `target_prior`, or under the training data's prior where that is None. Read at
        prediction time. Costs of each row are an argument of ``predict``.

    threshold : float, str, criterion, callable or None, default=None
        The probability from which on ``predict`` calls ``classes_[1]``; None calls the
        more likely class. Or what it is to be best for, by out-of-fold rows: "f1",
        "f2", "mcc", "g_mean", "balanced_accuracy", a criterion such as
        ``PrecisionAtLeast(0.9)``, or a function of true and predicted labels, see
        :func:`imbalnet.decisions.choose_threshold`. Read at prediction time, without a
        refit; the rows count as often as `target_prior` says. For two classes, and, if
        it is no number, with `n_members` above 1.

    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns that hold categories: names, positions or a mask. "from_dtype" takes the
        columns of a data frame (pandas, polars, pyarrow.Table) whose dtype is category,
        enum, dictionary, interval, string, or object with other values than numbers,
        and the columns of an array with words that are no numbers. Categories of an
        ordered dtype are numbers, their place in the order, unless they are named here.
        None takes all columns for numbers. Missing and unseen categories are categories
        too. A value that ``fit`` did not see is the level that is written alike ("1" is
        1, "true" True, " A " "a"), if there is just one.

    n_members : int or "auto", default="auto"
        Networks that are trained side by side from different starts; their
        probabilities are averaged. Each holds out its own fold of the rows (not with
        ``early_stopping=False``, ``X_val`` or ``partial_fit``): out-of-fold predictions
        of all rows choose the best epoch, and stay as ``oof_proba_``. Samplers see each
        member's own training rows. "auto" is 8 for "tabular" (4 with
        ``preset="quick"``), 1 for other networks and for tables that are not in memory,
        or the number of folds of `cv`.

    cv : int, splitter, iterable of (train, test) or None, default=None
        Which rows are held out, instead of folds or a split at random: a splitter of
        scikit-learn, such as ``GroupKFold(8)`` with ``fit(groups=)``, or pairs of row
        positions. With several splits, member j holds out the test rows of split j and
        trains on all others; for an array of fold numbers use ``PredefinedSplit``. A
        single split, such as that of ``GroupShuffleSplit(1)``, is for all members. So
        is the last one of ``TimeSeriesSplit``, for rows in the order of time. A number
        is that of stratified folds, as `n_members`. ``partial_fit`` holds out nothing.

    n_neighbors : int or "auto", default="auto"
        Nearest training rows whose classes count as further evidence, see
        :class:`imbalnet.neighbors.Neighbors`. They are used only if they make the
        out-of-fold rows clearly more likely (``neighbor_weight_``). "auto" is 4 for
        "tabular" with folds and a calibrated loss, up to 65,536 rows and 512 columns (a
        frequent category is a column); otherwise 0.

    optimizer : {"auto", "adamw", "adam", "sgd", "lbfgs"} or callable, default="auto"
        A name or a ``torch.optim.Optimizer`` class. "lbfgs" trains in full batches.
        "auto" is "lbfgs" for ``fit`` with ``module="linear"`` on dense data, otherwise
        "adamw".

    learning_rate : float or "auto", default="auto"
        "auto" is 0.003 for "tabular", 0.002 for "tabm", 0.05 for "sgd" and "linear", 1
        for "lbfgs", otherwise 0.0007, or 0.002 where an epoch is one batch.

    schedule : {"cosine", "constant"}, default="cosine"
        "cosine" lowers the learning rate to 0 along half a cosine over `max_epochs`.
        "lbfgs" and ``partial_fit`` keep it constant.

    weight_decay : float or "auto", default="auto"
        Acts on weight matrices, not on biases. For "adamw" it is decoupled from the
        gradient, for "lbfgs" the penalty ``weight_decay / 2 * |W|**2``. "auto" is 0.1
        for "adamw" (0.0003 with "tabm"), 1 / sum of the sample weights for "lbfgs" (the
        penalty of ``LogisticRegression(C=1)``) and 0.0001 for the others.

    batch_size : int or "auto", default="auto"
        Rows of a batch. "auto" is an eighth of the rows of an epoch, between 16 and
        128; 256 from 8,000 and 512 from 24,000 rows on; up to 64 rows all of them.

    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" is 28 for "tabular" (4 to 27 from 32,000
        rows on), 40 for "tabm" (10 to 39 from 100,000 rows on), 30 for other networks.

    early_stopping : bool or "auto", default="auto"
        Whether to hold out validation rows, stop when they get no better, and keep the
        weights of the best epoch. "auto" does so with more than 10,000 rows (not for
        "lbfgs"), with ``X_val``, and with `n_members` above 1, whose folds are the
        validation rows.

    validation_fraction : float, default=0.1
        Share of each class that a single network holds out.

    patience : int or "auto", default="auto"
        Epochs without a better one after which training stops. "auto" is 6 for the
        default network, and 10 for others.

    monitor : {"auto", "average_precision", "loss"}, default="auto"
        What makes an epoch better: average precision (with several classes the mean
        of one-vs-rest) or the validation loss. The loss decides ties, and where a class
        has fewer than 5 validation rows. Where fewer than 3 are of another class than
        the most frequent one, the last epoch is kept, with a warning. "auto" is average
        precision; with folds, average precision minus the log-loss under the best
        temperature, in units of the classes' entropy.

    calibrate : bool, default=True
        Whether to fit ``offset_`` to the validation or out-of-fold rows, and
        ``temperature_`` to the latter.

    device : str, default="auto"
        A torch device such as "cpu"; "auto" takes a GPU if there is one.

    dtype : {"float32", "float64", "bfloat16"}, default="float32"
        Precision of features and network. With "bfloat16", features, weights and loss
        are float32, and matrix products bfloat16 where the device can. "lbfgs" always
        computes in float64.

    n_threads : int or None, default=None
        Processor threads, up to 256 or the number of cores. None is one in ``fit`` (for
        steps of more than 134 million products of rows and parameters all cores but
        one, at most 4), one for each core in prediction, and one in the workers of a
        pool such as joblib's.

    compile : bool, default=False
        Whether to use ``torch.compile``, which takes seconds at first.

    warm_start : bool, default=False
        Whether ``fit`` goes on from the present weights, with the same validation rows.
        Loss, optimiser, learning rate and callbacks may change, the network may not.
        ``oof_proba_`` needs the same rows as before.

    checkpoint : str, path or None, default=None
        Folder that keeps an unfinished ``fit``: called again with the same data and
        parameters after it was killed, it goes on, to the same bits. Another fit is
        refused. In a search, "folder/{fit}" gives each fit a folder of its own.

    random_state : int, RandomState instance or None, default=None
        Seeds initialisation, split, resampling, batch order and dropout. Global
        generators stay as they are; None takes fresh entropy.

    verbose : int, default=0
        1 shows the epoch, its score and the time left (as a bar in terminals and
        notebooks), and at the end one line that says why training ended. 2 prints the
        table of ``history_``, then that line.

    callbacks : list of skorch callbacks or None, default=None
        Copied where that can be, then passed to skorch. For progress set `verbose`:
        skorch's ``ProgressBar`` is one of batches, anew in each epoch.

    **nested
        ``module__*``, ``loss__*``, ``class_weight__*``, ``sampler__*`` and
        ``optimizer__*`` are passed to the component of that name, ``net__*`` to skorch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The sorted labels; ``classes_[1]`` of two is the positive class.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X was a frame with string column names.

    class_weight_ : ndarray of shape (n_classes,)
        Weights of the classes in the loss.

    class_prior_ : ndarray of shape (n_classes,)
        Class frequencies in the rows that ``fit`` was given (those of a validation
        split included), weighted by `sample_weight`.

    effective_prior_ : ndarray of shape (n_classes,)
        Class distribution that the network learned under, the mean over members.

    calibration_ : Calibration
        All values of the formula from logits to probabilities, see :ref:`formula`:
        ``class_prior``, ``member_priors``, ``member_offsets``, ``temperature``,
        ``offset``, ``neighbors``, ``neighbor_weight``.

    temperature_ : float
        Divides the log posteriors, see :func:`imbalnet.posterior.fit_temperature`; 1
        without out-of-fold rows.

    offset_ : ndarray of shape (n_classes,)
        Added to the log posteriors, see :func:`imbalnet.posterior.fit_offset`; zeros
        without validation rows.

    neighbor_weight_ : float
        Weight of the nearest training rows' evidence; 0 where it is not used.

    oof_proba_ : ndarray of shape (n_rows, n_classes)
        Out-of-fold probabilities of the rows given to ``fit``, under `target_prior`, by
        the member that did not train on the row. Rows of weight 0 have the mean of all
        members, rows that `cv` never holds out NaN. With `n_members` above 1 only.

    oof_labels_ : ndarray of shape (n_rows,)
        True labels of the rows of ``oof_proba_``.

    oof_weight_ : ndarray of shape (n_rows,)
        How much each row of ``oof_proba_`` counts: its sample weight, in units of its
        own, times its class' share under `target_prior` relative to that of the
        training data; 0 for rows that no member held out.

    report_ : ImbalanceReport
        Figures, decisions and classes of the out-of-fold rows, under `target_prior`;
        print it. See :func:`imbalnet.report.imbalance_report`.

    threshold_ : float
        The probability from which on ``predict`` calls ``classes_[1]``, under
        `target_prior`. With `threshold` only.

    folds_ : ndarray of shape (n_rows,)
        The member that held out each row given to ``fit``; -1 for rows of weight 0, and
        for those that `cv` never holds out. With `n_members` above 1 only.

    net_ : skorch.NeuralNetClassifier
        The trained net.

    module_ : torch.nn.Module
        The trained network.

    history_ : skorch.history.History
        Loss, duration and validation scores of each epoch.

    n_iter_ : int
        Epochs trained.

    best_iteration_ : int
        The epoch, counted from 1, whose weights were kept.

    resolved_ : dict
        What training used for the parameters that may be "auto": parameter names mapped
        to values. ``monitor`` is "combined" where "auto" with folds is, and None where
        the last epoch is kept.

    device_ : torch.device
        Device of the network.

    coef_ : ndarray of shape (1, n_features_in_) or (n_classes, n_features_in_)
        Coefficients for the raw features (with categories and gaps: for the numbers,
        then for the levels of each category, then for indicators of gaps);
        ``module="linear"`` only. They are log odds where
        the loss is linear in them (cross entropy, logit adjustment, vector scaling),
        otherwise logits.

    coef_names_ : ndarray of object, shape (n_coefficients,)
        What the columns of ``coef_`` stand for: "amount", "country=at",
        "country=other" (rare and unknown levels), "amount=missing". Those called
        "country=unused" are 0.

    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts under the effective prior; ``module="linear"`` only.

    See Also
    --------
    sklearn.linear_model.LogisticRegression : The linear model that this replaces.
    sklearn.neural_network.MLPClassifier : A network without levers against imbalance.
    imblearn.pipeline.Pipeline : Resampling in front of a classifier.

    Notes
    -----
    With ``sampler=SMOTE()`` the validation rows are split off before the resampling. An
    imbalanced-learn pipeline with SMOTE in front of this classifier resamples first:
    early stopping then sees synthetic neighbours of training rows.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from imbalnet import BalancedNeuralClassifier
    >>> X, y = make_classification(2000, weights=[0.95], random_state=0)
    >>> clf = BalancedNeuralClassifier(class_weight="balanced", random_state=0)
    >>> clf.fit(X, y).predict_proba(X[:3]).shape
    (3, 2)
    >>> clf.effective_prior_.round(2).tolist()
    [0.5, 0.5]
    """

    _nested_prefixes = (
        "module",
        "loss",
        "class_weight",
        "sampler",
        "optimizer",
        "net",
    )
    _nested_names = NESTED_NAMES
    _other_names = OTHER_NAMES

    _parameter_constraints = _PARAMETER_CONSTRAINTS
    _further_names = {"sampler": import_of}

    _fitted: Fitted
    _columns: Columns
    _column_names: list[Any] | None  # of a frame

    def __init__(
        self,
        module: ModuleName | Callable[..., nn.Module] = "auto",
        *,
        preset: PresetName | None = None,
        loss: LossName | Callable[..., nn.Module] = "cross_entropy",
        class_weight: ClassWeight = None,
        sampler: SamplerName | Resampler | type[IndexSampler | Sampler] | None = None,
        target_prior: PriorName | Mapping[Any, float] | ArrayLike | None = None,
        cost_matrix: Any = None,
        threshold: float | ThresholdName | Callable[..., Any] | None = None,
        categorical_features: ColumnRule | ArrayLike | None = "from_dtype",
        n_members: int | Auto = "auto",
        cv: Any = None,
        n_neighbors: int | Auto = "auto",
        optimizer: OptimizerName | OptimizerFactory = "auto",
        learning_rate: float | Auto = "auto",
        schedule: ScheduleName = "cosine",
        weight_decay: float | Auto = "auto",
        batch_size: int | Auto = "auto",
        max_epochs: int | Auto = "auto",
        early_stopping: bool | Auto = "auto",
        validation_fraction: float = 0.1,
        patience: int | Auto = "auto",
        monitor: MonitorName = "auto",
        calibrate: bool = True,
        device: str | torch.device = "auto",
        dtype: DtypeName = "float32",
        n_threads: int | None = None,
        compile: bool = False,
        warm_start: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: list[Any] | None = None,
        **nested: Unpack[NestedParameters],
    ) -> None:
        self.module = module
        self.preset = preset
        self.loss = loss
        self.class_weight = class_weight
        self.sampler = sampler
        self.target_prior = target_prior
        self.cost_matrix = cost_matrix
        self.threshold = threshold
        self.categorical_features = categorical_features
        self.n_members = n_members
        self.cv = cv
        self.n_neighbors = n_neighbors
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.monitor = monitor
        self.calibrate = calibrate
        self.device = device
        self.dtype = dtype
        self.n_threads = n_threads
        self.compile = compile
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self._set_further(nested)

    # -- training ----------------------------------------------------------------

    @in_usual_state
    @on_every_rank
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> BalancedNeuralClassifier:
        """Train the network.

        If all processes of ``torchrun`` call it, they train one estimator together.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
            Numbers and categories, see `categorical_features`. Numbers may be missing
            if the network's class has ``accepts_missing = True`` (all of imbalnet's
            have), and infinite with ``module__clip=True``; not in a sparse matrix.
            Columns that float32 would take digits from, such as timestamps, are centred
            in float64 first. Dates are an error. A table that is not in memory is a
            :class:`~imbalnet.large_tables.LargeTable`, or the path, dataset or lazy
            frame that it reads; see :ref:`large-tables`.
        y : array-like of shape (n_rows,), or str
            Labels of any sortable kind; of a table that is not in memory also the name
            of their column.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows in loss, counts and statistics. An integer weight is the
            same as repeating the row; rows of weight 0 are left out.
        X_val : {array-like, data frame, sparse matrix}, default=None
            Validation rows, instead of a split.
        y_val : array-like, default=None
            Their labels.
        groups : array-like of shape (n_rows,), default=None
            Labels of the groups that rows belong to, such as patients or days. Rows of
            a group are in the same fold, or all in training, or all in validation, and
            are not each other's neighbours in ``oof_proba_``.

        Returns
        -------
        BalancedNeuralClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If data or parameters are not usable, with the cure.
        FloatingPointError
            If the loss becomes NaN or infinite. Whenever fitting fails, the estimator
            stays as it was.
        KeyboardInterrupt
            Behind Ctrl-C in an epoch: the estimator is fitted, with the best weights so
            far. Ctrl-C at other times leaves it as it was.
        RuntimeError
            If the fit has failed in another process of ``torchrun``.

        Examples
        --------
        Weights of rows, and groups that folds keep together:

        >>> import numpy as np
        >>> from sklearn.datasets import make_classification
        >>> from imbalnet import BalancedNeuralClassifier
        >>> X, y = make_classification(300, weights=[0.9], random_state=0)
        >>> patients = np.arange(300) // 3
        >>> clf = BalancedNeuralClassifier("linear", n_members=3, random_state=0)
        >>> clf = clf.fit(X, y, sample_weight=np.linspace(1, 2, 300), groups=patients)
        >>> max(len(set(clf.folds_[patients == i])) for i in range(100))  # folds
        1
        """
        tasks = FitTasks.of(self, self._attributes_of, X, y, sample_weight)
        before = self._fitted if self.warm_start and self._is_fitted else None
        inner = None if before is None else before.net.restorer()
        with restored_on_failure(self, inner), torch_threads(1):
            classes = self.classes_ if before else None
            X = opened(X)
            if isinstance(X, LargeTable):
                check_large(self.get_params(deep=False), groups)
            check_in_memory("X_val", X_val, "give a frame or an array of some rows")
            rows = self._read(X, y, sample_weight, classes, before, is_partial=False)
            rows = replace(rows, groups=as_groups(groups, rows.X))
            given = self._read_validation(X_val, y_val, rows)
            self._train(rows, given, before, tasks=tasks)
        if self.net_.was_interrupted:  # a search or loop around is to stop as well
            raise KeyboardInterrupt(
                f"training ended in epoch {self.n_iter_}; the estimator keeps the best "
                "weights so far (without validation rows, the last ones)"
            )
        return self

    @in_usual_state
    @on_every_rank
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> BalancedNeuralClassifier:
        """Train for one epoch on some rows of a larger whole.

        Class counts, and so "balanced" weights and priors, add up over the calls; so do
        the means and scales of "mlp", "linear" and "resnet". There are no validation
        rows. A call that fails, or is interrupted, leaves the estimator as it was.

        What columns hold (levels, medians, scales, bins) comes from the first rows. The
        estimator keeps these, with labels and weights, and trains anew on all of them
        as they become more, so that it makes no difference how few a call brings. It
        lets go of them when there are 512; if a class has no rows by then, or a column
        fewer than five apart from its most frequent value, when that has changed, or
        when there are 4,096. Until then they are part of copies and pickles, see
        ``discard``. The optimiser goes on between calls, and starts anew after ``fit``.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
            As in ``fit``. The categories are those of the first rows, see above; others
            that come later count as unseen.
        y : array-like of shape (n_rows,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur; needed in the first call.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows.

        Returns
        -------
        BalancedNeuralClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call or differs in a later one, or if
            the data are not usable.

        Examples
        --------
        >>> from sklearn.datasets import make_classification
        >>> from imbalnet import BalancedNeuralClassifier
        >>> X, y = make_classification(3_000, weights=[0.9], random_state=0)
        >>> clf = BalancedNeuralClassifier("mlp", class_weight="balanced")
        >>> for start in range(0, 3_000, 1_000):
        ...     rows = slice(start, start + 1_000)
        ...     clf = clf.partial_fit(X[rows], y[rows], classes=[0, 1])
        >>> clf.class_prior_.round(2), clf.effective_prior_.round(2)
        (array([0.9, 0.1]), array([0.5, 0.5]))
        """
        before = self._fitted if self._is_fitted else None
        inner = None if before is None else before.net.restorer()
        with restored_on_failure(self, inner), torch_threads(1):
            check_in_memory("X", X, "give it to fit, which reads it block by block")
            classes = all_classes(classes, self.classes_ if before else None)
            rows = self._read(X, y, sample_weight, classes, before, is_partial=True)
            gathered = None if before is None else before.gathered
            is_first = before is None
            part = next_part(rows, gathered, len(classes), is_first=is_first)
            self._columns = part.rows.columns
            self._train(part.rows, None, before, part)
        return self

    def _read(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: Any,
        before: Fitted | None,
        *,
        is_partial: bool,
    ) -> Rows:
        """Read training rows; those of a first call say what the columns hold."""
        large = isinstance(X, LargeTable)
        if large:
            X, y = without_labels(X, y)
        reading = self._reading_of_rows(before, is_partial=is_partial, in_parts=large)
        X = self._table(X, reading, reset=before is None)
        read = read_large_rows if large else read_rows
        rows, self.classes_ = read(X, y, sample_weight, reading, classes)
        self._columns = rows.columns
        return rows

    def _reading_of_rows(
        self, before: Fitted | None, *, is_partial: bool, in_parts: bool = False
    ) -> Reading:
        """Return how training rows are read.

        While ``partial_fit`` gathers rows, each call says anew what the columns hold.
        """
        gathered = before.gathered if before and is_partial else None
        if before and gathered is None:
            return self._reading(self._columns, before.net.feature_dtype)
        params = self.get_params(deep=False)
        rules = replace(column_rules(params), is_whole=not is_partial)
        if before is None or gathered is None:
            return self._reading(rules, feature_dtype(params, in_parts=in_parts))
        further = FurtherRules.after(rules, gathered.rows)
        return self._reading(further, before.net.feature_dtype)

    def _read_validation(self, X: Any, y: Any, rows: Rows) -> Rows | None:
        reading = self._reading(rows.columns, rows.X.dtype.type, "X_val")
        X = None if X is None else self._table(X, reading, reset=False)
        return read_validation_rows(X, y, reading, self.classes_)

    def _reading(
        self, columns: Any, dtype: type[np.floating], title: str = "X"
    ) -> Reading:
        return Reading(columns, dtype, type(self).__name__, title)

    def _table(self, X: Any, reading: Reading, *, reset: bool) -> Any:
        """Return X with two dimensions; set or compare column names and width."""
        X = opened(X, reading.title)
        if isinstance(X, LargeTable):
            X = X if reset else X.with_columns_of(self._column_names)
            self._table(X.header, reading, reset=reset)
            return X
        names, X = column_names(X), as_table(X, reading)
        try:
            if reset or not self._is_as_in_fit(X, names):
                check_names(names, None if reset else self._column_names)
                validate_data(self, X, reset=reset, skip_check_array=True)
        except ValueError as error:
            if reading.title == "X":
                raise
            raise ValueError(f"{reading.title} does not fit X: {error}") from error
        if reset:
            self._column_names = names
        return X

    def _is_as_in_fit(self, X: Any, names: list[Any] | None) -> bool:
        """Whether scikit-learn, which asks for the tags first, has nothing to say."""
        return names == self._column_names and X.shape[1] == self.n_features_in_

    def _train(
        self,
        rows: Rows,
        given: Rows | None,
        before: Fitted | None,
        part: Part | None = None,
        tasks: FitTasks | None = None,
    ) -> None:
        """Resolve the parameters, train, and keep what that leaves."""
        self._reject_unknown_parameters()
        options = resolve_options(
            self.get_params(deep=False),
            rows,
            self.classes_,
            is_partial=part is not None,
            has_validation_rows=given is not None,
            before=before,
            starts_anew_for=None if part is None else part.starts_anew_for,
        )
        fitted = train(options, rows, given, before, tasks)
        if part is not None:
            fitted = replace(fitted, gathered=part.gathered)
        self._keep(fitted)
        if self.threshold is not None:
            self._chosen_threshold()  # so that fit says what is wrong with it
        if tasks is not None:
            tasks.end_training()
        if fitted.gathered is None:
            self._columns = without_rare_levels(
                rows.columns, fitted.net.module_, fitted.calibration.neighbors, rows
            )
        await_others()

    def _keep(self, fitted: Fitted) -> None:
        """Set the fitted attributes."""
        self._fitted = fitted
        self.net_ = fitted.net
        self.calibration_ = fitted.calibration
        self.class_weight_ = fitted.class_weight
        self.class_prior_ = fitted.calibration.class_prior
        self.effective_prior_ = fitted.calibration.effective_prior
        self.temperature_ = fitted.calibration.temperature
        self.offset_ = fitted.calibration.offset
        self.neighbor_weight_ = fitted.calibration.neighbor_weight
        self.n_iter_ = fitted.n_epochs
        self.best_iteration_ = fitted.net.best_epoch() or self.n_iter_
        self.resolved_ = dict(fitted.resolved)

    def _attributes_of(self, fitted: Fitted) -> dict[str, Any]:
        """Return the attributes of an estimator that training has left so far.

        It has no out-of-fold rows yet that could choose a threshold.
        """
        twin = copy.copy(self)
        twin._keep(fitted)
        if not isinstance(self.threshold, Real):
            twin.threshold = None
        return dict(vars(twin))

    # -- prediction --------------------------------------------------------------

    @in_usual_state
    def predict(self, X: Any, *, cost_matrix: Any = None) -> NDArray:
        """Predict the most likely class under the target prior, or the cheapest.

        With `threshold`, the second class where its probability is at least
        ``threshold_``.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix, LargeTable} of shape \
                (n_rows, n_features)
            Rows with the columns of ``fit``.
        cost_matrix : array-like of shape (n_rows, n_classes, n_classes) or \
                (n_classes, n_classes), dict, data frame or None, default=None
            Costs for these rows, instead of the estimator's `cost_matrix` and
            `threshold`. ``cost_matrix[row, i, j]`` is the cost of predicting class j
            where i is true. A dict maps (true label, predicted label) to a number, or
            to an array of shape (n_rows,), such as the amounts of payments; a right
            prediction that it leaves out costs 0.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels, in the dtype of ``classes_``. With `cost_matrix` those of the
            lowest expected cost.

        Raises
        ------
        ValueError
            If `cost_matrix` has another shape, leaves out an error, names a label that
            is not in ``classes_``, or holds a cost that is not finite.

        Examples
        --------
        Frauds of unlike amounts, where a check costs 5:

        >>> import numpy as np
        >>> from sklearn.datasets import make_classification
        >>> from imbalnet import BalancedNeuralClassifier
        >>> X, y = make_classification(300, weights=[0.9], random_state=0)
        >>> clf = BalancedNeuralClassifier("linear", random_state=0).fit(X, y)
        >>> amounts = np.where(np.arange(300) < 150, 2.0, 500.0)
        >>> called = clf.predict(X, cost_matrix={(0, 1): 5.0, (1, 0): amounts})
        >>> print(f"{called[:150].sum()} small ones, {called[150:].sum()} large ones")
        7 small ones, 104 large ones
        """
        self._check_is_fitted()
        return self.classes_[self._decide(partial(self._log_proba, X), cost_matrix)]

    def _decide(
        self, log_proba_under: Callable[[Any], NDArray], cost_matrix: Any = None
    ) -> NDArray[np.intp]:
        """Return codes of classes, by log probabilities under a target prior."""
        if self.threshold is not None and cost_matrix is None:
            of_positive = np.exp(log_proba_under(self.target_prior)[:, 1])
            return (of_positive >= self.threshold_).astype(np.intp)
        cost_matrix = self.cost_matrix if cost_matrix is None else cost_matrix
        if cost_matrix is None:
            return log_proba_under(self.target_prior).argmax(axis=1)
        target = "train" if self.target_prior is None else self.target_prior
        probabilities = np.exp(log_proba_under(target))
        costs: Any = resolve_costs(cost_matrix, self.classes_, len(probabilities))
        return cheapest_class(probabilities, costs)

    @in_usual_state
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict class probabilities under the target prior.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix, LargeTable} of shape \
                (n_rows, n_features)
            Rows with the columns of ``fit``.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            In the order of ``classes_``; each row sums to 1, for every loss.

        Examples
        --------
        >>> from sklearn.datasets import make_classification
        >>> from imbalnet import BalancedNeuralClassifier
        >>> X, y = make_classification(300, weights=[0.9], random_state=0)
        >>> clf = BalancedNeuralClassifier("linear", random_state=0).fit(X, y)
        >>> clf.predict_proba(X).mean(axis=0).round(2)
        array([0.9, 0.1])
        >>> clf = clf.set_params(target_prior="uniform")  # without a refit
        >>> clf.predict_proba(X).mean(axis=0).round(2)
        array([0.73, 0.27])
        """
        self._check_is_fitted()
        return np.exp(self._log_proba(X, self.target_prior))

    @in_usual_state
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the log odds of the positive class, or log probabilities.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix, LargeTable} of shape \
                (n_rows, n_features)
            Rows with the columns of ``fit``.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_classes)
            Two classes: ``log(p_1 / p_0)``, positive where ``classes_[1]`` is
            predicted. Otherwise the log probability of each class.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import make_classification
        >>> from imbalnet import BalancedNeuralClassifier
        >>> X, y = make_classification(300, weights=[0.9], random_state=0)
        >>> clf = BalancedNeuralClassifier("linear", random_state=0).fit(X, y)
        >>> np.array_equal(clf.decision_function(X) > 0, clf.predict(X) == 1)
        True
        """
        self._check_is_fitted()
        log_proba = self._log_proba(X, self.target_prior)
        if len(self.classes_) == 2:
            return log_proba[:, 1] - log_proba[:, 0]
        return log_proba

    def _log_proba(self, X: Any, target_prior: Any) -> NDArray[np.float64]:
        """Return log probabilities under a prior, block by block."""
        formula = self.calibration_.for_target(self._resolved(target_prior))
        reading = self._reading(self._columns, self.net_.feature_dtype)
        parts = []
        with self.calibration_.computing():
            for block in matrix_blocks(self._table(X, reading, reset=False), reading):
                finish = partial(self.calibration_.finish, formula, block)
                part = self.net_.predict_log_posterior(block, finish, self.n_threads)
                parts.append(part)
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _resolved(self, target_prior: Any) -> NDArray[np.float64] | None:
        return target_distribution(target_prior, self.classes_, self.class_prior_)

    # -- scikit-learn's questions --------------------------------------------------

    def _check_is_fitted(self) -> None:
        if not self._is_fitted:  # scikit-learn's check asks for the tags, which is slow
            check_is_fitted(self)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether there is a trained net."""
        return self._is_fitted

    def __sklearn_tags__(self) -> Tags:
        """Return which tables the network takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        with suppress(KeyError, TypeError, ValueError):  # fit says what is wrong
            rules = column_rules(self.get_params(deep=False))
            tags.input_tags.allow_nan = rules.missing
            tags.input_tags.categorical = rules.categories
        return tags
