"""The interface between networks and the estimator.

:class:`Network` defines the attributes and methods, with a default for each. Training
and prediction use this interface only: :func:`network_of` wraps a user's plain module
in it, and :func:`as_logits` brings its output to the common shape.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from imbalnet._nested import accepted_names


class Network(nn.Module):
    """Base class of networks, with a default for everything except ``body``.

    The estimator builds a network as ``module(in_features=, out_features=,
    **module__*)``. A subclass defines :meth:`body`, and overrides other methods and
    attributes where the defaults do not fit. Any other ``torch.nn.Module`` can be
    trained, too: its attributes and methods of these names are used, and the defaults
    for those that it lacks.

    **Shape**

    - input: ``(batch, in_features)``, or ``(batch, members, in_features)`` where each
      member has its own rows
    - output: logits ``(batch, members, n_classes)``, also for one member

    Attributes
    ----------
    accepts_missing : bool
        Whether the input may hold NaN. Read from the class; False by default.
    shares_batches : bool
        Whether members may train on the same batches, with weight 0 for rows that they
        hold out. False by default: each member gets its own rows.
    members_share_rows : bool
        Whether members share weights, so that no member can hold out rows. Read from
        the class; False by default.
    multiplies_sparse : bool
        Whether ``forward`` takes rows as a sparse (COO) tensor, so that a batch of a
        sparse table need not become dense. False by default.
    merges_rare_levels : bool
        Whether codes of categories are read by this package's first layers alone, which
        treat rare levels as unknown values, so that ``fit`` need not keep them. Read
        from the class itself, not from its bases; False by default.
    prepared_width : int
        Number of values of a prepared row, from which the memory needed is estimated;
        0, the default, means at most ``in_features``.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import Network, Standardize
    >>> class Softplus(Network):
    ...     def __init__(self, in_features, out_features):
    ...         super().__init__()
    ...         self.input = Standardize(in_features, clip=3.0)
    ...         self.output = torch.nn.Linear(in_features, out_features)
    ...     def initialize_from(self, X, y, sample_weight, folds=None):
    ...         self.input.initialize_from(X, y, sample_weight)
    ...     def prepare(self, x):
    ...         return self.input(x)
    ...     def body(self, z):
    ...         return self.output(torch.nn.functional.softplus(z))
    >>> Softplus(3, 2)(torch.ones(5, 3)).shape
    torch.Size([5, 1, 2])
    """

    accepts_missing: bool = False
    shares_batches: bool = False
    members_share_rows: bool = False
    multiplies_sparse: bool = False
    merges_rare_levels: bool = False
    prepared_width: int = 0

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch: ``body(prepare(x))``, always of this shape.

        Parameters
        ----------
        x : Tensor of shape (batch, in_features) or (batch, members, in_features)
            Raw features.

        Returns
        -------
        Tensor of shape (batch, members, n_classes)
            The logits.
        """
        return as_logits(self.body(self.prepare(x)))

    def prepare(self, x: Tensor) -> Tensor:
        """Apply the first layers, which do not learn; by default there are none.

        Training may prepare many batches at once, so a row's result must not depend on
        the rows around it.

        Parameters
        ----------
        x : Tensor of shape (..., in_features)
            Raw features.

        Returns
        -------
        Tensor
            What :meth:`body` takes.
        """
        return x

    def body(self, z: Tensor) -> Tensor:
        """Compute the logits of prepared rows.

        The axis of members may be missing for one member: ``forward`` adds it.

        Parameters
        ----------
        z : Tensor
            What :meth:`prepare` returns.

        Returns
        -------
        Tensor of shape (batch, members, n_classes) or (batch, n_classes)
            The logits.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define body(z).")

    def initialize_from(
        self, X: Any, y: NDArray, sample_weight: NDArray, folds: NDArray | None = None
    ) -> None:
        """Compute statistics of the training rows before training starts.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, in_features)
            Training rows.
        y : ndarray of shape (n_rows,)
            Class codes.
        sample_weight : ndarray of shape (n_rows,)
            Sample weights, without class weights.
        folds : ndarray of shape (n_rows,) or None, default=None
            The member that holds out each row and must not learn from its class; -1
            for rows that no member holds out. None if no member holds out rows.
        """

    def update_from(self, X: Any, y: NDArray, sample_weight: NDArray) -> None:
        """Merge the rows of a later ``partial_fit`` into the statistics.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, in_features)
            Rows of this call.
        y : ndarray of shape (n_rows,)
            Class codes.
        sample_weight : ndarray of shape (n_rows,)
            Sample weights, without class weights.
        """

    def initialize_output(self, logits: Tensor) -> None:
        """Set the last layer's bias before training starts.

        Parameters
        ----------
        logits : Tensor of shape (n_classes,)
            The constant logits that minimise the loss.
        """

    def shift_output(self, logits: Tensor) -> None:
        """Add to the last layer's bias, when ``partial_fit`` has rows of a new class.

        Parameters
        ----------
        logits : Tensor of shape (n_classes,)
            Change of the constant logits that minimise the loss; 0 for classes that had
            rows before.
        """

    def take_members(self, which: slice) -> Network | None:
        """Return a network of some members that shares its tensors with this one.

        If several processes fit together, each of them trains some of the members.

        Parameters
        ----------
        which : slice
            Consecutive members.

        Returns
        -------
        Network or None
            None if a member cannot be trained without the others; the default.
        """
        del which
        return None

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the parameters by learning rate and weight decay.

        By default weight decay acts on parameters with two axes or more.

        Returns
        -------
        list of dict
            With "params", a list of parameters; "rate", a factor of the learning rate;
            and "decays", whether weight decay acts on them.
        """
        return _groups(self, n_axes=2)


