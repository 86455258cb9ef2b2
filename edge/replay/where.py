"""Read an expression over a trace's fields, as pandas' `query` has it: `snr_db > 10`."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from ... import EqedgeError
from .field_names import steads_name
from .values import number, plain, stated

LONGEST = 2000
"""Characters of an expression."""
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_AS_PANDAS_HAS_IT = re.compile(r"""('[^']*'|"[^"]*")|`(\w+)`|(&&?)|(\|\|?)|(\s+)""")
"""Texts, a quoted name, signs for and and or, space: what differs from Python's grammar."""
STATED = {"notna": True, "notnull": True, "isna": False, "isnull": False}
"""Methods of pandas: whether the field has to be stated."""
MEANS = ("snr_db",)
"""Fields of three numbers, of which the mean is compared."""


class WhereError(EqedgeError):
    """The expression cannot be read."""


class Where:
    """An expression that accepts some traces: comparisons of fields, joined by and, or, not.

    `<`, `<=`, `>`, `>=`, `==`, `!=`, `in`, `not in`; `+`, `-`, `*`, `/` of numbers; `&`, `|`, `~`
    as pandas has them, and `.isna()` and `.notna()` of a field, but no other method. As in pandas,
    each comparison with a field that is not stated is false, but for `!=` and `not in`. A field has
    STEAD's name or SeisBench's, in any capitals.

    Args:
        text: Such as `snr_db > 10 and network_code in ["CI", "NC"]`.

    Attributes:
        fields: STEAD's names of the fields in it.

    Raises:
        WhereError: It is none, or has something else in it.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise WhereError(f"--where: {len(text)} characters; use {LONGEST} at most")
        try:
            self._tree = ast.parse(_python(text), mode="eval").body
            _check(self._tree, truth=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.args[0] if error.args else "too deep"
            raise WhereError(
                f"--where {text!r}: {reason}; write it as: snr_db > 10 and receiver_type == 'HH'"
            ) from error
        names = (node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name))
        self.fields = tuple(dict.fromkeys(map(steads_name, names)))

    def __str__(self) -> str:
        """Return the expression."""
        return self.text

    def accepts(self, attributes: Mapping[str, Any]) -> bool:
        """Whether a trace's fields fulfil it."""
        return _truth(self._tree, attributes)


def _python(text: str) -> str:
    """Write `&`, `|` and a name in backticks as Python has them; pandas binds them so too."""

    def written(found: re.Match[str]) -> str:
        literal, name, both, either, _ = found.groups()
        return literal or name or (both and " and ") or (either and " or ") or " "

    return _AS_PANDAS_HAS_IT.sub(written, text).strip()


def _check(node: ast.expr, *, truth: bool) -> None:
    """Reject what is not of this language.

    Raises:
        ValueError: Such a thing.
    """
    match node:
        case ast.BoolOp(values=values) if truth:
            for value in values:
                _check(value, truth=True)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand) if truth:
            _check(operand, truth=True)
        case ast.Compare(left=left, ops=ops, comparators=comparators) if truth:
            for operand in (left, *comparators):
                _check(operand, truth=False)
            for op, right in zip(ops, comparators, strict=True):
                of_a_list = isinstance(right, ast.List | ast.Tuple)
                if isinstance(op, ast.In | ast.NotIn) and not of_a_list:
                    raise ValueError("`in` takes a list such as ['CI', 'NC']")
                if of_a_list and not isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq):
                    raise ValueError("a list is compared by `in` or `not in`")
                if isinstance(op, ast.Is | ast.IsNot):
                    raise ValueError("use == or != in place of `is`")
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr=method), args=[], keywords=[]) if (
            truth and method in STATED
        ):
            pass
        case ast.Call():
            raise ValueError(
                f"{ast.unparse(node)[:60]}: only .isna() and .notna() of a field can be called"
            )
        case ast.List(elts=items) | ast.Tuple(elts=items) if not truth:
            for item in items:
                if not isinstance(item, ast.Constant | ast.UnaryOp):
                    raise ValueError("a list holds numbers and texts")
                _check(item, truth=False)
        case ast.BinOp(op=op, left=left, right=right) if not truth and type(op) in _ARITHMETIC:
            _check(left, truth=False)
            _check(right, truth=False)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand) if not truth:
            _check(operand, truth=False)
        case ast.Name() if not truth:
            pass
        case ast.Constant(value=bool() | int() | float() | str()) if not truth:
            pass
        case _:
            found = ast.unparse(node)
            kind = "is not a comparison" if truth else "cannot be compared"
            raise ValueError(f"{found[:60]} {kind}")


def _truth(node: ast.expr, attributes: Mapping[str, Any]) -> bool:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_truth(value, attributes) for value in values)
        case ast.BoolOp(values=values):
            return any(_truth(value, attributes) for value in values)
        case ast.UnaryOp(operand=operand):
            return not _truth(operand, attributes)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            operands = [left, *comparators]
            pairs = zip(operands, ops, comparators, strict=False)
            return all(_compare(one, op, other, attributes) for one, op, other in pairs)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=field), attr=method)):
            return (_field(field, attributes) is not None) is STATED[method]
    raise AssertionError("checked before")


def _compare(one: ast.expr, op: ast.cmpop, other: ast.expr, attributes: Mapping[str, Any]) -> bool:
    left = _value(one, attributes)
    if isinstance(other, ast.List | ast.Tuple):  # == is `in` there, as pandas has it
        found = any(_equal(left, _value(item, attributes)) for item in other.elts)
        return found is isinstance(op, ast.In | ast.Eq)
    right = _value(other, attributes)
    if isinstance(op, ast.Eq | ast.NotEq):
        return _equal(left, right) is isinstance(op, ast.Eq)
    a, b = number(left), number(right)
    if a is not None and b is not None:
        return _COMPARISONS[type(op)](a, b)
    # two texts, such as times in STEAD's form, are in the order of their letters
    if isinstance(left, str) and isinstance(right, str) and a is None and b is None:
        return _COMPARISONS[type(op)](left, right)
    return False


def _equal(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    a, b = number(left), number(right)
    return a == b if a is not None and b is not None else str(left) == str(right)


def _value(node: ast.expr, attributes: Mapping[str, Any]) -> Any:
    """Return a number or a text, or None where a field is not stated."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=field):
            return _field(field, attributes)
        case ast.UnaryOp(op=op, operand=operand):
            value = number(_value(operand, attributes))
            return value if value is None or isinstance(op, ast.UAdd) else -value
        case ast.BinOp(op=op, left=left, right=right):
            a, b = (number(_value(side, attributes)) for side in (left, right))
            if a is None or b is None or (isinstance(op, ast.Div) and b == 0):
                return None
            return _ARITHMETIC[type(op)](a, b)
    raise AssertionError("checked before")


def _field(field: str, attributes: Mapping[str, Any]) -> Any:
    field = steads_name(field)
    value = plain(attributes.get(field))
    if not stated(value):
        return None
    if field in MEANS:
        return mean(value)
    return value.strip() if isinstance(value, str) else value


def mean(value: Any) -> float | None:
    """Return the mean of several numbers, `[56.8 55.4 47.4]` as text or as an array."""
    parts = str(plain(value)).replace(",", " ").strip("[] ").split()
    numbers = [x for x in map(number, parts) if x is not None and math.isfinite(x)]
    return sum(numbers) / len(numbers) if numbers else None
