"""Training as scikit-learn's callbacks see it: parts that are fitted first, then epochs."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9, which has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: there is no ``set_callbacks``."""

    def with_callbacks(method):
        return method


class Tasks:
    """The tasks of one ``fit``, told to the callbacks that ``set_callbacks`` was given; to nobody where there are none.

    Parameters
    ----------
    estimator : Trainable or WindowTransformer
        That is fitted.
    X, y
        What its ``fit`` was given, for callbacks that score.
    n_parts : int
        Estimators that are fitted before the first epoch.
    n_epochs : int
    """

    def __init__(self, estimator, X, y, n_parts: int, n_epochs: int):
        self.estimator, self.data = estimator, {"X": X, "y": y}
        begin = getattr(estimator, "_init_callback_context", lambda **tasks: None)
        self.root: Any = begin(max_subtasks=n_parts + n_epochs)
        self.epoch: Any = None
        self._tell("begin", self.root, dict)

    def done(self) -> None:
        """All of it."""
        self._tell("end", self.root, dict)

    def begin_epoch(self) -> None:
        if self.root is not None:
            self.epoch = self.root.subcontext(task_name="epoch")
            self._tell("begin", self.epoch)

    def end_epoch(self) -> bool:
        """Whether a callback wants training to stop here."""
        return self._tell("end", self.epoch, self._as_it_is)

    @contextmanager
    def part(self, part, name: str) -> Iterator[None]:
        """The ``fit`` of a part as a task, whose own are told too."""
        if self.root is None:
            yield
            return
        task = self.root.subcontext(task_name=f"fit-{name}")
        with task.propagate_callback_context(part):
            self._tell("begin", task)
            yield
        self._tell("end", task)

    def _as_it_is(self) -> dict[str, Any]:
        """What makes a copy of the estimator one whose training ended here."""
        return {"net_": copy.deepcopy(self.estimator.net_).eval()}

    def _tell(self, when: str, task, attributes=None) -> bool:
        if task is None:
            return False
        tell = getattr(task, f"call_on_fit_task_{when}")
        return tell(estimator=self.estimator, **self.data, reconstruction_attributes=attributes) is True
