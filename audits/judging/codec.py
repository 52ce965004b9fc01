"""Frozen dataclasses to JSON values and back, by cattrs: the one way in which results are stored and read.

Why cattrs: it leaves the types plain dataclasses, so what only wants to read a result needs no library for them, and
it can say which of several types a value is. Its own leniency ("3" read as 3, a text as a tuple of letters) is off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from audits.judging.levels import Unscored
from audits.judging.result import (
    CHOICE,
    COMBINED,
    RANK,
    AssociatedResult,
    ChoiceResult,
    CombinedResult,
    Findings,
    RankedResult,
    Result,
)
from provenance.errors import TouchmarkError

T = TypeVar("T")
Json = dict[str, Any]
Hook = Callable[[Any, Any], Any]
NUMBERS: frozenset[type] = frozenset({int, float})


class UnreadableError(TouchmarkError, ValueError):
    """A stored value that has none of the shapes that any version wrote; the message says what is wrong."""


def strict_converter(*, leave_out_defaults: bool) -> Converter:
    """Reads JSON values as annotated and nothing else, errors being of whatever type; writes tuples as lists.

    Numbers stay as they are: a whole number where a float may stand stays one, so what was stored is written again to
    the last byte. leave_out_defaults: fields that hold their default are not written.
    """
    converter = Converter(detailed_validation=False)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _only)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_factory(_is_literal, lambda kind: _one_of)
    converter.register_structure_hook_factory(_is_tuple, _tuples_read)
    converter.register_unstructure_hook_factory(_is_tuple, _tuples_written)

    @converter.register_structure_hook_factory(is_dataclass)
    def read_as(kind: Any, converter: Converter) -> Hook:
        return make_dict_structure_fn(
            kind, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=False, **_keys(kind)
        )

    @converter.register_unstructure_hook_factory(is_dataclass)
    def written_as(kind: Any, converter: Converter) -> Callable[[Any], Json]:
        return make_dict_unstructure_fn(kind, converter, _cattrs_omit_if_default=leave_out_defaults, **_keys(kind))

    return converter


def structured(converter: Converter, value: Any, kind: type[T]) -> T:
    """`value` as `kind`. Raises UnreadableError, whatever of its shape is wrong."""
    try:
        return converter.structure(value, kind)
    except KeyError as error:
        raise UnreadableError(f"{error} is missing.") from error
    except Exception as error:
        raise UnreadableError(str(error)) from error


def _keys(kind: Any) -> dict[str, Any]:
    """Fields whose key in JSON is another name, or that are left out where they hold their default."""
    renamed = {part.name: override(rename=part.metadata["key"]) for part in fields(kind) if "key" in part.metadata}
    left_out = {part.name: override(omit_if_default=True) for part in fields(kind) if "left_out" in part.metadata}
    return renamed | left_out


def _only(value: Any, kind: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {type(value).__name__}.")
    return value


def _number(value: Any, kind: Any) -> Any:
    if type(value) not in NUMBERS:
        raise TypeError(f"expected a number, found {type(value).__name__}.")
    return value


def _is_literal(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _one_of(value: Any, kind: Any) -> Any:
    if value not in get_args(kind):
        raise ValueError(f"“{value}” is none of {', '.join(map(str, get_args(kind)))}.")
    return value


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuples_read(kind: Any, converter: Converter) -> Hook:
    """Of any length; long rows of numbers are checked at once."""
    (element, _) = get_args(kind)
    if element in (int, float):
        return _whole_numbers if element is int else _numbers
    inner = converter.get_structure_hook(element)
    return lambda value, _: tuple(inner(one, element) for one in _only(value, list))


def _numbers(value: Any, kind: Any, allowed: frozenset[type] = NUMBERS) -> tuple[Any, ...]:
    found = frozenset(map(type, _only(value, list)))
    if not found <= allowed:
        raise TypeError(f"expected numbers, found {', '.join(sorted(one.__name__ for one in found))}.")
    return tuple(value)


def _whole_numbers(value: Any, kind: Any) -> tuple[int, ...]:
    return _numbers(value, kind, frozenset({int}))


def _tuples_written(kind: Any, converter: Converter) -> Callable[[Any], list[Any]]:
    (element, _) = get_args(kind)
    if element in (str, int, float) or _is_literal(element):
        return list
    inner = converter.get_unstructure_hook(element)
    return lambda value: [inner(one) for one in value]


def _results() -> Converter:
    converter = strict_converter(leave_out_defaults=True)

    @converter.register_structure_hook_factory(_is_level)
    def level(kind: Any, converter: Converter) -> Hook:
        (scored,) = (one for one in get_args(kind) if one is not Unscored)
        return lambda value, _: converter.structure(value, Unscored if "reason" in value else scored)

    @converter.register_structure_hook_factory(_is_result)
    def result(kind: Any, converter: Converter) -> Hook:
        return lambda value, _: converter.structure(value, _kind_of(value))

    return converter


def _is_level(kind: Any) -> bool:
    return get_origin(kind) in (UnionType, Union) and Unscored in get_args(kind)


def _is_result(kind: Any) -> bool:
    return get_origin(kind) in (UnionType, Union) and AssociatedResult in get_args(kind)


def _kind_of(value: Json) -> type[Result]:
    """Results of associated marks, which came first, name no test."""
    return _KINDS[value.get("test")]


_KINDS: dict[str | None, type[Result]] = {
    None: AssociatedResult,
    RANK: RankedResult,
    CHOICE: ChoiceResult,
    COMBINED: CombinedResult,
}


_RESULTS = _results()


def read(stored: Json) -> Result:
    """The result of a row, whatever version stored it. Raises UnreadableError where none did."""
    try:
        return structured(_RESULTS, stored, _kind_of(stored))
    except (UnreadableError, KeyError, AttributeError) as error:
        raise UnreadableError(
            "A stored result cannot be read, so it was altered or comes from a later version. Compare its digest with "
            f"the evidence log. ({error})"
        ) from error


def write(result: Findings, like: Json | None = None) -> Json:
    """A result, or a view of one, as JSON. like: a stored one, whose keys stay in the order in which they stood."""
    made: Json = _RESULTS.unstructure(result)
    return made if like is None else _in_order(made, like)


def _in_order(made: Any, like: Any) -> Any:
    """Keys in the order of `like`, others after them; of a list every part like its first."""
    if isinstance(made, Mapping) and isinstance(like, Mapping):
        keys = [*(key for key in like if key in made), *(key for key in made if key not in like)]
        return {key: _in_order(made[key], like.get(key)) for key in keys}
    if isinstance(made, list) and isinstance(like, list) and like and isinstance(like[0], Mapping):
        return [_in_order(one, like[min(place, len(like) - 1)]) for place, one in enumerate(made)]
    return made
