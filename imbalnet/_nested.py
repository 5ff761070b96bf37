"""Nested parameters ``prefix__name``, such as ``loss__gamma``.

The mixin lets the estimator accept them. Training passes each component its own, and
rejects those that the component does not accept.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from imbalnet._checks import closest


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

    They are plain attributes (``vars(self)["loss__gamma"]``), so ``clone``, pickling
    and the representation need no further code. Which names exist depends on other
    parameters (``loss__gamma`` on ``loss``), so ``fit`` validates them, like every
    parameter in scikit-learn. Components with a method ``set_params`` get them
    from the estimator's ``set_params``.
    """

    _nested_prefixes: tuple[str, ...] = ()
    # For suggestions in errors: nested names of our components, and the names that
    # other libraries use for our parameters.
    _nested_names: Collection[str] = ()
    _other_names: Mapping[str, str] = {}

    def _set_further(self, params: Mapping[str, Any]) -> None:
        """Set the keyword arguments of ``__init__`` that its signature does not list.

        Unknown names without a prefix are rejected here, and those with one by ``fit``.
        ``fit`` also rejects "nested", the name of ``**nested``: scikit-learn's checks
        pass every name of the signature to the constructor.
        """
        self._reject_unknown(name for name in params if name != "nested")
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
        """Raise for a parameter that is neither in the signature nor nested."""
        self._reject_unknown(self._extra())

    def _reject_unknown(self, params: Iterable[str]) -> None:
        unknown = sorted(name for name in params if not self._is_nested(name))
        if unknown:
            named = self._get_param_names()  # type: ignore[attr-defined]
            prefixes = ", ".join(f"{prefix}__*" for prefix in self._nested_prefixes)
            meant = [self._meant_by(name, named) for name in unknown]
            question = _question([name for name in meant if name])
            raise ValueError(
                f"{', '.join(unknown)} is no parameter of {type(self).__name__}; known "
                f"are {', '.join(named)}, and nested ones {prefixes}.{question}"
            )

    def _meant_by(self, name: str, named: Collection[str]) -> str | None:
        """Return the known name that an unknown one may mean, or None."""
        plain = name.strip("_").lower()
        if plain in self._other_names:
            return self._other_names[plain]
        prefix, inner = split_nested(plain)
        if inner and prefix in self._other_names:  # criterion__weight
            return f"{self._other_names[prefix]}__{inner}"
        of_components = [n for n in self._nested_names if split_nested(n)[1] == plain]
        if of_components:
            return " or ".join(of_components)
        for prefix in self._nested_prefixes:
            if plain.startswith(f"{prefix}_"):  # loss_gamma
                full = f"{prefix}__{plain.removeprefix(prefix).lstrip('_')}"
                return closest(full, self._nested_names, cutoff=0.9) or full
        return closest(name, [*named, *self._nested_names])

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
        known = self.get_params(deep=False) if own else ()
        self._reject_unknown(name for name in own if name not in known)
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
    """Return the names of the parameters that a callable accepts, None for any name.

    None is for ``**kwargs``, and for callables without a signature, such as some that
    are written in C.
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
    prefix: str,
    owner: str,
    given: Iterable[str],
    known: Collection[str] | None,
    others: Mapping[str, Callable[..., Any]] | None = None,
    without: Collection[str] = (),
) -> None:
    """Raise for nested parameters that a component does not accept; list the others.

    `others` are the components that the parameter `prefix` can name, for suggestions;
    `without` are parameters of theirs that users cannot set.
    """
    unknown = sorted(set(given) - set(known or ()))
    if known is None or not unknown:
        return
    names, accepted = (
        ", ".join(f"{prefix}__{name}" for name in some)
        for some in (unknown, sorted(known))
    )
    cure = f"known are {accepted}" if known else "it takes none"
    of_others = {
        name: accepted_names(other, without) or set()
        for name, other in (others or {}).items()
    }
    hints = _hints(prefix, unknown, known, of_others)
    raise ValueError(f"{names} is no parameter of {owner}; {cure}.{hints}")


def _hints(
    prefix: str,
    unknown: Iterable[str],
    known: Collection[str],
    of_others: Mapping[str, Collection[str]],
) -> str:
    """Return suggestions: similar parameters, and the components that accept them."""
    every = set(known).union(*of_others.values())
    meant = {
        name if name in every else closest(name, known) or closest(name, every)
        for name in unknown
    }
    own = sorted(f"{prefix}__{name}" for name in meant if name in known)
    elsewhere = [
        f" {prefix}__{name} belongs to {prefix}="
        + " or ".join(
            repr(other) for other, names in of_others.items() if name in names
        )
        + "."
        for name in sorted(name for name in meant if name and name not in known)
    ]
    return "".join([_question(own), *elsewhere])


def _question(names: Iterable[str]) -> str:
    """Return a question to append to an error; empty without names."""
    text = " and ".join(dict.fromkeys(names))
    return f" Did you mean {text}?" if text else ""
