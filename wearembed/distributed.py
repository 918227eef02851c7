"""Several processes that train one net together, as torchrun starts them; with a single one, nothing happens here.

Each process has a share of every batch. Its loss is a mean over its own rows or over all of them, and gradients are
averaged over the processes; what is gathered brings the gradients of all of them back.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

PATIENCE = timedelta(minutes=30)  # how long a process waits for the others
TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # by torchrun


def n_processes() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in TOLD) else 1


def is_first_process() -> bool:
    """Whether this is the process that prints and writes: torchrun's rank 0, or the only one."""
    return n_processes() == 1 or int(os.environ["RANK"]) == 0


def own_gpu() -> int:
    """The GPU that is this process's among those of its machine."""
    return int(os.environ.get("LOCAL_RANK", 0)) % max(1, torch.cuda.device_count()) if n_processes() > 1 else 0


# ------------------------------------------------------------------------------------- who is there


@dataclass
class Team:
    """The processes that are training together now."""

    rank: int
    size: int
    group: Any
    store: Any  # where a process that fails leaves word


team: Team | None = None  # of this process, while it trains
times_joined: Counter[str] = Counter()


class OthersStopped(RuntimeError):
    """What this process waited for never came."""


@contextmanager
def together(device: str = "cpu", wanted: bool = True) -> Iterator[None]:
    """Inside, the processes are a team, if torchrun started more than one; they go in and come out together.

    Where one of them fails, it leaves word and hangs up, and the others raise a ``RuntimeError`` with its message.
    """
    global team
    if team is not None or not wanted or n_processes() == 1:
        yield
        return
    try:
        team = own = join(device)
    except OthersStopped as error:
        raise RuntimeError(lost(int(os.environ["RANK"]))) from error
    try:
        yield
        all_said(None)  # nobody leaves before all have succeeded
    except OthersStopped as error:
        hang_up(own)
        raise RuntimeError(word_of(own)) from error
    except BaseException as error:
        leave_word(own, error)
        hang_up(own)
        raise
    else:
        dist.destroy_process_group(own.group)
    finally:
        team = None


def join(device: str) -> Team:
    """A process group of its own for each fit, so that none is left behind."""
    times_joined["fit"] += 1
    rank, size = int(os.environ["RANK"]), n_processes()
    store = dist.PrefixStore(f"fit {times_joined['fit']}", meeting_point())
    kind = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    hook = sys.excepthook
    with listening():
        if dist.is_initialized():  # by whoever called us
            return Team(rank, size, dist.new_group(backend=kind, timeout=PATIENCE), store)
        dist.init_process_group(kind, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    sys.excepthook = hook  # torch would put the rank before each line, once more after each fit
    return Team(rank, size, dist.group.WORLD, store)


@cache
def meeting_point():
    """The store by which processes find one another: torchrun's own, or that of the first process."""
    torchruns = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    store = dist.TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        n_processes(),
        is_master=is_first_process() and not torchruns,
        timeout=PATIENCE,
        wait_for_workers=False,
        multi_tenant=True,
    )
    return dist.PrefixStore(f"wearembed {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


def leave_word(own: Team, error: BaseException):
    """Tell the others why they will not be answered; the first word counts."""
    word = f"Process {own.rank} of {own.size} stopped: {type(error).__name__}: {error}"
    with suppress(RuntimeError):  # the first process may be gone, and its store with it
        own.store.compare_set("stopped", "", word)


def word_of(own: Team) -> str:
    """Why another process stopped, as far as it said so."""
    with suppress(RuntimeError):
        if own.store.check(["stopped"]):
            return own.store.get("stopped").decode()
    return lost(own.rank)


def lost(rank: int) -> str:
    return (
        f"Process {rank} of {n_processes()} lost the others: one was killed, or did not answer for "
        f"{PATIENCE.total_seconds():g} s. See what they wrote last."
    )


def hang_up(own: Team):
    """Let the others notice at once. NCCL would wait for them; there the end of the process is the sign."""
    if "nccl" not in dist.get_backend_config(own.group):
        dist.destroy_process_group(own.group)


@contextmanager
def listening() -> Iterator[None]:
    """Tell a broken connection from errors of our own."""
    try:
        yield
    except RuntimeError as error:
        raise OthersStopped(str(error)) from error


# ------------------------------------------------------------------------------------- what they tell one another


def all_said(value) -> list:
    """What each process says, in order."""
    if team is None:
        return [value]
    said: list[Any] = [None] * team.size
    with listening():
        dist.all_gather_object(said, value, group=team.group)
    return said


def first_said(make: Callable[[], Any]) -> Any:
    """What the first process makes, on all of them; the others make nothing."""
    if team is None:
        return make()
    said = [make() if team.rank == 0 else None]
    with listening():
        dist.broadcast_object_list(said, 0, group=team.group)
    return said[0]


def first_alone(what: str, do: Callable[[], Any]) -> Any:
    """Let the first process `do` something, outside of training too, and the others wait until it is done.

    The first waits for nobody, so that it may also be the only one to ask. What comes out is what JSON can say.
    """
    if n_processes() == 1:
        return do()
    times_joined[what] += 1
    key = f"{what} {times_joined[what]}"
    if not is_first_process():
        meeting_point().wait([key], PATIENCE)
        said = json.loads(meeting_point().get(key))
        if "stopped" in said:
            raise RuntimeError(f"The first process stopped: {said['stopped']}")
        return said["done"]
    try:
        done = do()
    except BaseException as error:
        meeting_point().set(key, json.dumps({"stopped": f"{type(error).__name__}: {error}"}))
        raise
    meeting_point().set(key, json.dumps({"done": done}))
    return done


def total(x: Tensor) -> Tensor:
    """The sum over the processes; no gradient."""
    if team is None:
        return x
    x = x.detach().clone()
    with listening():
        dist.all_reduce(x, group=team.group)
    return x


@torch.no_grad()
def make_alike(module: nn.Module):
    """Give all processes the parameters and buffers of the first."""
    if team is None:
        return
    for tensor in module.state_dict().values():
        given = tensor.detach().contiguous()
        with listening():
            dist.broadcast(given, 0, group=team.group)
        tensor.copy_(given)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]):
    """Each gradient becomes the mean over the processes; one that no process has stays missing."""
    if team is None:
        return
    wanted = [p for p in parameters if p.requires_grad]
    for dtype in sorted({p.dtype for p in wanted}, key=str):
        some = [p for p in wanted if p.dtype == dtype]
        there = torch.tensor([p.grad is not None for p in some], dtype=dtype, device=some[0].device)
        flat = torch.cat([there, *(torch.zeros_like(p).ravel() if p.grad is None else p.grad.ravel() for p in some)])
        there, *means = (total(flat) / team.size).split([len(some), *(p.numel() for p in some)])
        for p, any_has, mean in zip(some, there.tolist(), means):
            p.grad = mean.view_as(p).clone() if any_has else None


