"""How well embeddings find their match."""

from ..evaluation import retrieval
from .drawing import GREY, add_legend, line_style, on_axes


class RetrievalDisplay:
    """How often a window's other half is among the k most similar, beside blind guessing.

    Parameters
    ----------
    results : dict of str to dict
        Of `metrics.retrieval` or `metrics.retrieval_within`, by name.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of ErrorbarContainer
        One a result.
    chance_ : Line2D

    Examples
    --------
    >>> import numpy as np
    >>> from wearembed.plots import RetrievalDisplay
    >>> rng = np.random.default_rng(0)
    >>> ppg = rng.normal(size=(60, 8))
    >>> display = RetrievalDisplay.from_embeddings(ppg + rng.normal(size=(60, 8)), ppg, random_state=0)
    >>> display.ax_.get_xlabel()
    'k of a gallery of 60 windows'
    """

    def __init__(self, results):
        self.results = results

    @classmethod
    def from_result(cls, results, *, ax=None, **kwargs):
        """Draw what `retrieval` gave.

        Parameters
        ----------
        results : dict
            Of one call, or several of them by name, which have to be of galleries of one size.
        ax : matplotlib Axes, default=None
        **kwargs
            Of ``Axes.errorbar``.

        Returns
        -------
        RetrievalDisplay
        """
        results = {"": results} if "mean_rank" in results else dict(results)
        sizes = {result["gallery_size"] for result in results.values()}
        if len(sizes) != 1 or len({tuple(ks_of(result)) for result in results.values()}) != 1:
            raise ValueError(
                f"Expected results of the same k and of galleries of one size, got galleries of "
                f"{', '.join(f'{size:g}' for size in sorted(sizes))}: ranks grow with them. Set gallery_size alike."
            )
        return cls(results).plot(ax, **kwargs)

    @classmethod
    def from_embeddings(cls, queries, gallery, *, groups=None, k=(1, 2, 5, 10, 20, 50), ax=None, **asked):
        """Look windows up, then draw.

        Parameters
        ----------
        queries, gallery : array of shape (n_windows, dim)
        groups : array of shape (n_windows,), default=None
        k : sequence of int, default=(1, 2, 5, 10, 20, 50)
            Those beyond the gallery are left out.
        ax : matplotlib Axes, default=None
        **asked
            Of `metrics.retrieval`.

        Returns
        -------
        RetrievalDisplay
        """
        k = [one for one in k if one <= len(queries)]
        return cls.from_result(retrieval(queries, gallery, groups=groups, k=k, **asked), ax=ax)

    def plot(self, ax=None, **kwargs):
        """Draw a line a result, and chance.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **kwargs
            Of ``Axes.errorbar``.

        Returns
        -------
        self
        """
        self.ax_, self.figure_ = on_axes(ax)
        self.lines_ = []
        for n, (name, result) in enumerate(self.results.items()):
            ks = ks_of(result)
            found, spread = ([result[f"top_{k}{end}"] for k in ks] for end in ("", "_sd"))
            rank = f"mean rank {result['mean_rank']:.3g}"
            style = line_style(n) | {"capsize": 3, "label": f"{name}, {rank}" if name else rank} | kwargs
            self.lines_.append(self.ax_.errorbar(ks, found, yerr=spread, **style))
        blind = f"chance, mean rank {result['chance_mean_rank']:.3g}"
        chance = [result[f"chance_top_{k}"] for k in ks]
        (self.chance_,) = self.ax_.plot(ks, chance, color=GREY, linestyle="--", label=blind)
        self._label(ks, result["gallery_size"])
        return self

    def _label(self, ks, size):
        self.ax_.set_xscale("log")
        self.ax_.set_xticks(ks, [str(k) for k in ks])
        self.ax_.minorticks_off()
        self.ax_.set_ylim(0, 1.02)
        self.ax_.set_xlabel(f"k of a gallery of {size:,g} windows")
        self.ax_.set_ylabel("share of windows found among the k nearest")
        self.ax_.grid(axis="y", alpha=0.3)
        add_legend(self.ax_, handles=[*self.lines_, self.chance_])


def ks_of(result):
    return sorted(int(name[4:]) for name in result if name.startswith("top_") and name[4:].isdigit())
