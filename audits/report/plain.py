"""Frozen dataclasses to plain JSON values and back, checked against their annotations."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def plain(value: Any) -> Any:
    """Dataclasses, mappings and tuples as dicts and lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value


def read(kind: Any, value: Any) -> Any:
    """`value` as the annotated type `kind`; TypeError or ValueError where it is something else."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        if not isinstance(value, dict) or set(value) - set(hints):
            raise ValueError(f"{kind.__name__} is not as expected.")
        return kind(**{name: read(hints[name], part) for name, part in value.items()})
    if origin is tuple:
        return tuple(read(arguments[0], part) for part in _only(list, value))
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"“{value}” is none of {', '.join(map(str, arguments))}.")
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else read(arguments[0], value)
    if origin is not None:
        return dict(_only(dict, value))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return _only(kind, value)


def _only(kind: type, value: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}.")
    return value
