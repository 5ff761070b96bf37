"""The estimator: parameters, ``fit``, ``predict`` and fitted attributes.

It reads the table, resolves the parameters into values, and passes these to
:func:`imbalnet._fit.train.train`. The modules that it uses never import it.
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
from imbalnet._fit.options import (
    check_in_memory,
    check_large,
    column_rules,
    feature_dtype,
    resolve_options,
)
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
    # fit refuses instances and pipelines without a sampler, with a clearer error
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

    This scikit-learn classifier trains a torch network f with skorch. It minimises the
    mean of ``w[y] * s * loss(f(x), y)`` over the training rows that `sampler` draws,
    where w are class weights and s sample weights. Validation rows are split off before
    anything is weighted or resampled. The classifier computes the class distribution
    that the network has learned (``effective_prior_``). So `target_prior` can adapt the
    probabilities to another class distribution.

    Most fits need only two or three of the parameters. They are about

    - the network: `module`, `preset`, `n_members`, `n_neighbors`;
    - levers against imbalance: `loss`, `class_weight`, `sampler`;
    - probabilities and decisions: `target_prior`, `cost_matrix`, `threshold`;
    - columns: `categorical_features`;
    - held-out rows: `cv`, `early_stopping`, `validation_fraction`, `patience`,
      `monitor`, `calibrate`;
    - optimisation: `optimizer`, `learning_rate`, `schedule`, `weight_decay`,
      `batch_size`, `max_epochs`;
    - hardware: `device`, `dtype`, `n_threads`, `compile`;
    - other: `warm_start`, `checkpoint`, `random_state`, `verbose`, `callbacks`.

    Parameters
    ----------
    module : {"auto", "tabular", "tabm", "resnet", "mlp", "linear"} or callable, \
            default="auto"
        The network: a name, see :mod:`imbalnet.networks`, or your own
        ``torch.nn.Module`` class or a function that returns a module. A class or
        function is called as ``module(in_features=, out_features=, **module__*)``, and
        with ``n_categories=`` if there are categories. The module returns logits.
        "auto" is the network of `preset`.

    preset : {"quick", "best"} or None, default=None
        Chooses the network instead of `module`, and what "auto" means in the other
        parameters. None is the network "tabular". "quick" has fewer members and epochs.
        "best" is "tabm", which takes longer and needs ``pip install imbalnet[best]``.

    loss : {"cross_entropy", "focal", "poly1", "poly_focal", "asymmetric", \
            "logit_adjusted", "balanced_softmax", "vector_scaling", "ldam", \
            "average_precision"} or callable, default="cross_entropy"
        The loss: a name, see :mod:`imbalnet.losses`, or a ``torch.nn.Module`` class or
        instance whose ``forward(logits, target)`` returns a value for each row, such as
        ``torch.nn.BCEWithLogitsLoss``. Set its parameters as ``loss__gamma``,
        ``loss__pos_weight`` and so on.

    class_weight : {"balanced", "effective"}, dict, array-like, callable or None, \
            default=None
        Weights of the classes in the loss, see
        :func:`imbalnet.class_weights.class_weights`. ``class_weight__power`` below 1
        makes them less extreme, ``class_weight__max_ratio`` caps them, and
        ``class_weight__beta`` is a parameter of "effective".
        ``class_weight__start_epoch`` defers them by a number of epochs, or by a share
        of `max_epochs`. With a `sampler`, weights are computed from the class counts
        after sampling.

    sampler : {"weighted", "oversample", "undersample", "balanced_batch", \
            "stratified_batch"}, imbalanced-learn sampler, type or None, default=None
        Which rows the network is trained on in an epoch. The named samplers draw new
        rows for each epoch, see :mod:`imbalnet.samplers`. An imbalanced-learn sampler,
        or a pipeline of such samplers, is applied once to the training rows. You can
        also pass a subclass of ``torch.utils.data.Sampler`` or
        :class:`imbalnet.samplers.IndexSampler` (the class, not an instance).

    target_prior : {"train", "uniform"}, dict, Series, array-like or None, default=None
        Class distribution of the data that you want probabilities for. None is the
        distribution that the network has learned (``effective_prior_``). "train" is
        that of the training data. "uniform" makes ``predict`` minimise the balanced
        error. A dict or pandas Series (label to probability), or an array in the order
        of ``classes_``, gives the distribution itself. You can change it after ``fit``.

    cost_matrix : array-like of shape (n_classes, n_classes), dict, data frame or \
            None, default=None
        Makes ``predict`` choose the class with the lowest expected cost.
        ``cost_matrix[i, j]`` is the cost of predicting class j if class i is true. A
        dict maps (true label, predicted label) to the cost. A data frame has true
        labels in its index and predicted labels in its columns. Expected costs use the
        probabilities under `target_prior`, or under the class distribution of the
        training data if `target_prior` is None. You can change the costs after ``fit``.
        Pass costs that differ from row to row to ``predict``.

    threshold : float, str, criterion, callable or None, default=None
        With two classes, ``predict`` returns ``classes_[1]`` if its probability is at
        least this number. With None, it returns the more likely class. If `threshold`
        is not a number, it says what to optimise on the out-of-fold rows: "f1", "f2",
        "mcc", "g_mean", "balanced_accuracy", a criterion such as
        ``PrecisionAtLeast(0.9)``, or a function of true and predicted labels, see
        :func:`imbalnet.decisions.choose_threshold`. This needs `n_members` above 1. The
        rows are weighted so that their class distribution is `target_prior`. You can
        change the threshold after ``fit``.

    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Columns that hold categories, as names, positions or a mask. "from_dtype"
        chooses the columns of a data frame (pandas, polars, pyarrow.Table) whose dtype
        is category, enum, dictionary, interval, string, or object with values other
        than numbers, and columns of an array that have words. Categories of an ordered
        dtype become numbers, their position in the order, unless you name them here.
        With None, all columns are numbers. Missing and unseen values are categories,
        too. But if just one category has the same meaning as an unseen value ("1" and
        1, "true" and True, " A " and "a"), the value counts as this category.

    n_members : int or "auto", default="auto"
        Number of networks, the members, that are trained side by side from different
        initial weights. Their probabilities are averaged. Each member holds out its own
        fold of the rows (not with ``early_stopping=False``, ``X_val`` or
        ``partial_fit``). The out-of-fold predictions of all rows choose the best epoch,
        and are kept as ``oof_proba_``. Samplers draw from the training rows of each
        member. "auto" is 8 for "tabular" (4 with ``preset="quick"``), 1 for other
        networks and for tables that are not in memory, or the number of folds of `cv`.

    cv : int, splitter, iterable of (train, test) or None, default=None
        Which rows are held out. None holds out random folds or a random split.
        Otherwise pass a splitter of scikit-learn, such as ``GroupKFold(8)`` with
        ``fit(groups=)``, or pairs of row positions. With several splits, member j holds
        out the test rows of split j, and is trained on all other rows. If you have an
        array of fold numbers, use ``PredefinedSplit``. A single split, such as that of
        ``GroupShuffleSplit(1)``, holds for all members. So does the last split of
        ``TimeSeriesSplit``, for which rows must be in the order of time. An integer is
        the number of stratified folds, as in `n_members`. ``partial_fit`` holds out no
        rows.

    n_neighbors : int or "auto", default="auto"
        Number of nearest training rows whose classes adjust the probabilities, see
        :class:`imbalnet.neighbors.Neighbors`. They are used only if they clearly
        improve the probabilities of the out-of-fold rows (``neighbor_weight_``). "auto"
        is 4 for "tabular" with folds and a calibrated loss, up to 65,536 rows and 512
        columns (each frequent category is a column), and 0 otherwise.

    optimizer : {"auto", "adamw", "adam", "sgd", "lbfgs"} or callable, default="auto"
        A name or a ``torch.optim.Optimizer`` class. "lbfgs" uses all rows in each step.
        "auto" is "lbfgs" for ``fit`` with ``module="linear"`` (unless the loss ranks,
        as "average_precision" does), otherwise "adamw".

    learning_rate : float or "auto", default="auto"
        Learning rate of the optimiser. "auto" is 0.003 for "tabular", 0.002 for "tabm",
        0.05 for "sgd" and "linear", and 1 for "lbfgs". Otherwise it is 0.0007, or 0.002
        if an epoch is a single batch.

    schedule : {"cosine", "constant"}, default="cosine"
        "cosine" lowers the learning rate to 0 along half a cosine over `max_epochs`.
        "lbfgs" and ``partial_fit`` keep it constant.

    weight_decay : float or "auto", default="auto"
        Penalty on large weights, for weight matrices but not for biases. For "adamw" it
        is decoupled from the gradient. For "lbfgs" it is ``weight_decay / 2 * |W|**2``.
        "auto" is 0.1 for "adamw" (0.0003 with "tabm"), 1 / sum of the sample weights
        for "lbfgs" (the penalty of ``LogisticRegression(C=1)``) and 0.0001 for the
        others.

    batch_size : int or "auto", default="auto"
        Number of rows in a batch. "auto" is an eighth of the rows of an epoch, but at
        least 16 and at most 128. It is 256 from 8,000 rows on, 512 from 24,000 rows on,
        and all rows if there are at most 64.

    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" is 28 for "tabular" (4 to 27 from 32,000
        rows on), 40 for "tabm" (10 to 39 from 100,000 rows on), 30 for other networks.

    early_stopping : bool or "auto", default="auto"
        Whether to hold out validation rows, stop when their score no longer improves,
        and keep the weights of the best epoch. "auto" does so with more than 10,000
        rows (not for "lbfgs"), with ``X_val``, and with `n_members` above 1, where the
        held-out folds are the validation rows.

    validation_fraction : float, default=0.1
        Share of each class that a single network holds out as validation rows.

    patience : int or "auto", default="auto"
        Number of epochs without improvement after which training stops. "auto" is 6 for
        the default network, and 10 for others.

    monitor : {"auto", "average_precision", "loss"}, default="auto"
        The score of the validation rows that chooses the best epoch: average precision
        (with several classes, the mean of one-vs-rest) or the loss. The loss also
        decides ties, and it is used if a class has fewer than 5 validation rows. If
        fewer than 3 validation rows are not of the most frequent class, the last epoch
        is kept, with a warning. "auto" is average precision. With folds, it is average
        precision minus the log-loss under the best temperature, divided by the entropy
        of the classes.

    calibrate : bool, default=True
        Whether to fit ``offset_`` to the validation or out-of-fold rows, and
        ``temperature_`` to the out-of-fold rows.

    device : str, default="auto"
        A torch device such as "cpu"; "auto" takes a GPU if there is one.

    dtype : {"float32", "float64", "bfloat16"}, default="float32"
        Precision of features and network. With "bfloat16", features, weights and loss
        are float32, and matrix products are bfloat16 if the device supports it. "lbfgs"
        always computes in float64.

    n_threads : int or None, default=None
        Number of processor threads, up to 256 or the number of cores. With None,
        ``fit`` uses one thread, and prediction one for each core. If the rows of a
        batch times the parameters of the network are more than 134 million, ``fit``
        uses all cores but one, at most 4. The workers of a pool, such as joblib's, use
        one thread.

    compile : bool, default=False
        Whether to use ``torch.compile``, which first takes some seconds.

    warm_start : bool, default=False
        Whether ``fit`` continues from the current weights, with the same validation
        rows. You may change loss, optimiser, learning rate and callbacks, but not the
        network. ``oof_proba_`` is available only if the rows are the same as before.

    checkpoint : str, path or None, default=None
        Folder that stores the state of a ``fit`` until it ends. If ``fit`` is killed,
        call it again with the same data and parameters: it is resumed, and the result
        is identical. If data or parameters differ, ``fit`` raises an error. In a
        search, "folder/{fit}" gives each fit its own folder.

    random_state : int, RandomState instance or None, default=None
        Seeds initialisation, split, resampling, batch order and dropout. None uses a
        different seed in each fit. Global random generators are not changed.

    verbose : int, default=0
        1 shows the epoch, its score and the time left (as a bar in terminals and
        notebooks), and at the end one line that says why training ended. 2 prints the
        table of ``history_`` before this line.

    callbacks : list of skorch callbacks or None, default=None
        Callbacks that are passed to skorch, as copies if they can be copied. To show
        progress, set `verbose`; skorch's ``ProgressBar`` shows the batches of each
        epoch separately.

    **nested
        Parameters named ``module__*``, ``loss__*``, ``class_weight__*``, ``sampler__*``
        and ``optimizer__*`` are passed to the component of that name, those named
        ``net__*`` to skorch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The sorted labels. With two classes, ``classes_[1]`` is the positive class.

    n_features_in_ : int
        Number of features seen in ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X was a data frame whose column names are strings.

    class_weight_ : ndarray of shape (n_classes,)
        Weights of the classes in the loss.

    class_prior_ : ndarray of shape (n_classes,)
        Class frequencies in the rows passed to ``fit``, including those of a validation
        split, weighted by `sample_weight`.

    effective_prior_ : ndarray of shape (n_classes,)
        Class distribution that the network has learned, after class weights, sampler
        and loss: the mean over members.

    calibration_ : Calibration
        All values of the formula from logits to probabilities, see :ref:`formula`:
        ``class_prior``, ``member_priors``, ``member_offsets``, ``temperature``,
        ``offset``, ``neighbors``, ``neighbor_weight``.

    temperature_ : float
        The log posteriors are divided by it, see
        :func:`imbalnet.posterior.fit_temperature`; 1 without out-of-fold rows.

    offset_ : ndarray of shape (n_classes,)
        It is added to the log posteriors, see :func:`imbalnet.posterior.fit_offset`;
        zeros without validation rows.

    neighbor_weight_ : float
        Weight of the evidence from the nearest training rows; 0 if it is not used.

    oof_proba_ : ndarray of shape (n_rows, n_classes)
        Out-of-fold probabilities of the rows passed to ``fit``, under `target_prior`:
        each row is predicted by the member that was not trained on it. Rows of weight 0
        have the mean of all members. Rows that `cv` never holds out have NaN. Only with
        `n_members` above 1.

    oof_labels_ : ndarray of shape (n_rows,)
        True labels of the rows of ``oof_proba_``. Rows of weight 0 whose label no other
        row has get ``classes_[0]``.

    oof_weight_ : ndarray of shape (n_rows,)
        Weight of each row of ``oof_proba_``, up to a constant factor: its sample
        weight, times the share of its class under `target_prior`, divided by the share
        of this class in the training data. It is 0 for rows that no member held out.

    report_ : ImbalanceReport
        Report on the out-of-fold rows, under `target_prior`, with figures, decisions
        and classes. Print it. See :func:`imbalnet.report.imbalance_report`.

    threshold_ : float
        ``predict`` returns ``classes_[1]`` if its probability under `target_prior` is
        at least this number. Only if `threshold` is set.

    folds_ : ndarray of shape (n_rows,)
        Number of the member that held out each row passed to ``fit``. It is -1 for rows
        of weight 0, and for rows that `cv` never holds out. Only with `n_members` above
        1.

    net_ : skorch.NeuralNetClassifier
        The trained skorch net.

    module_ : torch.nn.Module
        The trained network.

    history_ : skorch.history.History
        Loss, duration and validation scores of each epoch.

    n_iter_ : int
        Number of epochs trained.

    best_iteration_ : int
        The epoch, counted from 1, whose weights were kept.

    resolved_ : dict
        Values that training used for the parameters that may be "auto", by name.
        ``monitor`` is "combined" for "auto" with folds, and None if the last epoch is
        kept.

    device_ : torch.device
        Device of the network.

    coef_ : ndarray of shape (1, n_features_in_) or (n_classes, n_features_in_)
        Coefficients of the raw features, only with ``module="linear"``. With categories
        and missing values, they are first those of the numbers, then those of the
        levels of each categorical column, and then those of the indicators of missing
        values. They refer to log odds for cross entropy, logit adjustment and vector
        scaling, and to logits for other losses.

    coef_names_ : ndarray of object, shape (n_coefficients,)
        Names of the columns of ``coef_``, such as "amount", "country=at",
        "country=other" (rare and unknown levels) and "amount=missing". The coefficients
        of "country=unused" are 0.

    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts under the effective prior, only with ``module="linear"``.

    See Also
    --------
    sklearn.linear_model.LogisticRegression : The linear model that this replaces.
    sklearn.neural_network.MLPClassifier : A network without levers against imbalance.
    imblearn.pipeline.Pipeline : Resampling before a classifier.

    Notes
    -----
    With ``sampler=SMOTE()``, validation rows are split off before the resampling. In an
    imbalanced-learn pipeline with SMOTE before this classifier, the resampling comes
    first. The validation rows for early stopping then contain synthetic neighbours of
    training rows.

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
    _column_names: list[Any] | None  # of a data frame

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
            if the class of the network has ``accepts_missing = True``, as all of
            imbalnet's networks have. They may be infinite with ``module__clip=True``,
            but not in a sparse matrix. If float32 has too few digits for a column, such
            as a timestamp in seconds, the column is first centred in float64. Columns
            of dates raise an error. For a table that is not in memory, pass a
            :class:`~imbalnet.large_tables.LargeTable`, or the path, dataset or lazy
            frame that it reads; see :ref:`large-tables`.
        y : array-like of shape (n_rows,), or str
            Labels of any sortable kind. For a table that is not in memory, you can pass
            the name of their column.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows in loss, counts and statistics. An integer weight means
            the same as repeating the row, except that a rare level needs 5 rows, of any
            weight, to be distinguished from unknown ones. Rows of weight 0 are left
            out.
        X_val : {array-like, data frame, sparse matrix}, default=None
            Validation rows, instead of a split.
        y_val : array-like, default=None
            Their labels.
        groups : array-like of shape (n_rows,), default=None
            Group of each row, such as the patient or the day. All rows of a group are
            in the same fold, or on the same side of the validation split. They are not
            neighbours of each other in ``oof_proba_``.

        Returns
        -------
        BalancedNeuralClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If data or parameters are not usable. The message says what to change.
        FloatingPointError
            If the loss becomes NaN or infinite. Whenever fitting fails, the estimator
            stays as it was.
        KeyboardInterrupt
            After Ctrl-C. During an epoch, training ends and the estimator is fitted,
            with the best weights so far. At other times, it stays as it was.
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
            validation_rows = self._read_validation(X_val, y_val, rows)
            self._train(rows, validation_rows, before, tasks=tasks)
        if self.net_.was_interrupted:  # also stops a search or loop
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

        Class counts are added up over the calls. "balanced" weights and priors follow
        from them. The means and scales of "mlp", "linear" and "resnet" are also
        updated. There are no validation rows. A call that fails, or is interrupted,
        leaves the estimator as it was.

        Levels, medians, scales and bins of the columns come from the first rows. The
        estimator keeps these rows, with labels and weights. As their number grows, it
        trains again from the start on all of them. So the first calls may have few
        rows. The estimator deletes the rows when there are 512. It keeps up to 4,096
        rows if a class has no rows yet, or if fewer than five rows of a column differ
        from its most frequent value. Until then, copies and pickles contain these rows,
        see ``discard``. The state of the optimiser is kept between calls, but not after
        ``fit``.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix} of shape (n_rows, n_features)
            As in ``fit``. Categories are those of the first rows, see above. Later
            categories count as unseen.
        y : array-like of shape (n_rows,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that can occur. Needed in the first call.
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
        """Read training rows; those of the first call determine kinds of columns."""
        is_large = isinstance(X, LargeTable)
        if is_large:
            X, y = without_labels(X, y)
        reading = self._training_reading(
            before, is_partial=is_partial, in_parts=is_large
        )
        X = self._table(X, reading, reset=before is None)
        read = read_large_rows if is_large else read_rows
        rows, self.classes_ = read(X, y, sample_weight, reading, classes)
        self._columns = rows.columns
        return rows

    def _training_reading(
        self, before: Fitted | None, *, is_partial: bool, in_parts: bool
    ) -> Reading:
        """Return how training rows are read.

        While ``partial_fit`` gathers rows, each call determines kinds of columns anew.
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
        """Return X as a table; with `reset` store its columns, otherwise check them."""
        X = opened(X, reading.title)
        if isinstance(X, LargeTable):
            X = X if reset else X.with_columns_of(self._column_names)
            self._table(X.header, reading, reset=reset)
            return X
        names, X = column_names(X), as_table(X, reading)
        try:
            if reset or not self._has_columns_of_fit(X, names):
                check_names(names, None if reset else self._column_names)
                validate_data(self, X, reset=reset, skip_check_array=True)
        except ValueError as error:
            if reading.title == "X":
                raise
            raise ValueError(f"{reading.title} does not fit X: {error}") from error
        if reset:
            self._column_names = names
        return X

    def _has_columns_of_fit(self, X: Any, names: list[Any] | None) -> bool:
        """Return whether the columns are those of fit, faster than `validate_data`."""
        return names == self._column_names and X.shape[1] == self.n_features_in_

    def _train(
        self,
        rows: Rows,
        validation_rows: Rows | None,
        before: Fitted | None,
        part: Part | None = None,
        tasks: FitTasks | None = None,
    ) -> None:
        """Resolve the parameters, train, and set the fitted attributes."""
        self._reject_unknown_parameters()
        options = resolve_options(
            self.get_params(deep=False),
            rows,
            self.classes_,
            is_partial=part is not None,
            has_validation_rows=validation_rows is not None,
            before=before,
            starts_anew_for=None if part is None else part.starts_anew_for,
        )
        fitted = train(options, rows, validation_rows, before, tasks)
        if part is not None:
            fitted = replace(fitted, gathered=part.gathered)
        self._keep(fitted)
        if self.threshold is not None:
            self._chosen_threshold()  # raises an error if the parameter is wrong
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
        """Return the attributes that the estimator has if `fitted` is its result.

        scikit-learn's callbacks use them during training. There are no out-of-fold rows
        at this time, so that a threshold that is not a number is ignored.
        """
        fitted_now = copy.copy(self)
        fitted_now._keep(fitted)
        if not isinstance(self.threshold, Real):
            fitted_now.threshold = None
        return dict(vars(fitted_now))

    # -- prediction --------------------------------------------------------------

    @in_usual_state
    def predict(self, X: Any, *, cost_matrix: Any = None) -> NDArray:
        """Predict the most likely class under the target prior, or the cheapest.

        With `threshold`, predict the second class if its probability is at least
        ``threshold_``.

        Parameters
        ----------
        X : {array-like, data frame, sparse matrix, LargeTable} of shape \
                (n_rows, n_features)
            Rows with the columns of ``fit``.
        cost_matrix : array-like of shape (n_rows, n_classes, n_classes) or \
                (n_classes, n_classes), dict, data frame or None, default=None
            Costs for these rows, instead of the estimator's `cost_matrix` and
            `threshold`. ``cost_matrix[row, i, j]`` is the cost of predicting class j if
            class i is true. A dict maps (true label, predicted label) to a number, or
            to an array of shape (n_rows,), such as the amounts of payments. Right
            predictions that are not in the dict cost 0.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels, in the dtype of ``classes_``. With `cost_matrix`, those with the
            lowest expected cost.

        Raises
        ------
        ValueError
            If `cost_matrix` has another shape, leaves out an error, names a label that
            is not in ``classes_``, or holds a cost that is not finite.

        Examples
        --------
        Frauds have different amounts, and a check costs 5:

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
        """Return the predicted class codes.

        `log_proba_under` returns the log probabilities under a target prior.
        """
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
            Probabilities in the order of ``classes_``. Each row sums to 1, for every
            loss.

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
            With two classes ``log(p_1 / p_0)``, which is positive if ``classes_[1]`` is
            the more likely class. Otherwise the log probability of each class.

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
        """Compute log probabilities under a target prior, block by block."""
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
        """Return a target prior as an array in the order of the classes."""
        return target_distribution(target_prior, self.classes_, self.class_prior_)

    # -- conventions of scikit-learn -----------------------------------------------

    def _check_is_fitted(self) -> None:
        if not self._is_fitted:  # faster than scikit-learn's check
            check_is_fitted(self)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the estimator is fitted."""
        return self._is_fitted

    def __sklearn_tags__(self) -> Tags:
        """Return the tags, which depend on the tables that the network accepts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        with suppress(KeyError, TypeError, ValueError):  # which fit raises
            rules = column_rules(self.get_params(deep=False))
            tags.input_tags.allow_nan = rules.missing
            tags.input_tags.categorical = rules.categories
        return tags
