"""Trained estimators by name: loading, saving, verifying, and how they survive clone and pickle."""

import copy
import inspect
import json
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .. import __version__, hub
from ..training import find_device
from .contract import Contract

# Parameters that say where and how to run, not what the estimator is; a checkpoint does not keep them.
OF_THE_RUN = {
    *("weights", "revision", "max_epochs", "device", "compile", "num_workers", "callbacks", "checkpoint_dir"),
    *("random_state", "verbose", "sfreq", "units", "validation_fraction", "precision"),
    *("distance", "teacher", "encoder", "net", "objective", "class_weight"),
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

resident: WeakValueDictionary[tuple, torch.nn.Module] = WeakValueDictionary()  # frozen nets, one copy a process


class Pretrained(BaseEstimator):
    """A net with an input contract, named by where its weights are.

    With ``weights=SOURCE, max_epochs=0`` an estimator is frozen: it needs no ``fit``, and since all is in its
    parameters, it survives ``clone``, cross-validation and ``Pipeline.fit``. With more epochs, ``fit`` trains on from
    those weights.
    """

    net_: Any
    contract_: Contract
    _architecture: tuple[str, ...] = ()  # parameters that the net is built from
    _adjustable: tuple[str, ...] = ()  # those of them that may be set anew with given weights
    _handed_on: tuple[str, ...] = ()  # parameters that ``clone`` hands on as they are where they are fitted

    @classmethod
    def from_pretrained(cls, source, *, revision=None, local_files_only=False, token=None, cache_dir=None, **params):
        """Load a trained estimator; nothing is trained.

        Parameters
        ----------
        source : str or path
            A folder that `save_pretrained` wrote, a bundled name such as ``"wearembed/relcon-synthetic"``, or a
            repository of the Hugging Face hub, ``"user/name"``.
        revision : str, default=None
            Commit, tag or branch on the hub.
        local_files_only : bool, default=False
            Never call out.
        token : str or bool, default=None
            For private repositories.
        cache_dir : path, default=None
            Of the hub; its own default.
        **params
            Parameters to set besides, such as ``sfreq``, ``units`` and ``device``.

        Returns
        -------
        estimator
            ``cls(weights=source, max_epochs=0, ...)``, loaded. All of it is in its parameters.

        Raises
        ------
        FileNotFoundError
            Nothing is at `source`.
        ValueError
            What is there is damaged, of another class, or no checkpoint.
        """
        if Path(source).expanduser().is_file() and cls._architecture:
            return cls(weights=str(Path(source).expanduser().resolve()), max_epochs=0, **params)._load()
        where = {"revision": revision, "local_files_only": local_files_only, "token": token, "cache_dir": cache_dir}
        checkpoint = hub.load(source, **where)
        estimator = named(checkpoint, cls)(max_epochs=0)
        estimator._set_stored(checkpoint.config, checkpoint.folder)
        here = cache_dir is not None or Path(source).expanduser().exists()  # a clone may run elsewhere
        estimator.set_params(weights=str(checkpoint.folder.resolve() if here else source), revision=revision, **params)
        try:
            estimator._check_parameters()
        except TypeError as error:
            raise ValueError(f"{checkpoint.folder / 'config.json'} is damaged: {error}. Get it anew.") from error
        return estimator._take(checkpoint)

    def save_pretrained(
        self, folder, *, data=(), license=None, synthetic=None, description="", dtype="float32"
    ) -> "Pretrained":
        """Write a checkpoint folder: weights, contract, hashes, a reference to verify by, and a card.

        Parameters
        ----------
        folder : path
            New, empty, or with an older checkpoint, which stays whole until the new one is.
        data : sequence of str, default=()
            Names of the data sets that the weights were trained on, besides those of the weights that training began
            from.
        license : str, default=None
            Of the weights, by its SPDX name.
        synthetic : bool, default=None
            Whether all of the data were simulated; stands in the card's first line and in ``repr``. None: as in the
            checkpoint that it was loaded from, if it was not trained since; else False.
        description : str, default=""
            A sentence for the card, such as the command that trained the weights.
        dtype : {"float32", "bfloat16"}, default="float32"
            Storage; the weights are float32 again when loaded.

        Returns
        -------
        self
        """
        self._ready()
        if dtype not in DTYPES:
            raise ValueError(f"dtype is one of {', '.join(DTYPES)}; got {dtype!r}.")
        tensors = {name: stored(t, DTYPES[dtype]) for name, t in self._tensors().items()}
        twin = copy.deepcopy(self).set_params(precision="float32", compile=False)
        twin._fill({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}, folder)
        windows = reference_windows(self.contract_)
        reference = {"windows": torch.from_numpy(windows), "output": torch.from_numpy(twin._replay(windows))}
        training = {**getattr(self, "training_", {})}
        data = [*training.get("data", []), *(name for name in data if name not in training.get("data", []))]
        said = {"data": data, "license": license, "synthetic": synthetic, "description": description}
        training |= {key: value for key, value in said.items() if value not in (None, "", [])}
        hub.save(folder, {**self._config(), "training": training}, tensors, reference)
        return self

    def verify(self) -> bool:
        """Read the weights anew, check their hashes, and replay the stored reference.

        Returns
        -------
        True

        Raises
        ------
        ValueError
            The files are damaged, or this machine, or this estimator, gives other numbers than were stored.
        """
        if self.weights is None:
            raise ValueError(
                f"verify compares with the reference stored beside weights, and this {type(self).__name__} has none: "
                f"save_pretrained it and load it from there."
            )
        checkpoint = self._read()
        self._ready()
        twin = copy.copy(self).set_params(precision="float32")
        if not checkpoint.reference:
            raise ValueError(f"{self.weights} stores no reference to verify by; save_pretrained writes one.")
        expected = checkpoint.reference["output"].numpy()
        got = twin._replay(checkpoint.reference["windows"].numpy())
        if got.shape != expected.shape or not np.allclose(got, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max()):
            raise ValueError(
                f"{type(self).__name__} does not give the reference stored at {self.weights}: its weights or "
                f"its attention were changed, by training or by hand, or this build of torch computes something else."
            )
        return True

    # --------------------------------------------------------------------------------- reading

    def _ready(self):
        """Loaded, if weights are named and nothing is to be trained; else a complaint where `fit` is missing."""
        if hasattr(self, "net_"):
            return
        if self.__sklearn_is_fitted__():
            self._load()
        else:
            check_is_fitted(self, "net_")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_") or (self.weights is not None and not self.max_epochs)

    def _read(self) -> hub.Checkpoint:
        if Path(self.weights).expanduser().is_file():
            return self._official(Path(self.weights).expanduser())
        return hub.load(self.weights, revision=self.revision)

    def _official(self, file: Path) -> hub.Checkpoint:
        """A file of an official trainer as if it were a checkpoint folder."""
        raise ValueError(f"{type(self).__name__} loads checkpoint folders; {file} is a file.")

    def _load(self) -> "Pretrained":
        checkpoint = self._read()
        named(checkpoint, type(self))
        return self._take(checkpoint)

    def _take(self, checkpoint: hub.Checkpoint) -> "Pretrained":
        """Become what the checkpoint holds."""
        self._shape(checkpoint.config, checkpoint.folder)
        self._fill(checkpoint.tensors, checkpoint.folder)
        if not self.max_epochs:
            device = find_device(self.device)
            key = (checkpoint.config["model_sha256"], repr(self.architecture_), type(self), device)
            self.net_ = resident.setdefault(key, self.net_)
        return self

    def _shape(self, config: dict, folder: Path):
        """Contract and net of a checkpoint, without its weights.

        The net has no memory of its own until tensors fill it, so that a damaged file cannot ask for any.
        """
        self.contract_ = read_contract(config, folder)
        self.architecture_ = self._agreed(config)
        self.training_ = dict(config.get("training", {}))
        self.n_channels_in_, self.n_times_in_ = self.contract_.n_channels, self.contract_.n_times
        try:
            if not all(number < 10_000 for number in numbers(list(self.architecture_.values()))):
                raise ValueError("sizes beyond all reason")
            self.net_ = self._empty_net()
        except (ValueError, TypeError, RuntimeError) as error:
            raise ValueError(f"{folder / 'config.json'} is damaged: no net can be built from it: {error}.") from error

    def _empty_net(self) -> torch.nn.Module:
        with torch.device("meta"):
            return type(self)(**self.architecture_)._make_net(self.contract_.n_channels).eval()

    def _set_stored(self, config: dict, folder: Path):
        """Parameters as they were saved, with the rate and units of the contract."""
        contract = read_contract(config, folder)
        unknown = sorted(set(config["params"]) - (set(self.get_params(deep=False)) - OF_THE_RUN))
        if unknown:
            raise ValueError(
                f"{folder / 'config.json'} names parameters that {type(self).__name__} does not have: "
                f"{', '.join(unknown)}. It may be of a newer version of wearembed."
            )
        params = {key: frozen(value) for key, value in config["params"].items()}
        self.set_params(**params, sfreq=contract.sfreq, units=contract.units)

    def _agreed(self, config: dict) -> dict:
        """Architecture of the stored net; an error where a parameter asks for another."""
        defaults = inspect.signature(type(self).__init__).parameters
        agreed = {}
        for key in self._architecture:
            own = frozen(getattr(self, key))
            value = own if key in self._adjustable else frozen(config["params"].get(key, own))
            if own not in (value, defaults[key].default):
                raise ValueError(
                    f"{key}={own!r} does not fit the weights of {self.weights}, which have {key}={value!r}. "
                    f"Leave {key} out, or train without weights."
                )
            agreed[key] = value
        return agreed

    # --------------------------------------------------------------------------------- modules

    def _modules(self) -> dict[str, torch.nn.Module]:
        """Everything that is saved."""
        return {"net": self.net_}

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {f"{part}.{key}": t for part, m in self._modules().items() for key, t in m.state_dict().items()}

    def _fill(self, tensors: dict[str, torch.Tensor], source):
        """Put tensors into the modules: every key, every shape, nothing over."""
        expected = {key: t.shape for key, t in self._tensors().items()}
        missing, over = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
        wrong = sorted(k for k in expected.keys() & tensors.keys() if expected[k] != tensors[k].shape)
        if missing or over or wrong:
            found = {"missing": missing, "not of this net": over, "of another shape": wrong}
            told = "; ".join(f"{len(keys)} {what} ({', '.join(keys[:3])})" for what, keys in found.items() if keys)
            raise ValueError(f"The weights at {source} do not fit {type(self).__name__}: {told}.")
        for part, module in self._modules().items():
            own = {key: tensors[f"{part}.{key}"].clone() for key in module.state_dict()}
            module.load_state_dict(own, assign=True)
            module.requires_grad_(True).eval()

    def _config(self) -> dict:
        params = self.get_params(deep=False)
        params = {k: v for k, v in params.items() if k not in OF_THE_RUN and not callable(v)}
        params |= {k: v for k, v in self.architecture_.items() if k not in OF_THE_RUN}
        return {
            "wearembed_version": __version__,
            "estimator_class": type(self).__name__,
            "params": json.loads(json.dumps(params, default=lambda value: value.item())),  # numpy's numbers
            "contract": self.contract_.to_dict(),
            "output": self._output(),
        }

    def _output(self) -> str:
        """What comes out, in words, for the card."""
        raise NotImplementedError

    def _replay(self, windows: np.ndarray) -> np.ndarray:
        """What the net makes of windows that already are as the contract says."""
        raise NotImplementedError

    # --------------------------------------------------------------------------------- clone, pickle and repr

    def __sklearn_clone__(self):
        """A fitted teacher is handed on, since it is what a student is told of and nothing that it learns."""
        twin = super().__sklearn_clone__()
        for name in self._handed_on:
            given = getattr(self, name)
            if isinstance(given, Pretrained) and given.__sklearn_is_fitted__():
                setattr(twin, name, given)
        return twin

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "net_" in state:  # arrays travel between devices, and skops knows them
            state["net_"] = {key: t.detach().cpu().numpy() for key, t in state["net_"].state_dict().items()}
        return state

    def __setstate__(self, state):
        arrays = state.get("net_")
        super().__setstate__({key: value for key, value in state.items() if key != "net_"})
        if arrays is not None:
            self.net_ = self._empty_net()
            self.net_.load_state_dict({k: torch.from_numpy(np.array(a)) for k, a in arrays.items()}, assign=True)

    def __repr__(self, N_CHAR_MAX=700):
        synthetic = getattr(self, "training_", {}).get("synthetic")
        return super().__repr__(N_CHAR_MAX) + ("  # pretrained on synthetic data" if synthetic else "")


def from_pretrained(source, **where):
    """Load whatever trained estimator is at `source`; the class is the one that the checkpoint names.

    Parameters
    ----------
    source : str or path
    **where
        As in ``RelConEncoder.from_pretrained``.
    """
    return Pretrained.from_pretrained(source, **where)


def named(checkpoint: hub.Checkpoint, base: type) -> type:
    """The class that a checkpoint names, out of those that exist and fit `base`; nothing is imported by name."""
    name = checkpoint.config.get("estimator_class")
    classes = {c.__name__: c for c in family(Pretrained) if getattr(c, "_architecture", ())}
    if name not in classes:
        raise ValueError(f"{checkpoint.folder} holds a {name!r}, which this version of wearembed does not have.")
    if not issubclass(classes[name], base):
        raise ValueError(
            f"{checkpoint.folder} holds a {name}, not a {base.__name__}. Load it with {name}.from_pretrained or "
            f"wearembed.from_pretrained."
        )
    return classes[name]


def family(cls: type) -> list[type]:
    """A class and all that descend from it."""
    children: list[type] = cls.__subclasses__()
    return [cls, *(c for child in children for c in family(child))]


def read_contract(config, folder: Path) -> Contract:
    try:
        contract = Contract(**config["contract"])
        whole = (contract.n_channels, contract.n_times)
        sound = all(type(n) is int and n > 0 for n in whole) and 0 < contract.sfreq < np.inf
        parts = [config["params"], config.get("training", {})]
        sound = sound and isinstance(contract.units, str) and isinstance(contract.standardized, bool)
        if not sound or not all(isinstance(part, dict) for part in parts):
            raise ValueError("their values make no sense")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder / 'config.json'} is damaged: contract, params or training: {error}. Get it anew."
        ) from error
    return contract


def reference_windows(contract: Contract) -> np.ndarray:
    """Four windows that are nobody's: a slow wave and noise, the same each time."""
    rng = np.random.default_rng(0)
    shape = (4, contract.n_channels, contract.n_times)
    wave = np.sin(2 * np.pi * (np.linspace(0, 3, contract.n_times) + rng.random(shape[:2] + (1,))))
    return (wave + 0.1 * rng.standard_normal(shape)).astype(np.float32)


def stored(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return tensor.detach().cpu().to(dtype) if tensor.is_floating_point() else tensor.detach().cpu()


def numbers(value) -> list[float]:
    """All numbers in nested lists and tuples."""
    if isinstance(value, (list, tuple)):
        return [n for v in value for n in numbers(v)]
    return [value] if isinstance(value, (int, float)) else []


def frozen(value):
    """JSON's lists as the tuples that they were."""
    return tuple(frozen(v) for v in value) if isinstance(value, list) else value
