"""Types of the parameters, which let editors complete strings and nested names.

Tests compare them with the registries, so that a new loss cannot be forgotten here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

Auto = Literal["auto"]
ModuleName = Literal["auto", "tabular", "tabm", "resnet", "mlp", "linear"]
PresetName = Literal["quick", "best"]
LossName = Literal[
    "cross_entropy",
    "focal",
    "poly1",
    "poly_focal",
    "asymmetric",
    "logit_adjusted",
    "balanced_softmax",
    "vector_scaling",
    "ldam",
    "average_precision",
]
WeightRule = Literal["balanced", "effective"]
SamplerName = Literal[
    "weighted", "oversample", "undersample", "balanced_batch", "stratified_batch"
]
ColumnRule = Literal["from_dtype"]
PriorName = Literal["train", "uniform"]
ThresholdName = Literal["f1", "f2", "mcc", "g_mean", "balanced_accuracy"]
OptimizerName = Literal["auto", "adamw", "adam", "sgd", "lbfgs"]
ScheduleName = Literal["cosine", "constant"]
MonitorName = Literal["auto", "average_precision", "loss"]
DtypeName = Literal["float32", "float64", "bfloat16"]
ActivationName = Literal["relu", "gelu", "silu", "tanh"]


class Resampler(Protocol):
    """An imbalanced-learn sampler, or a pipeline of them."""

    @property
    def fit_resample(self) -> Any:
        """The method that resamples X and y."""


class KnownNested(TypedDict, total=False):
    """Nested parameters of the components that can be selected by name."""

    module__activation: ActivationName
    module__clip: float | bool | None
    module__d_block: int
    module__d_embedding: int
    module__d_hidden: int
    module__dropout: float
    module__embedding_rate: float
    module__frequency: float
    module__gaps: bool
    module__gate_rate: float
    module__gates: bool
    module__hidden_sizes: Sequence[int]
    module__k: int
    module__level_channels: int
    module__n_bins: int | Auto
    module__n_blocks: int
    module__n_channels: int | Auto
    module__n_waves: int | Auto
    module__normalize_output: bool
    module__residual_dropout: float
    module__standardize: bool
    loss__alpha: float | Sequence[float] | None
    loss__epsilon: float
    loss__gamma: float | Sequence[float]
    loss__gamma_negative: float
    loss__gamma_positive: float
    loss__label_smoothing: float
    loss__margin: float
    loss__max_margin: float
    loss__scale: float
    loss__tau: float
    loss__temperature: float
    loss__warmup: float
    class_weight__beta: float
    class_weight__max_ratio: float | None
    class_weight__power: float
    class_weight__start_epoch: int | float
    sampler__power: float
    optimizer__amsgrad: bool
    optimizer__betas: tuple[float, float]
    optimizer__eps: float
    optimizer__history_size: int
    optimizer__max_iter: int
    optimizer__momentum: float
    optimizer__nesterov: bool
    optimizer__param_groups: list[tuple[str, dict[str, Any]]]
    net__iterator_train: Any
    net__iterator_valid: Any
    net__torch_load_kwargs: dict[str, Any]
    net__use_caching: bool


NESTED_NAMES = tuple(KnownNested.__annotations__)

if TYPE_CHECKING:
    from typing_extensions import TypedDict as OpenDict

    # extra_items (PEP 728, unknown to mypy): parameters of the user's components
    class NestedParameters(  # type: ignore[call-arg]
        OpenDict, KnownNested, total=False, extra_items=Any
    ):
        """The known nested parameters, and any others."""

else:
    NestedParameters = KnownNested
