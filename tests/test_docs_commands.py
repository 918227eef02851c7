"""The page of commands shows what they print: its sessions run in order, in one folder."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from wearembed.__main__ import main

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
FENCE = re.compile(r"^```(pycon|console)\n(.*?)^```", flags=re.M | re.S)
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
            assert doctest.OutputChecker().check_output(wanted, got, FLAGS), f"{call}\n\n{wanted}\nbut it is\n\n{got}"
            shown.add(call[0])
    assert shown == {"--help", "embed", "pretrain", "evaluate", "info", "push", "demo"}


@pytest.mark.parametrize("text", ["$ wearembed info a\nb\n$ wearembed info 'c d'\n"])
def test_a_fence_is_read_call_by_call(text):
    assert list(console(text)) == [(["info", "a"], "b\n"), (["info", "c d"], "")]
