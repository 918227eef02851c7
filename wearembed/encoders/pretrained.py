"""Trained estimators by name: loading, saving, verifying, and how they survive clone and pickle."""

import copy
import difflib
import inspect
import itertools
import json
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from weakref import WeakValueDictionary

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch.nn.modules.module import register_module_module_registration_hook

from .. import __version__, hub
from ..distributed import first_alone
from ..training import find_device
from .contract import Contract, is_acceleration
from .shown import Shown

# Parameters that say where and how to run, not what the estimator is; a checkpoint does not keep them.
OF_THE_RUN = {
    *("weights", "revision", "max_epochs", "device", "compile", "num_workers", "callbacks", "checkpoint_dir"),
    *("random_state", "verbose", "sfreq", "units", "validation_fraction", "precision"),
    *("distance", "teacher", "encoder", "net", "objective", "class_weight"),
}
MOST_MODULES = 5000  # that a net is built of; the largest of ours has some hundreds
SPREAD = ("mean", "deviation")  # of the embeddings of windows of training

resident: WeakValueDictionary[tuple, torch.nn.Module] = WeakValueDictionary()  # frozen nets, one copy a process


class Pretrained(Shown):
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
    def from_pretrained(
        cls, source, *, revision=None, local_files_only=False, token=None, cache_dir=None, **params
    ) -> Self:
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
        refuse_unknown(estimator, params)
        estimator._set_stored(checkpoint.config, checkpoint.folder)
        here = cache_dir is not None or Path(source).expanduser().exists()  # a clone may run elsewhere
        estimator.set_params(weights=str(checkpoint.folder.resolve() if here else source), revision=revision, **params)
        try:
            estimator._check_parameters()
        except TypeError as error:
            raise ValueError(f"{checkpoint.folder / 'config.json'} is damaged: {error}. Get it anew.") from error
        return estimator._take(checkpoint)

    def save_pretrained(
        self,
        folder,
        *,
        data=None,
        license=None,
        synthetic=None,
        description=None,
        attribution=None,
        results=None,
        spent=None,
        windows=None,
        dtype="float32",
    ) -> Self:
        """Write a checkpoint folder: weights, contract, hashes, a reference to verify by, and a card.

        What was said of weights that were loaded, and not trained on since, is said again unless it is said anew.

        Parameters
        ----------
        folder : path
            New, empty, or with an older checkpoint, which stays whole until the new one is.
        data : sequence of str, default=None
            Names of the data sets that the weights were trained on, besides those of the weights that training began
            from.
        license : str, default=None
            Of the weights, by its SPDX name.
        synthetic : bool, default=None
            Whether all of the data were simulated; stands in the card's first line and in ``repr``. None: as in the
            checkpoint that it was loaded from, if it was not trained since; else False.
        description : str, default=None
            A sentence for the card, such as the command that trained the weights.
        attribution : list of dict or DataFrame, default=None
            Whose data it were, a row for each data set: ``name``, ``source`` (its address or paper), ``license``, and
            what else is to be said. The names count as `data`.
        results : list of dict or DataFrame, default=None
            What the weights achieved, a row for each result: ``dataset``, ``metric``, ``value``, the ends of an
            interval ``low`` and ``high``, and what else there is, such as ``baseline``. A result without an interval
            is refused.
        spent : dict, default=None
            What training took, such as ``{"hours": 3.5, "device": "NVIDIA H100"}``.
        windows : array of shape (n_windows, n_channels, n_times), default=None
            Windows of training at `sfreq` in `units`; mean and deviation of the embeddings of up to 2,000 of them are
            stored, and nothing else, so that others can tell how far theirs have drifted. Of what has ``transform``.
        dtype : {"float32", "bfloat16", "int8"}, default="float32"
            Storage; the weights are float32 again when loaded. ``"int8"``: rows of matrices and filters, each with a
            scale.

        Returns
        -------
        self
        """
        told = {"data": data, "license": license, "synthetic": synthetic, "description": description}
        told |= {"attribution": attribution, "results": results, "spent": spent}
        where = Path(folder).expanduser().resolve()
        first_alone(f"save {where}", lambda: str(hub.save(where, hub.contents(*self._parts(told, windows, dtype)))))
        return self

    def push_to_hub(
        self,
        repo_id,
        *,
        data=None,
        license=None,
        synthetic=None,
        description=None,
        attribution=None,
        results=None,
        spent=None,
        windows=None,
        dtype="float32",
        private=None,
        token=None,
        revision=None,
        commit_message=None,
        create_pr=False,
        dry_run=False,
    ):
        """Publish a checkpoint on the Hugging Face hub, as one commit of the four files that `save_pretrained` writes.

        Parameters
        ----------
        repo_id : str
            ``"user/name"``; made where it is missing.
        data, license, synthetic, description, attribution, results, spent, windows, dtype
            As in `save_pretrained`. Licence and data have to be known, from here or from the weights that were loaded.
        private : bool, default=None
            Of a repository that is made anew. None: public, unless the organisation has it otherwise.
        token : str, default=None
            That may write there; None is the one of ``hf auth login``.
        revision : str, default=None
            Branch, made where it is missing; None is the main one.
        commit_message : str, default=None
        create_pr : bool, default=False
            Propose the commit, rather than make it.
        dry_run : bool, default=False
            Send nothing and call nobody: give back what would be sent, which shows itself when printed.

        Returns
        -------
        str or Upload
            The address of the commit. For a dry run: ``files`` (bytes by name), ``sizes`` and ``card``.

        Raises
        ------
        ValueError
            Licence or data are not known, or `repo_id` is no name of a repository.
        ConnectionError
            The hub did not take it.

        Examples
        --------
        >>> from wearembed import RelConEncoder
        >>> encoder = RelConEncoder.from_pretrained("wearembed/relcon-synthetic")
        >>> upload = encoder.push_to_hub("user/motion", dry_run=True)
        >>> sorted(upload.sizes)
        ['README.md', 'config.json', 'model.safetensors', 'reference.safetensors']
        """
        told = {"data": data, "license": license, "synthetic": synthetic, "description": description}
        told |= {"attribution": attribution, "results": results, "spent": spent}
        hub.Upload(repo_id, {}, revision)  # a bad name is an error before any work
        config, tensors, reference = self._parts(told, windows, dtype)
        config["training"] = hub.published(config["training"])
        files = hub.contents(config, tensors, reference, name=repo_id)
        upload = hub.Upload(repo_id, files, revision, private, commit_message, create_pr)
        return upload if dry_run else first_alone(f"push {repo_id}", lambda: upload.send(token))

    def _parts(self, told: dict, windows, dtype: str) -> tuple[dict, dict, dict]:
        """Configuration, tensors and reference of a checkpoint of this estimator."""
        self._ready()
        training = hub.lineage({**self._spent(), **getattr(self, "training_", {})}, **told)
        tensors = hub.pack(self._tensors(), dtype)
        twin = copy.deepcopy(self).set_params(precision="float32", compile=False)
        twin._fill(hub.unpack(tensors), type(self).__name__)
        fixed = reference_windows(self.contract_)
        reference = {"windows": torch.from_numpy(fixed), "output": torch.from_numpy(twin._replay(fixed))}
        return {**self._config(), "training": training}, tensors, {**reference, **self._spread(twin, windows)}

    def _spent(self) -> dict:
        """What training took, where it was trained here."""
        seconds = sum(epoch.get("dur", 0.0) for epoch in getattr(self, "history_", []))
        hours = float(f"{seconds / 3600:.2g}")
        return {"spent": {"hours": hours, "device": find_device(self.device)}} if seconds else {}

    def _spread(self, twin: "Pretrained", windows) -> dict[str, torch.Tensor]:
        """Mean and deviation of the embeddings of windows of training; those of the weights, where none are given."""
        if windows is None:
            known = self._read().reference if self.weights is not None and not self.max_epochs else {}
            return {key: known[key] for key in SPREAD if key in known}
        if not hasattr(self, "transform"):
            raise ValueError(
                f"windows are for the mean and deviation of embeddings, and {type(self).__name__} gives none. Leave "
                f"them out."
            )
        windows = windows if hasattr(windows, "shape") else np.asarray(windows)
        chosen = np.random.default_rng(0).permutation(len(windows))[:2000]
        Z = twin.transform(windows[np.sort(chosen)])
        return {"mean": torch.from_numpy(Z.mean(0)), "deviation": torch.from_numpy(Z.std(0))}

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
        windows, expected = self._reference(checkpoint)
        got = twin._replay(windows)
        if got.shape != expected.shape or not np.allclose(got, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max()):
            raise ValueError(
                f"{type(self).__name__} does not give the reference stored at {self.weights}: its weights or "
                f"its attention were changed, by training or by hand, or this build of torch computes something else."
            )
        return True

    def drift_reference(self) -> dict[str, np.ndarray]:
        """Where the embeddings of windows of training lay, as far as the weights tell.

        Returns
        -------
        dict of str to array of shape (dim,)
            ``mean`` and ``deviation`` of each dimension.

        Raises
        ------
        ValueError
            There are no weights, or they were saved without ``windows=``.
        """
        stored = {} if self.weights is None else self._read().reference
        if not all(key in stored for key in SPREAD):
            raise ValueError(
                f"{self.weights or 'An estimator without weights'} stores no mean and deviation of embeddings. Whoever "
                f"trained it can: save_pretrained(folder, windows=X)."
            )
        return {key: stored[key].numpy() for key in SPREAD}

    def _reference(self, checkpoint: hub.Checkpoint) -> tuple[np.ndarray, np.ndarray]:
        """Windows of the stored reference, and what was made of them."""
        stored = checkpoint.reference
        if not stored:
            raise ValueError(f"{self.weights} stores no reference to verify by; save_pretrained writes one.")
        shape = (self.contract_.n_channels, self.contract_.n_times)
        sound = all(key in stored and stored[key].dtype == torch.float32 for key in ("windows", "output"))
        sound = sound and stored["windows"].shape[1:] == shape and 0 < len(stored["windows"]) <= 1024
        if not sound or not all(stored[key].isfinite().all() for key in ("windows", "output")):
            raise ValueError(
                f"The reference of {checkpoint.folder} is damaged: it has no windows of {shape[0]} x {shape[1]}, or no "
                f"output. Get it anew."
            )
        return stored["windows"].numpy(), stored["output"].numpy()

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

    def _load(self) -> Self:
        checkpoint = self._read()
        named(checkpoint, type(self))
        return self._take(checkpoint)

    def _take(self, checkpoint: hub.Checkpoint) -> Self:
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
            with fewer_modules_than(MOST_MODULES):
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
        expected = self._tensors()
        missing, over = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
        both = sorted(expected.keys() & tensors.keys())
        wrong = [key for key in both if expected[key].shape != tensors[key].shape]
        other = [key for key in both if expected[key].dtype != tensors[key].dtype]
        if missing or over or wrong or other:
            found = {"missing": missing, "not of this net": over, "of another shape": wrong, "of another type": other}
            told = "; ".join(
                f"{len(keys)} {what} ({hub.shortened(', '.join(keys[:3]))})" for what, keys in found.items() if keys
            )
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
            "modality": self._modality(),
            "output": self._output(),
        }

    def _modality(self) -> str | None:
        """What the signal is of, by the hub's word, where it is known."""
        if is_acceleration(self.contract_.units):
            return "accelerometry"
        inner = self.architecture_.get("encoder", self)
        sensor = getattr(inner, "_sensor", None)
        return sensor if sensor in ("ppg", "ecg") else None

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