class PlainNetwork:
    """Adapter that gives a user's plain module the interface of :class:`Network`.

    It is not a module itself, so that parameters keep their names. Attributes and
    methods of the module take precedence over the defaults.
    """

    def __init__(self, module: nn.Module, has_member_axis: bool = False) -> None:
        self.module: Any = module
        self.has_member_axis = has_member_axis

    def __getattr__(self, name: str) -> Any:
        if name not in _OPTIONAL:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.module, name, getattr(_DEFAULTS, name))

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the logits of a batch."""
        return as_logits(self.module(x))

    def prepare(self, x: Tensor) -> Tensor:
        """Apply the module's ``prepare`` if ``forward`` begins with it."""
        return self.module.prepare(x) if is_split(self.module) else x

    def body(self, z: Tensor) -> Tensor:
        """Compute the logits of prepared rows."""
        split = is_split(self.module)
        return as_logits(self.module.body(z) if split else self.module(z))

    def initialize_from(
        self, X: Any, y: NDArray, sample_weight: NDArray, folds: NDArray | None = None
    ) -> None:
        """Call the module's method, with `folds` if it accepts them."""
        method = getattr(self.module, "initialize_from", _DEFAULTS.initialize_from)
        known = accepted_names(method)
        given = {"folds": folds} if known is None or "folds" in known else {}
        method(X, y, sample_weight, **given)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the module's groups; by default weight decay acts on matrices."""
        if hasattr(self.module, "parameter_groups"):
            return self.module.parameter_groups()
        return _groups(self.module, n_axes=2 + self.has_member_axis)


_DEFAULTS = Network()
_OPTIONAL = {
    *("accepts_missing", "shares_batches", "members_share_rows", "prepared_width"),
    *("multiplies_sparse", "update_from", "initialize_output", "shift_output"),
    "take_members",
}


