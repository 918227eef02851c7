"""What a user of the package has to install may be used, changed and passed on, in a product too."""

import re
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

import pytest
from packaging.requirements import Requirement

# Words of licences that allow all of that; GPL is not among them, nor is "academic" or "non-commercial".
ALLOWED = re.compile(
    r"\b(0BSD|Apache|BSD|BSL-1\.0|Boost|CC0|CNRI-Python|HPND|ISC|MIT|MIT-CMU|MPL|Mozilla|PSF|"
    r"Python Software Foundation|Unlicense|Zlib|zlib|Historical Permission|libtiff)\b"
)
REFUSED = re.compile(r"\bA?GPL|Affero|GNU General|non-?commercial|academic|proprietary|\bCC-BY-(NC|ND|SA)", re.I)
LESSER = re.compile(r"LGPL|Lesser General", re.I)
EXCEPTIONS = {
    "docutils": "in the public domain but for some files under BSD; the one under GPL, an Emacs mode, is not installed",
    "skops": "MIT by its LICENSE file, which its metadata do not name",
}
OURS = "wearembed"


def closure(name):
    """Distributions that are installed because `name` and its extras want them."""
    found, wanted = {}, [Requirement(f"{name}[{','.join(extras(name))}]")]
    while wanted:
        requirement = wanted.pop()
        key = (canonical(requirement.name), frozenset(requirement.extras))
        if key in found:
            continue
        try:
            found[key] = distribution(requirement.name)
        except PackageNotFoundError:
            continue  # an extra that is not there
        for text in found[key].requires or []:
            further = Requirement(text)
            sought = [{"extra": extra} for extra in (requirement.extras or {""})]
            if further.marker is None or any(further.marker.evaluate(where) for where in sought):
                wanted.append(further)
    return {name: dist for (name, _), dist in found.items() if name != OURS}


def extras(name):
    return distribution(name).metadata.get_all("Provides-Extra") or []


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_of(dist):
    """What the metadata say, the exact before the loose."""
    told = dist.metadata
    if told.get("License-Expression"):
        return told["License-Expression"]
    classifiers = [c.split("::")[-1].strip() for c in told.get_all("Classifier") or [] if c.startswith("License ::")]
    classifiers = [c for c in classifiers if c != "OSI Approved"]
    return "; ".join(classifiers) or (told.get("License") or "").strip()[:200]


def is_allowed(licence):
    """Every part that holds at once; of parts to choose from, one."""
    ours = re.split(r"\s+AND\s+|;", licence.replace("(", " ").replace(")", " "))
    return bool(licence) and all(any(allows(one) for one in re.split(r"\s+OR\s+", part)) for part in ours)


def allows(words):
    return bool(ALLOWED.search(words)) and not REFUSED.search(words) and not LESSER.search(words)


DISTRIBUTIONS = closure(OURS)


def test_the_closure_holds_what_the_package_imports():
    assert {"numpy", "torch", "scikit-learn", "skorch", "safetensors", "huggingface-hub", "sympy"} <= set(DISTRIBUTIONS)


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_the_licence_of_what_is_installed_allows_use_in_products(name):
    licence = licence_of(DISTRIBUTIONS[name])
    if name in EXCEPTIONS:
        assert not is_allowed(licence), f"{name} needs no exception any more"
        return
    assert is_allowed(licence), f"{name}: {licence!r}. If it allows all the same, say why in EXCEPTIONS."


@pytest.mark.parametrize(
    ("licence", "good"),
    [
        *[("MIT", True), ("BSD-3-Clause AND Apache-2.0", True), ("GPL-3.0-only OR MIT", True), ("", False)],
        *[("MIT AND GPL-3.0", False), ("GNU Affero General Public License v3", False), ("LGPL-2.1", False)],
        *[
            ("For academic use only", False),
            ("CC-BY-NC-4.0", False),
            ("BSD License; GNU General Public License", False),
        ],
    ],
)
def test_licences_are_told_apart(licence, good):
    assert is_allowed(licence) == good


def test_no_exception_is_for_what_nobody_wants_any_more():
    assert {name for name in EXCEPTIONS if find_spec(name)} <= set(DISTRIBUTIONS)
