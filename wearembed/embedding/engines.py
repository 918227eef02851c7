"""Who calls `embed_part`: this process, processes of this machine, or the workers of a Dask cluster."""

import hashlib
import pickle
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import joblib
from joblib.parallel import get_active_backend

from ..disk import write_pieces
from ..memory import kept_memory
from .parts import Part, embed_part

Done = tuple[int, str | None]  # number of a part, and why it failed
held: dict[str, Any] = {}  # the encoder of this process, by the SHA-256 of its pickle


class Sent(NamedTuple):
    """An encoder that lies in a file, for whoever does not have it yet."""

    file: str
    sha256: str


@contextmanager
def carried(encoder, out: Path) -> Iterator[Sent]:
    """Have the encoder travel once to each process, not with each part; this one keeps what it has."""
    payload = cloudpickle.dumps(encoder)
    sent = Sent(str(out / ".encoder-sent"), hashlib.sha256(payload).hexdigest())
    write_pieces(Path(sent.file), [payload])
    held[sent.sha256] = encoder
    try:
        yield sent
    finally:
        held.pop(sent.sha256, None)
        Path(sent.file).unlink(missing_ok=True)


def received(sent: Sent):
    """The encoder; what is unpickled is what was sent, whoever can write to the folder."""
    encoder = held.get(sent.sha256)
    if encoder is None:
        payload = Path(sent.file).read_bytes()
        if hashlib.sha256(payload).hexdigest() != sent.sha256:
            raise ValueError(f"{sent.file} is not what was written. Call embed_store again.")
        held.clear()
        encoder = held[sent.sha256] = pickle.loads(payload)
    return encoder


def attempt(number: int, part: Part, sent: Sent) -> Done:
    """Embed a part; an error is for the list at the end, and stops no other part."""
    try:
        with kept_memory():  # a worker gave back what each batch freed, and took half as long again for it
            embed_part(part, received(sent))
    except Exception as error:
        return number, f"{type(error).__name__}: {error}"
    return number, None


def done(parts: list[Part], sent: Sent, engine, n_jobs) -> Iterator[Done]:
    """Numbers of parts as they are done."""
    if not parts:
        return
    with cluster(engine) as client:
        yield from by_joblib(parts, sent, n_jobs) if client is None else by_dask(parts, sent, client)


# ------------------------------------------------------------------------------- processes of this machine


def by_joblib(parts: list[Part], sent: Sent, n_jobs) -> Iterator[Done]:
    """All parts; again after a process was killed, and at last one by one, to find whose process always is."""
    left, n_before = dict(enumerate(parts)), len(parts) + 1
    while len(left) < n_before:
        n_before = len(left)
        try:
            yield from one_pass(left, sent, n_jobs)
        except BrokenProcessPool:
            for number in [number for number, part in left.items() if part.file.exists()]:
                del left[number]
                yield number, None
    for number, part in left.items():
        try:
            yield from one_pass({number: part}, sent, n_jobs)
        except BrokenProcessPool as error:
            yield number, killed(error)


def one_pass(left: dict[int, Part], sent: Sent, n_jobs) -> Iterator[Done]:
    """Parts by their numbers; those that were done are taken out."""
    calls = [joblib.delayed(attempt)(number, part, sent) for number, part in left.items()]
    for number, error in joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(calls):
        del left[number]
        yield number, error


def killed(error: Exception) -> str:
    return (
        f"its process was killed ({type(error).__name__}), as happens where memory runs out. Try fewer at once, by "
        f"n_jobs."
    )


# ------------------------------------------------------------------------------- a Dask cluster


@contextmanager
def cluster(engine):
    """A Dask client, or None for joblib's own backends."""
    if engine == "joblib":
        yield getattr(get_active_backend()[0], "client", None)  # within joblib.parallel_config("dask")
        return
    try:
        import distributed
    except ImportError as error:
        raise ImportError(f'engine={engine!r} needs Dask. pip install "wearembed[distributed]".') from error
    if isinstance(engine, distributed.Client):
        yield engine
    elif engine == "dask":
        yield distributed.default_client()
    elif isinstance(engine, str) and "://" in engine:
        with distributed.Client(engine, set_as_default=False) as client:
            yield client
    else:
        raise ValueError(
            f'engine is "joblib", "dask", the address of a scheduler such as "tcp://10.0.0.1:8786", or a '
            f"distributed.Client; got {engine!r}."
        )


def by_dask(parts: list[Part], sent: Sent, client) -> Iterator[Done]:
    """Parts by the cluster itself: joblib's backend waits for ever for one whose workers keep being killed.

    The scheduler gives a part whose worker died to another one, and gives it up after some deaths
    (``distributed.scheduler.allowed-failures``).
    """
    from distributed import as_completed

    numbers, sents = range(len(parts)), [sent] * len(parts)
    futures = client.map(attempt, numbers, parts, sents, pure=False, key="embed_part")
    number_of = {future.key: number for number, future in enumerate(futures)}
    try:
        for future, result in as_completed(futures, with_results=True, raise_errors=False):
            if future.status == "finished":
                yield result
            else:
                yield number_of[future.key], told(result)
            future.release()
    finally:
        client.cancel([future for future in futures if not future.done()])


def told(result) -> str:
    """Why the cluster gave up a part."""
    error = result[1] if isinstance(result, tuple) else result
    return f"given up by the cluster: {type(error).__name__}: {error}"
