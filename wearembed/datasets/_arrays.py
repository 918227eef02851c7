"""Arrays out of a pickle, read without letting the pickle import or call anything."""

import mmap
import pickletools
import re
from collections.abc import Callable

import numpy as np

_DEEPEST = 20  # containers in one another


def read_arrays(path, without=()):
    """What a pickle of arrays, numbers, text and containers of them says, keys as text.

    A pickle is a program. Python's own module is not asked to run it: its instructions are listed by `pickletools` and
    followed here, as far as data needs them, and a file with any other instruction is refused. Where it names a
    function, that is one of the few with which numpy writes arrays, each standing for a few lines below, or the file
    is refused; nothing is imported.

    Parameters
    ----------
    path : path
    without : sequence of str
        Keys of dictionaries to leave out, with what they hold.

    Returns
    -------
    dict, list, array, number or str

    Raises
    ------
    ValueError
        The file asks for more than arrays, or is damaged.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _plain(_followed(content), set(without), {}, 0)
    except _Refused as error:
        raise ValueError(f"{path} asks for {error}, which arrays have no need of. Do not trust it.") from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"{path} is not a whole pickle of arrays ({error}). Unpack it again.") from error


class _Refused(Exception):
    pass


def _followed(content):
    """What is left on the stack when the instructions end."""
    stack: list = []
    memo: dict[int, object] = {}
    for instruction, value, _ in pickletools.genops(content):
        name = instruction.name
        if name in _VALUES:
            stack.append(value)
        elif name in _NEW:
            stack.append(_NEW[name]())
        elif name in _MEMO:
            _MEMO[name](stack, memo, value)
        elif name in _STEPS:
            _STEPS[name](stack)
        elif name == "GLOBAL":
            stack.append(_word(*str(value).split(" ", 1)))
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise _Refused(f"the instruction {name}")
    (found,) = stack
    return found


class _Word:
    """Stands for a word of numpy's; holds what was said, and is made real at the end."""

    def __init__(self, *said):
        self.said = said
        self.state: tuple = ()


class _Array(_Word):
    def real(self):
        _, shape, dtype, fortran, raw = self.state
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # Python 2 knew one kind of string
        return np.frombuffer(raw, dtype.real()).reshape(tuple(shape), order="F" if fortran else "C")


class _Dtype(_Word):
    def real(self):
        kind, order = _text(self.said[0]), _text(self.state[1]) if self.state else "="
        if not re.fullmatch(r"[biuf][1248]|[SU]\d{1,4}", kind) or order not in ("<", ">", "=", "|"):
            raise ValueError(f"an array of {order}{kind}")
        return np.dtype(kind).newbyteorder(order)


class _Scalar(_Word):
    def real(self):
        dtype, raw = self.said
        raw = raw.encode("latin-1") if isinstance(raw, str) else raw
        return np.frombuffer(raw, dtype.real())[0].item()


class _Bytes(_Word):
    """Python 3 writes bytes as text, with a call that turns it back."""

    def __new__(cls, text, encoding):
        return text.encode("latin-1")


_WORDS = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy", "ndarray"): _Word,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Bytes,
}


def _word(module, name):
    known = _WORDS.get((module.replace("numpy._core", "numpy.core"), name))
    if known is None:
        raise _Refused(f"{module}.{name}")
    return known


_MARK = object()
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_NEW: dict[str, Callable] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "MARK": lambda: _MARK,
}


def _keep(stack, memo, value):
    memo[len(memo) if value is None else value] = stack[-1]


def _recall(stack, memo, value):
    stack.append(memo[value])


_MEMO = {
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _keep),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _recall),
}


def _taken(stack, count):
    """The last items off the stack, so many of them."""
    if count > len(stack):
        raise IndexError("more was taken than given")
    items = stack[len(stack) - count :]
    del stack[len(stack) - count :]
    return items


def _since_mark(stack):
    """The items off the stack since the last mark, and the mark."""
    above = next((count for count, item in enumerate(reversed(stack)) if item is _MARK), None)
    if above is None:
        raise IndexError("no mark")
    return _taken(stack, above + 1)[1:]


def _as_dict(items):
    return dict(zip(items[::2], items[1::2], strict=True))


def _fill(stack, items):
    """Put items into the container below them."""
    if isinstance(stack[-1], list):
        stack[-1].extend(items)
    else:
        _of_kind(stack[-1], dict).update(_as_dict(items))


def _call(stack):
    word, said = _taken(stack, 2)
    if not (isinstance(word, type) and issubclass(word, _Word) and isinstance(said, tuple)):
        raise _Refused("a call of something that is no function")
    stack.append(word(*said))


def _set_state(stack):
    thing, state = _taken(stack, 2)
    _of_kind(thing, _Word).state = state
    stack.append(thing)


def _of_kind(thing, kind):
    if not isinstance(thing, kind):
        raise TypeError(f"a {kind.__name__} was due, not a {type(thing).__name__}")
    return thing


_STEPS = {
    "TUPLE1": lambda stack: stack.append(tuple(_taken(stack, 1))),
    "TUPLE2": lambda stack: stack.append(tuple(_taken(stack, 2))),
    "TUPLE3": lambda stack: stack.append(tuple(_taken(stack, 3))),
    "TUPLE": lambda stack: stack.append(tuple(_since_mark(stack))),
    "LIST": lambda stack: stack.append(_since_mark(stack)),
    "DICT": lambda stack: stack.append(_as_dict(_since_mark(stack))),
    "APPEND": lambda stack: _fill(stack, _taken(stack, 1)),
    "APPENDS": lambda stack: _fill(stack, _since_mark(stack)),
    "SETITEM": lambda stack: _fill(stack, _taken(stack, 2)),
    "SETITEMS": lambda stack: _fill(stack, _since_mark(stack)),
    "STACK_GLOBAL": lambda stack: stack.append(_word(*_taken(stack, 2))),
    "REDUCE": _call,
    "BUILD": _set_state,
}


def _plain(thing, without, seen, depth):
    """The same with real arrays; what stands in two places is made once."""
    if depth > _DEEPEST:
        raise ValueError(f"containers more than {_DEEPEST} deep")
    if id(thing) not in seen:
        seen[id(thing)] = _made(thing, without, seen, depth + 1)
    return seen[id(thing)]


def _made(thing, without, seen, depth):
    if isinstance(thing, (_Array, _Scalar)):
        return thing.real()
    if isinstance(thing, dict):
        named = {_text(key): value for key, value in thing.items()}
        return {key: _plain(value, without, seen, depth) for key, value in named.items() if key not in without}
    if isinstance(thing, (list, tuple)):
        return [_plain(value, without, seen, depth) for value in thing]
    if isinstance(thing, (_Word, type)) or thing is _MARK:
        raise ValueError(f"a {thing!r} that stands for nothing")
    return _text(thing)


def _text(thing):
    return thing.decode("latin-1") if isinstance(thing, bytes) else thing