def network_of(
    module: nn.Module, has_member_axis: bool = False
) -> Network | PlainNetwork:
    """Return a module with the interface of :class:`Network`.

    Parameters
    ----------
    module : torch.nn.Module
        A :class:`Network`, which is returned as it is, or any other module. Compiled
        modules are unwrapped.
    has_member_axis : bool, default=False
        Whether the first axis of a plain module's parameters is that of members.

    Returns
    -------
    Network or PlainNetwork
        The module, or an adapter of it.

    Raises
    ------
    ValueError
        If `module` is not a module, but for example a class.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import network_of
    >>> module = torch.nn.Linear(3, 2)
    >>> module(torch.ones(5, 3)).shape
    torch.Size([5, 2])
    >>> network = network_of(module)
    >>> network(torch.ones(5, 3)).shape  # with an axis of members
    torch.Size([5, 1, 2])
    >>> network.accepts_missing
    False
    """
    _check_is_module(module)
    inner: Any = getattr(module, "_orig_mod", module)
    is_network = isinstance(inner, Network)
    return inner if is_network else PlainNetwork(inner, has_member_axis)


def is_split(module: nn.Module) -> bool:
    """Return whether a network's ``forward`` is ``body(prepare(x))``.

    This is the case if ``forward`` is that of :class:`Network`, and is assumed if the
    same class defines all three methods.

    Parameters
    ----------
    module : torch.nn.Module
        The network.

    Returns
    -------
    bool
        Whether it is split.

    Raises
    ------
    ValueError
        If `module` is not a module, but for example a class.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import MLP, is_split
    >>> is_split(MLP(3, 2)), is_split(torch.nn.Linear(3, 2))
    (True, False)
    """
    _check_is_module(module)
    cls = type(module)
    if cls.forward is Network.forward:
        return True
    definers = {
        next((base for base in cls.__mro__ if name in vars(base)), None)
        for name in ("prepare", "body", "forward")
    }
    return len(definers) == 1


def _check_is_module(module: Any) -> None:
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"module={module!r} must be a torch.nn.Module: an instance, not a class."
        )


def may_write(module: Any) -> bool:
    """Return whether a module may change its input in place.

    imbalnet's networks do not, so that their input need not be copied.
    """
    if is_own_network(module):
        return False
    return not is_own_network(getattr(module, "_orig_mod", module))  # if it is compiled


def is_own_network(module: Any) -> bool:
    """Return whether a module's class is one of this package."""
    return type(module).__module__.startswith("imbalnet.")


def as_logits(output: Tensor) -> Tensor:
    """Bring a module's output to the shape (batch, members, n_classes).

    Parameters
    ----------
    output : Tensor of shape (batch, n_classes) or (batch, members, n_classes)
        A single column z, for two classes, means the logits (0, z).

    Returns
    -------
    Tensor of shape (batch, members, n_classes)
        The logits.

    Raises
    ------
    ValueError
        If `output` is not a tensor with two or three axes.

    Examples
    --------
    >>> import torch
    >>> from imbalnet.networks import as_logits
    >>> as_logits(torch.tensor([[1.5], [-0.5]])).tolist()
    [[[0.0, 1.5]], [[0.0, -0.5]]]
    >>> as_logits(torch.zeros(8, 3)).shape
    torch.Size([8, 1, 3])
    """
    if not isinstance(output, Tensor) or output.ndim not in (2, 3):
        what = (
            f"of shape {tuple(output.shape)}"
            if isinstance(output, Tensor)
            else f"of type {type(output).__name__}"
        )
        raise ValueError(
            "output must be a tensor of logits of shape (batch, n_classes) or (batch, "
            f"members, n_classes), but is {what}."
        )
    output = with_all_columns(output)
    return output.unsqueeze(1) if output.ndim == 2 else output


def with_all_columns(output: Tensor) -> Tensor:
    """Return the logits (0, z) if there is a single column z, of two classes."""
    return F.pad(output, (1, 0)) if output.shape[-1] == 1 else output


def _groups(module: nn.Module, n_axes: int) -> list[dict[str, Any]]:
    """Return two groups: weight decay acts on parameters of at least `n_axes` axes."""
    matrices = [p for p in module.parameters() if p.ndim >= n_axes]
    others = [p for p in module.parameters() if p.ndim < n_axes]
    return [
        {"params": matrices, "rate": 1.0, "decays": True},
        {"params": others, "rate": 1.0, "decays": False},
    ]
