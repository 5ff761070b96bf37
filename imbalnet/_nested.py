"""Nested parameters ``prefix__name``, such as ``loss__gamma``.

The estimator accepts them with the mixin. Training passes each component its own, and
rejects those that the component does not accept.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any


def split_nested(name: str) -> tuple[str, str]:
    """Split ``"loss__gamma"`` into ``("loss", "gamma")``."""
    prefix, _, inner = name.partition("__")
    return prefix, inner


def nested(params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Select the parameters under a prefix, and remove it from their names."""
    start = prefix + "__"
    return {
        name.removeprefix(start): value
        for name, value in params.items()
        if name.startswith(start)
    }


class NestedParametersMixin:
    """Accept parameters ``prefix__name`` that the signature does not list.

    They are plain attributes (``vars(self)["loss__gamma"]``), so that ``clone``,
    pickling and the representation work as they are. Which names exist depends on other
    parameters (``loss__gamma`` on ``loss``), so that ``fit`` validates them, like every
    parameter in scikit-learn. A component with a ``set_params`` of its own receives
    them there.
    """

    _nested_prefixes: tuple[str, ...] = ()

    def _set_further(self, params: Mapping[str, Any]) -> None:
        """Set what ``__init__`` was given beside the parameters that it names.

        ``fit`` rejects unknown names. Those with an underscore in front or behind would
        pass for attributes of a fit there, and those of methods hide them: they are
        rejected here.
        """
        cls = type(self)
        self._reject_unknown(
            name
            for name in params
            if name.startswith("_") or name.endswith("_") or hasattr(cls, name)
        )
        self.__dict__.update(params)

    def _extra(self) -> dict[str, Any]:
        """Return the parameters that ``__init__`` does not name."""
        named = self._get_param_names()  # type: ignore[attr-defined]
        return {
            name: value
            for name, value in vars(self).items()
            if self._is_nested(name)
            or not (name in named or name.startswith("_") or name.endswith("_"))
        }

    def _is_nested(self, name: str) -> bool:
        prefix, inner = split_nested(name)
        return bool(inner) and prefix in self._nested_prefixes

    def _reject_unknown_parameters(self) -> None:
        """Raise for a parameter that ``__init__`` does not name and no prefix has."""
        self._reject_unknown(self._extra())

    def _reject_unknown(self, params: Iterable[str]) -> None:
        unknown = sorted(name for name in params if not self._is_nested(name))
        if unknown:
            named = ", ".join(self._get_param_names())  # type: ignore[attr-defined]
            prefixes = ", ".join(f"{prefix}__*" for prefix in self._nested_prefixes)
            raise ValueError(
                f"{', '.join(unknown)} is no parameter of {type(self).__name__}; known "
                f"are {named}, and nested ones {prefixes}."
            )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator, nested ones included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of components with ``get_params``, such as
            an imbalanced-learn sampler.

        Returns
        -------
        dict
            Parameter names mapped to their values.
        """
        params = super().get_params(deep=deep)  # type: ignore[misc]
        return {**params, **self._extra()}

    def set_params(self, **params: Any) -> Any:
        """Set the parameters of this estimator, nested ones included.

        Parameters
        ----------
        **params : dict
            Estimator parameters; nested ones ``prefix__name`` are validated by ``fit``.

        Returns
        -------
        estimator instance
            The estimator itself.
        """
        own = {k: v for k, v in params.items() if not self._is_nested(k)}
        self._reject_unknown(name for name in own if "__" in name)
        super().set_params(**own)  # type: ignore[misc]
        for name, value in params.items():
            if name not in own:
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
    """Return the name of a class or function, or the representation of an object."""
    return getattr(component, "__name__", repr(component))


def accepted_names(
    function: Callable[..., Any], without: Collection[str] = ()
) -> set[str] | None:
    """Return the parameters that a callable accepts; None is all, by ``**kwargs``.

    Nothing is known of some callables that are not written in Python: None, too.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return {p.name for p in parameters if p.kind in kinds} - {"self", *without}


def reject_unknown(
    prefix: str, owner: str, given: Iterable[str], known: Collection[str] | None
) -> None:
    """Raise for nested parameters that a component does not accept; list the others."""
    unknown = set(given) - set(known or ())
    if known is None or not unknown:
        return
    names, accepted = (
        ", ".join(f"{prefix}__{name}" for name in sorted(some))
        for some in (unknown, known)
    )
    cure = f"known are {accepted}" if known else "it takes none"
    raise ValueError(f"{names} is no parameter of {owner}; {cure}.")
