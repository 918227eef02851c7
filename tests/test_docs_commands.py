"""The page of commands shows what they print: its sessions run in order, in one folder."""

import doctest
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from wearembed.__main__ import main

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "commands.md"
PAGES = [page for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))) if "```" in page.read_text()]
FENCE = re.compile(r"^```(pycon|console)\n(.*?)^```", flags=re.M | re.S)
SCORE = re.compile(r"(?<![\w.])[+-]?\d\.\d{3}(?![\w.])")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def console(text):
    """Calls of a fence and what each prints."""
    for session in re.split(r"^\$ wearembed ", text, flags=re.M)[1:]:
        call, _, shown = session.partition("\n")
        yield shlex.split(call), shown


def printed(call, capsys):
    """What a call prints; help ends it by SystemExit."""
    capsys.readouterr()
    try:
        code = main(call)
    except SystemExit as stop:
        code = stop.code
    assert code == 0, capsys.readouterr().err
    return capsys.readouterr().out


def alike(wanted, got, most=0.1):
    """The same text, in which scores of three decimals may differ by what another machine's arithmetic does to them."""
    if len(SCORE.findall(wanted)) == len(SCORE.findall(got)):
        near = [abs(float(a) - float(b)) < most for a, b in zip(SCORE.findall(wanted), SCORE.findall(got))]
        wanted, got = (SCORE.sub("score", text) for text in (wanted, got)) if all(near) else (wanted, got)
    return doctest.OutputChecker().check_output(wanted, got, FLAGS)


def test_scores_may_differ_a_little_and_nothing_else():
    assert alike("a -0.050 (-0.161 to +0.020)", "a +0.012 (-0.120 to +0.020)")
    assert not alike("a 0.500", "a 0.700") and not alike("a 0.500 b", "a 0.500 c") and not alike("a 0.500", "a")


def test_each_command_prints_what_the_page_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    names, shown = {}, set()
    for kind, text in FENCE.findall(PAGE.read_text()):
        if kind == "pycon":
            for example in doctest.DocTestParser().get_examples(text):
                exec(compile(example.source, PAGE.name, "single"), names)
            continue
        for call, wanted in console(text):
            got = printed(call, capsys)
            assert alike(wanted, got), f"{call}\n\n{wanted}\nbut it is\n\n{got}"
            shown.add(call[0])
    assert shown == {"--help", "embed", "store", "pretrain", "evaluate", "info", "push", "demo"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_shell_can_read_what_pages_tell_it(page):
    """Parentheses without quotes are read by shlex, and by no shell."""
    fences = re.findall(r"^```(console|sh|shell|bash)\n(.*?)^```", page.read_text(), flags=re.M | re.S)
    lines = [line.removeprefix("$ ") for kind, text in fences for line in text.splitlines() if said(kind, line)]
    bash = subprocess.run(["bash", "-n"], input="\n".join(lines), text=True, capture_output=True)
    assert not bash.stderr, bash.stderr


def said(kind, line):
    return kind != "console" or line.startswith("$ ")


@pytest.mark.parametrize("text", ["$ wearembed info a\nb\n$ wearembed info 'c d'\n"])
def test_a_fence_is_read_call_by_call(text):
    assert list(console(text)) == [(["info", "a"], "b\n"), (["info", "c d"], "")]
