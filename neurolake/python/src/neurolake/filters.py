"""Filters as they are given to a table: understood once, then written for polars or in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, or_
from typing import Any

import polars as pl

from neurolake import sql
from neurolake.data_types import (
    Type,
    WrongValue,
    convert,
    describe_value,
    is_nan,
    is_scalar,
    list_item,
    polars_type,
    type_name,
)
from neurolake.errors import FilterError, nearest, unknown

OPERATORS = (
    "=", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "not contains",
    "includes", "includes any", "includes all", "is null", "is not null",
)  # fmt: skip
_SYNONYMS = {"==": "=", "<>": "!="}
_ORDER = ("<", "<=", ">", ">=")
_WITHOUT_VALUE = ("is null", "is not null")
_OF_LISTS = ("includes", "includes any", "includes all")


@dataclass(frozen=True)
class Condition:
    """One condition, whose value has the Python type that stands for the column's."""

    name: str
    operator: str
    value: Any
    type: Type | None


@dataclass
class Filters:
    """What was asked for. All of it must hold; of the alternatives, one must."""

    conditions: list[Condition] = field(default_factory=list)
    alternatives: list[list[Condition]] = field(default_factory=list)
    sql: list[str] = field(default_factory=list)
    expressions: list[pl.Expr] = field(default_factory=list)

    def names(self) -> set[str]:
        """Columns that conditions name; those in SQL text and expressions aren't known."""
        either = [condition for group in self.alternatives for condition in group]
        return {condition.name for condition in [*self.conditions, *either]}

    def equal(self, name: str) -> Any:
        """The one value that the column must have; none if there isn't one."""
        for condition in self.conditions:
            if condition.name == name and condition.operator == "=":
                value = condition.value
                return None if is_nan(value) else value
        return None

    def to_polars(self) -> list[pl.Expr]:
        """All as expressions."""
        found = [to_expr(condition) for condition in self.conditions]
        if self.alternatives:
            found.append(reduce(or_, [_all(map(to_expr, group)) for group in self.alternatives]))
        return found + [_sql_expr(text) for text in self.sql] + self.expressions

    def to_sql(self) -> list[str]:
        """All but the expressions as conditions of SQL."""
        found = [to_sql(condition) for condition in self.conditions]
        if self.alternatives:
            either = [" and ".join(map(to_sql, group)) or "true" for group in self.alternatives]
            found.append(f"({' or '.join(f'({group})' for group in either)})")
        return found + [f"({text})" for text in self.sql]