def from_pretrained(source, **where) -> Any:
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
    if not isinstance(name, str) or name not in classes:
        raise ValueError(
            f"{checkpoint.folder} holds a {hub.shortened(repr(name))}, which this version of wearembed does not have."
        )
    if not issubclass(classes[name], base):
        raise ValueError(
            f"{checkpoint.folder} holds a {name}, not a {base.__name__}. Load it with {name}.from_pretrained or "
            f"wearembed.from_pretrained."
        )
    return classes[name]


def refuse_unknown(estimator, params: dict[str, Any]):
    """An error that names the nearest parameter, where one is none of the estimator's."""
    known = estimator.get_params(deep=False)
    for name in params:
        if name.partition("__")[0] not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(sorted(known))}."
            raise ValueError(f"{type(estimator).__name__} has no parameter {name!r}. {hint}")


def family(cls: type) -> list[type]:
    """A class and all that descend from it."""
    children: list[type] = cls.__subclasses__()
    return [cls, *(c for child in children for c in family(child))]


def read_contract(config, folder: Path) -> Contract:
    try:
        contract = Contract(**config["contract"])
        whole = (contract.n_channels, contract.n_times)
        sound = all(type(n) is int and n > 0 for n in whole) and 0 < contract.sfreq < np.inf
        sound = sound and isinstance(contract.units, str) and isinstance(contract.standardized, bool)
        sound = sound and isinstance(config["params"], dict) and hub.is_lineage(config.get("training", {}))
        if not sound:
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


@contextmanager
def fewer_modules_than(most: int):
    """Stop a net that is being built of too many parts: a damaged file may ask for any number, and for ever."""
    count, here = itertools.count(1), threading.get_ident()

    def added(*told):
        if threading.get_ident() == here and next(count) > most:
            raise ValueError(f"a net of more than {most} modules")

    handle = register_module_module_registration_hook(added)
    try:
        yield
    finally:
        handle.remove()


def numbers(value) -> list[float]:
    """All numbers in nested lists and tuples."""
    if isinstance(value, (list, tuple)):
        return [n for v in value for n in numbers(v)]
    return [value] if isinstance(value, (int, float)) else []


def frozen(value):
    """JSON's lists as the tuples that they were."""
    return tuple(frozen(v) for v in value) if isinstance(value, list) else value
