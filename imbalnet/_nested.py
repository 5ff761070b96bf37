"""Nested parameters of the form ``prefix__name``, as scikit-learn writes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable
from typing import Any


def split_nested(name: str) -> tuple[str, str]:
    """Split ``"loss__gamma"`` into ``("loss", "gamma")``."""
    prefix, _, inner = name.partition("__")
    return prefix, inner


class NestedParametersMixin:
    """Accept ``prefix__name`` parameters that no signature lists.

    They are plain attributes (``vars(self)["loss__gamma"]``), so that ``clone``,
    pickling and the representation need nothing special. Which names exist depends on
    other parameters (``loss__gamma`` on ``loss``), so that they are judged at ``fit``,
    as scikit-learn does with every parameter. A component that has ``set_params`` of
    its own receives them the usual way.
    """

    _nested_prefixes: tuple[str, ...] = ()

    def _extra(self) -> dict[str, Any]:
        """Give the parameters that ``__init__`` does not name."""
        named = self._get_param_names()  # type: ignore[attr-defined]
        return {
            name: value
            for name, value in vars(self).items()
            if name not in named and not name.startswith("_") and not name.endswith("_")
        }

    def _is_nested(self, name: str) -> bool:
        prefix, inner = split_nested(name)
        return bool(inner) and prefix in self._nested_prefixes

    def _nested(self, prefix: str) -> dict[str, Any]:
        """Give the nested parameters under ``prefix``, without the prefix."""
        start = prefix + "__"
        return {
            name.removeprefix(start): value
            for name, value in self._extra().items()
            if name.startswith(start)
        }

    def _reject_unknown_parameters(self) -> None:
        """Raise if a parameter is neither named by ``__init__`` nor nested."""
        unknown = sorted(name for name in self._extra() if not self._is_nested(name))
        if unknown:
            named = ", ".join(self._get_param_names())  # type: ignore[attr-defined]
            nested = ", ".join(f"{prefix}__*" for prefix in self._nested_prefixes)
            raise ValueError(
                f"{', '.join(unknown)} is no parameter of {type(self).__name__}; known "
                f"are {named}, and nested ones {nested}."
            )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator, the nested ones included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of components that are estimators
            themselves, such as an imbalanced-learn sampler.

        Returns
        -------
        dict
            Parameter names mapped to their values.
        """
        params = super().get_params(deep=deep)  # type: ignore[misc]
        return {**params, **self._extra()}

    def set_params(self, **params: Any) -> Any:
        """Set the parameters of this estimator, nested ones too.

        Parameters
        ----------
        **params : dict
            Estimator parameters; ``prefix__name`` ones are judged at ``fit``.

        Returns
        -------
        estimator instance
            The estimator itself.
        """
        nested = {k: v for k, v in params.items() if self._is_nested(k)}
        own = {k: v for k, v in params.items() if k not in nested}
        super().set_params(**own)  # type: ignore[misc]
        for name, value in nested.items():
            self._set_nested(name, value)
        return self

    def _set_nested(self, name: str, value: Any) -> None:
        prefix, inner = split_nested(name)
        component: Any = getattr(self, prefix, None)
        is_instance = not isinstance(component, type)
        if hasattr(component, "set_params") and is_instance and name not in vars(self):
            component.set_params(**{inner: value})
        else:
            setattr(self, name, value)


def name_of(component: Any) -> str:
    """Give the name of a class or function, or what represents another object."""
    return getattr(component, "__name__", repr(component))


def accepted_names(
    function: Callable[..., Any], without: Collection[str] = ()
) -> set[str] | None:
    """Name the parameters that a callable takes; None with ``**kwargs``: any."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    named = {
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    return named - {"self", *without}


def reject_unknown(
    prefix: str, owner: str, given: Iterable[str], known: Collection[str] | None
) -> None:
    """Raise if a nested parameter is none that its component knows.

    Raises
    ------
    ValueError
        Naming the unknown parameters and listing the known ones.
    """
    unknown = sorted(set(given) - set(known)) if known is not None else []
    if not unknown:
        return
    names = ", ".join(f"{prefix}__{name}" for name in unknown)
    cure = (
        "known are " + ", ".join(f"{prefix}__{name}" for name in sorted(known or ()))
        if known
        else "it takes none"
    )
    raise ValueError(f"{names} is no parameter of {owner}; {cure}.")