class Reader:
    """Reads filters of one table."""

    def __init__(self, table: str, types: Mapping[str, Type | None], *, is_open: bool, renamed: Mapping[str, str]) -> None:
        self._table = table
        self._types = types
        # Without declared columns any name may be one.
        self._is_open = is_open
        self._renamed = renamed

    def read(self, filters: Any, keywords: Mapping[str, Any]) -> Filters:
        """Understands everything that was given."""
        found = Filters()
        for name, value in keywords.items():
            found.conditions.append(self._equal(name, value))
        if isinstance(filters, (str, pl.Expr)) or _is_triple(filters):
            filters = [filters]
        elif isinstance(filters, Mapping):
            filters = [(name, "=", value) for name, value in filters.items()]
        elif filters is None:
            filters = []
        if not isinstance(filters, Sequence) or isinstance(filters, (bytes, bytearray)):
            raise self._shape(filters)
        groups = [item for item in filters if isinstance(item, list)]
        if groups and len(groups) == len(filters):
            found.alternatives = [[self._triple(item) for item in group] for group in groups]
            if len(groups) == 1:
                found.conditions += found.alternatives.pop()
            return found
        for item in filters:
            self._one(item, found)
        return found

    def _one(self, item: Any, found: Filters) -> None:
        if isinstance(item, pl.Expr):
            found.expressions.append(item)
        elif isinstance(item, str):
            wrong = sql.check_fragment(item)
            if wrong or not item.strip():
                raise FilterError(f"table `{self._table}`: the filter {item!r} is no condition of SQL: {wrong or 'it is empty'}")
            found.sql.append(item)
        else:
            found.conditions.append(self._triple(item))

    def _shape(self, item: Any) -> FilterError:
        return FilterError(
            f"table `{self._table}`: expected filters such as [(\"column\", \"=\", value)], a list of such lists "
            f"of which one must hold, SQL text or a polars expression, got {describe_value(item)}"
        )

    def _triple(self, item: Any) -> Condition:
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3) or not isinstance(item[0], str):
            raise self._shape(item)
        name, operator = item[0], item[1]
        value = item[2] if len(item) == 3 else None
        known = self._operator(operator)
        if known not in _WITHOUT_VALUE and len(item) == 2:
            raise FilterError(f"table `{self._table}`, column `{name}`: `{operator}` needs a value: ({name!r}, {operator!r}, value)")
        if known == "=":
            return self._equal(name, value)
        return self._condition(name, known, value)

    def _operator(self, operator: Any) -> str:
        if not isinstance(operator, str):
            raise self._shape(operator)
        known = " ".join(operator.lower().split())
        known = _SYNONYMS.get(known, known)
        if known not in OPERATORS:
            near = nearest(known, OPERATORS)
            raise FilterError(
                f"table `{self._table}`: no operator `{operator}`; "
                + (f"did you mean `{near}`?" if near else f"there are {', '.join(OPERATORS)}")
            )
        return known

    def _equal(self, name: str, value: Any) -> Condition:
        """Equality as a keyword means it: `None` is null, a list is any of its values."""
        declared = self._type(name)
        if value is None:
            return Condition(name, "is null", None, declared)
        if _is_many(value) and (list_item(declared) is None or _is_nested(value)):
            return self._condition(name, "in", value)
        return self._condition(name, "=", value)

    def _type(self, name: str) -> Type | None:
        if name in self._types:
            return self._types[name]
        if self._is_open:
            return None
        if name in self._renamed:
            raise unknown("column", name, [self._renamed[name]], f"table `{self._table}`: it was renamed to `{self._renamed[name]}`")
        raise unknown("column", name, self._types, f"table `{self._table}`")

    def _condition(self, name: str, operator: str, value: Any) -> Condition:
        declared = self._type(name)
        if operator in _WITHOUT_VALUE:
            return Condition(name, operator, None, declared)
        if declared is not None and not is_scalar(declared) and list_item(declared) is None:
            raise FilterError(
                f"table `{self._table}`, column `{name}` is a {type_name(declared)}: only `is null` and `is not null` "
                f"can be asked of it here; filter the frame by an expression instead"
            )
        if operator in ("contains", "not contains"):
            return self._contains(name, operator, value, declared)
        if operator in _OF_LISTS:
            return self._includes(name, operator, value, declared)
        if operator in ("in", "not in"):
            if not _is_many(value):
                raise self._wrong(name, declared, value, "a list of ")
            items = [None if item is None else self._convert(name, item, declared) for item in _items(value)]
            within = [item for item in items if item is None or not _beyond(item, declared)]
            if operator == "not in" and items and not within:
                return Condition(name, "is not null", None, declared)
            return Condition(name, operator, within, declared)
        if value is None:
            if operator == "!=":
                return Condition(name, "is not null", None, declared)
            raise FilterError(f"table `{self._table}`, column `{name}`: nothing is `{operator}` null; use `is null` or `is not null`")
        if operator in _ORDER and list_item(declared) is not None:
            raise FilterError(f"table `{self._table}`, column `{name}` is a list, which has no order; use `includes`")
        return _within(Condition(name, operator, self._convert(name, value, declared), declared))

    def _contains(self, name: str, operator: str, value: Any, declared: Type | None) -> Condition:
        if list_item(declared) is not None:
            raise FilterError(f"table `{self._table}`, column `{name}` is a list: use `includes` to look for an element")
        if declared not in ("string", None):
            raise FilterError(f"table `{self._table}`, column `{name}` is of type {type_name(declared)}, and `{operator}` looks for a part of a text")
        if not isinstance(value, str):
            raise self._wrong(name, "string", value)
        return Condition(name, operator, value, declared)

    def _includes(self, name: str, operator: str, value: Any, declared: Type | None) -> Condition:
        item = list_item(declared)
        if declared is not None and item is None:
            raise FilterError(
                f"table `{self._table}`, column `{name}` is of type {type_name(declared)}, and `{operator}` looks into lists"
                + ("; use `contains` to look for a part of a text" if declared == "string" else "")
            )
        if operator == "includes":
            values = [value]
        elif _is_many(value):
            values = _items(value)
        else:
            raise self._wrong(name, item, value, "a list of ")
        converted = [self._convert(name, value, item) for value in values]
        return Condition(name, operator, converted, declared)

    def _convert(self, name: str, value: Any, declared: Type | None) -> Any:
        if value is None:
            raise self._wrong(name, declared, value)
        try:
            return convert(value, declared)
        except WrongValue:
            raise self._wrong(name, declared, value) from None

    def _wrong(self, name: str, declared: Type | None, value: Any, of: str = "") -> FilterError:
        expected = type_name(declared) if declared else "values"
        hint = {
            "date": ", such as \"2026-03-01\"",
            "timestamp": ", such as \"2026-03-01T09:30:00Z\"",
            "binary": ", such as b\"...\"",
        }.get(expected, "")
        return FilterError(f"table `{self._table}`, column `{name}`: expected {of}{expected}{hint}, got {describe_value(value)}")


def _is_triple(filters: Any) -> bool:
    return isinstance(filters, tuple) and len(filters) in (2, 3) and all(isinstance(part, str) for part in filters[:2])


def _is_many(value: Any) -> bool:
    if isinstance(value, (list, tuple, set, frozenset, range, pl.Series)):
        return True
    return hasattr(value, "tolist") and hasattr(value, "__len__")


