"""What the pages show is what happens: each ``pycon`` fence of a page runs, in order, in one namespace a page."""

import doctest
import itertools
import json
import re
from pathlib import Path

import harm
import pytest

DOCS = Path(__file__).parent.parent / "docs"
FENCE = re.compile(r"^```pycon\n(.*?)^```", flags=re.M | re.S)
PAGES = sorted(path for path in DOCS.rglob("*.md") if FENCE.search(path.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_what_a_page_shows_is_what_happens(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    examples = []
    for fence in FENCE.finditer(text):
        for example in doctest.DocTestParser().get_examples(fence[1]):
            example.lineno += text[: fence.start(1)].count("\n")
            examples.append(example)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.FAIL_FAST
    said = []
    result = doctest.DocTestRunner(optionflags=flags).run(
        doctest.DocTest(examples, {}, page.name, str(page), 0, text), out=said.append
    )
    assert result.attempted
    assert not result.failed, "".join(said)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_links_of_a_page_lead_somewhere_in_a_clone(page):
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        built = re.fullmatch(r"gallery/(\w+)\.rst", link)  # by sphinx-gallery, of the scripts in examples
        there = DOCS.parent / "examples" / f"gallery/{built[1]}.py" if built else page.parent / link
        assert there.exists() or link == "gallery/index.rst", f"{page.name} links to {link}"


def test_the_figures_of_the_campaign_are_those_on_its_page():
    told = harm.shown((DOCS / "reliability.md").read_text())
    assert told == harm.table(json.loads((DOCS / "reliability.json").read_text()))


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_code_on_a_page_is_of_a_kind_that_runs(page):
    """Python is written as a session, so that the test above sees it."""
    kinds = re.findall(r"^```+\s*(\S+)", page.read_text(), flags=re.M)
    assert not set(kinds) & {"python", "py", "python3"}


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_no_line_of_a_sentence_becomes_a_list(page):
    """A number or a dash at the beginning of a line does so, whatever it was meant to be."""
    blank = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for before, line in itertools.pairwise(blank.splitlines()):
        if re.match(r"(\d+\.|[-+*]) ", line):
            assert re.match(r"$|(\d+\.|[-+*]) |\s", before), f"{page.name}: {line}"
