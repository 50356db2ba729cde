"""The pickle of a state dict, read by an interpreter that can build plain values and tensors, and do nothing else.

A pickle is a program for a stack machine, and Python's own reader of it imports and calls what it names. This one knows
the instructions that plain dictionaries, lists, tuples, text and numbers need, and the few names of a state dict; at
anything else it stops. The instructions: Python's Lib/pickletools.py.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from typing import IO, Any

MAKES_DICT, MAKES_TENSOR = "collections.OrderedDict", "torch._utils._rebuild_tensor_v2"
VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINSTRING",
          "SHORT_BINSTRING"}  # fmt: skip
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Refused(ValueError):
    """What a pickle asks for and no state dict needs, in a few words."""


class Name(str):
    """A name that a pickle may mention, as `module.name`: it is compared, never looked up."""


def read_pickle(
    file: IO[bytes], *, storages: frozenset[str], storage: Callable[[Any], Any], tensor: Callable[..., Any]
) -> Any:
    """The value of the pickle that begins here; the file is left behind it.

    Args:
        storages: the names in `torch` that may be mentioned.
        storage: makes what a persistent id stands for; a storage's name in the id is a `Name`.
        tensor: called with the arguments of `torch._utils._rebuild_tensor_v2`.
    Raises:
        Refused: it does, or names, anything else.
        Exception: it is damaged: `pickletools` and the stack raise what they raise.
    """
    allowed = {MAKES_DICT, MAKES_TENSOR} | {f"torch.{name}" for name in storages}
    stack: list[Any] = []
    marks: list[int] = []  # where on the stack the items of a list, tuple or dictionary begin
    memo: dict[int, Any] = {}
    argument: Any
    for code, argument, _ in pickletools.genops(file):
        name = code.name
        if name in VALUES:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name]())
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(_allowed(_dotted(argument, stack), allowed))
        elif name == "BINPERSID":
            stack.append(storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_made(function, arguments, tensor))
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            _build(name, stack, marks)
    raise Refused("it has no end")


def _dotted(argument: str | None, stack: list[Any]) -> str:
    if argument is not None:
        return argument.replace(" ", ".", 1)
    name, module = stack.pop(), stack.pop()
    if type(name) is not str or type(module) is not str:
        raise Refused("it names something by what is no text: refused")
    return f"{module}.{name}"


def _allowed(name: str, allowed: set[str]) -> Name:
    if name not in allowed:
        raise Refused(f"it asks for {name[:80]}, which no state dict needs: refused")
    return Name(name)


def _made(function: Any, arguments: Any, tensor: Callable[..., Any]) -> Any:
    if type(function) is not Name or type(arguments) is not tuple:
        raise Refused("it calls what is no function: refused")
    if function == MAKES_TENSOR:
        return tensor(*arguments)
    if function == MAKES_DICT:
        made: dict[Any, Any] = {}
        for key, value in arguments[0] if arguments else ():  # as Python 2 wrote it
            _set(made, key, value)
        return made
    raise Refused(f"it calls {function}, which no state dict needs: refused")


def _build(name: str, stack: list[Any], marks: list[int]) -> None:
    """The instructions that put values into others."""
    if name == "MARK":
        marks.append(len(stack))
    elif name in TUPLES:
        stack[-TUPLES[name] :] = [tuple(stack[-TUPLES[name] :])]
    elif name == "TUPLE":
        stack.append(tuple(_to_mark(stack, marks)))
    elif name in ("APPEND", "APPENDS"):
        items = _to_mark(stack, marks) if name == "APPENDS" else [stack.pop()]
        _of_type(stack[-1], list).extend(items)
    elif name in ("SETITEM", "SETITEMS"):
        items = _to_mark(stack, marks) if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
        for key, value in _pairs(items):
            _set(_of_type(stack[-1], dict), key, value)
    elif name == "BUILD":  # the attributes of an OrderedDict, such as the networks' versions: nothing of them is kept
        stack.pop()
        _of_type(stack[-1], dict)
    else:
        raise Refused(f"it holds the instruction {name}, which no state dict needs: refused")


def _to_mark(stack: list[Any], marks: list[int]) -> list[Any]:
    start = marks.pop()
    items = stack[start:]
    del stack[start:]
    return items


def _pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(items[::2], items[1::2], strict=True)


def _of_type(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Refused(f"it fills what is no {kind.__name__}: refused")
    return value


def _set(target: dict[Any, Any], key: Any, value: Any) -> None:
    if type(key) not in (str, int):  # the hash of tuples within tuples could take forever
        raise Refused("it names a value by what is neither text nor a number: refused")
    target[key] = value