def _items(value: Any) -> list[Any]:
    return value.tolist() if hasattr(value, "tolist") else list(value)


def _is_nested(value: Any) -> bool:
    return any(_is_many(item) for item in _items(value))


_FIRST_SIGNED = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}
_FIRST_UNSIGNED = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}


def _beyond(value: Any, declared: Type | None) -> int:
    """1 above what an integer type holds, -1 below, else 0."""
    if not isinstance(value, int) or not isinstance(declared, str):
        return 0
    if declared in _FIRST_SIGNED:
        most = 2 ** _FIRST_SIGNED[declared]
        return 1 if value >= most else -1 if value < -most else 0
    if declared in _FIRST_UNSIGNED:
        return 1 if value >= 2 ** _FIRST_UNSIGNED[declared] else -1 if value < 0 else 0
    return 0


def _within(condition: Condition) -> Condition:
    """A comparison with a number that no row can hold is true for all rows with a value, or none."""
    side = _beyond(condition.value, condition.type)
    if side == 0:
        return condition
    holds = condition.operator == "!=" or condition.operator in (("<", "<=") if side > 0 else (">", ">="))
    if holds:
        return Condition(condition.name, "is not null", None, condition.type)
    return Condition(condition.name, "in", [], condition.type)


def _all(expressions: Any) -> pl.Expr:
    return reduce(and_, expressions, pl.lit(True))


def _sql_expr(text: str) -> pl.Expr:
    try:
        found = pl.sql_expr(text)
    except Exception as error:
        raise FilterError(f"the filter {text!r} is not understood: {error}") from None
    assert isinstance(found, pl.Expr)
    return found


def to_expr(condition: Condition) -> pl.Expr:
    """A condition as polars has it."""
    column = pl.col(condition.name)
    operator, value, declared = condition.operator, condition.value, condition.type
    if operator == "is null":
        return column.is_null()
    if operator == "is not null":
        return column.is_not_null()
    if operator in ("contains", "not contains"):
        found = column.str.contains(value, literal=True)
        return found if operator == "contains" else ~found
    if operator in _OF_LISTS:
        item = list_item(declared)
        each = [column.list.contains(_literal(value, item)) for value in value]
        if operator == "includes any":
            return reduce(or_, each, pl.lit(False))
        return reduce(and_, each, column.is_not_null())
    if operator in ("in", "not in"):
        return _membership(column, operator, value, declared)
    return _compare(column, operator, value, declared)


def _membership(column: pl.Expr, operator: str, values: list[Any], declared: Type | None) -> pl.Expr:
    present = [value for value in values if value is not None]
    # `is_in` widens 32-bit floats, so that 0.1 isn't found, and knows nothing of lists.
    if declared in ("float32", "float64") or any(isinstance(value, (list, float)) for value in present):
        found = reduce(or_, [_compare(column, "=", value, declared) for value in present], pl.lit(False))
    elif not present:
        found = pl.lit(False)
    else:
        dtype = polars_type(declared) if declared else None
        if isinstance(declared, dict):
            # The values may have more digits behind the point than the column.
            found = reduce(or_, [column == pl.lit(value) for value in present])
        else:
            found = column.is_in(pl.Series(present, dtype=dtype, strict=False).implode())
    if operator == "in":
        return found | column.is_null() if None in values else found
    return ~found & column.is_not_null() if values else pl.lit(True)


def _compare(column: pl.Expr, operator: str, value: Any, declared: Type | None) -> pl.Expr:
    if is_nan(value) and operator in ("=", "!="):
        return column.is_nan() if operator == "=" else column.is_not_nan()
    other = _literal(value, declared)
    return {
        "=": column.__eq__,
        "!=": column.__ne__,
        "<": column.__lt__,
        "<=": column.__le__,
        ">": column.__gt__,
        ">=": column.__ge__,
    }[operator](other)


def _literal(value: Any, declared: Type | None) -> pl.Expr:
    if declared is None or isinstance(value, bool):
        return pl.lit(value)
    if isinstance(declared, dict) and "decimal" in declared:
        return pl.lit(value)
    return pl.lit(value, dtype=polars_type(declared))


def to_sql(condition: Condition) -> str:
    """A condition as the server has it."""
    name, operator, value, declared = condition.name, condition.operator, condition.value, condition.type
    if operator in _WITHOUT_VALUE:
        return f"{sql.name(name)} {operator}"
    if operator == "contains":
        return sql.contains(name, value)
    if operator == "not contains":
        return f"not {sql.contains(name, value)}"
    if operator in _OF_LISTS:
        each = [sql.includes(name, one, list_item(declared)) for one in value]
        if operator == "includes any":
            return f"({' or '.join(each) or 'false'})"
        return f"({' and '.join([*each, f'{sql.name(name)} is not null'])})"
    if operator == "in":
        return sql.any_of(name, value, declared)
    if operator == "not in":
        return sql.none_of(name, value, declared)
    return sql.compare(name, operator, value, declared)