# ------------------------------------------------------------------------------------- rows of a batch


class Share(NamedTuple):
    """Which rows of a batch are this process's: all of them, where there is one."""

    sizes: tuple[int, ...]  # rows of each process
    rank: int = 0

    @classmethod
    def of(cls, own: Tensor) -> "Share":
        """All processes ask at once, each with its own rows."""
        if team is None:
            return cls((len(own),))
        sizes = [torch.empty(1, dtype=torch.long) for _ in range(team.size)]
        with listening():
            dist.all_gather(sizes, torch.tensor([len(own)]), group=team.group)
        return cls(tuple(int(size) for size in sizes), team.rank)

    @property
    def start(self) -> int:
        """How many rows are of processes before this one."""
        return sum(self.sizes[: self.rank])

    def own(self, whole: Tensor) -> Tensor:
        """Of a whole batch the rows of this process."""
        return whole if len(self.sizes) == 1 else whole[self.start : self.start + self.sizes[self.rank]]

    def whole(self, own: Tensor) -> Tensor:
        """The rows of all processes, in their order, with gradients that come from all of them."""
        return own if len(self.sizes) == 1 else Gathered.apply(own, self)

    def changed(self, change: Callable[[Tensor], Tensor] | None, own: Tensor) -> Tensor:
        """What a random `change` makes of own rows, as if one process had drawn it for the whole batch."""
        return own if change is None else self.own(change(self.whole(own)))

    def weighed(self, mean: Tensor) -> Tensor:
        """A mean over own rows such that the mean over the processes is the one over all rows."""
        if len(self.sizes) == 1:
            return mean
        if not self.sizes[self.rank]:
            return mean.nan_to_num() * 0  # with a way back, on which the others want to be met
        share = self.sizes[self.rank] / sum(self.sizes)
        return mean * (share * len(self.sizes))


class Gathered(torch.autograd.Function):
    """The rows of all processes on each of them. On the way back each gets what all have to say about its own."""

    @staticmethod
    def forward(ctx, own: Tensor, share: Share) -> Tensor:
        ctx.share = share
        padded = own.new_zeros(max(share.sizes), *own.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in share.sizes]
        assert team is not None
        with listening():
            dist.all_gather(parts, padded, group=team.group)
        return torch.cat([part[:size] for part, size in zip(parts, share.sizes)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, to_whole: Tensor):
        return ctx.share.own(total(to_whole)), None


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Dropout, drawn for the rows of all processes."""
    if team is None or not (training and p):
        return F.dropout(x, p, training)
    share = Share.of(x)
    return x * share.own(F.dropout(x.new_ones(sum(share.sizes), *x.shape[1:]), p))
