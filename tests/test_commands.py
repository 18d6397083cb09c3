"""The reader's commands: one entry point hands them on."""

import subprocess
import sys
from importlib import import_module

import pytest

from xrec_utils.__main__ import COMMANDS, main
from xrec_utils.files import ROOT


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_its_arguments(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"python -m xrec_utils {name}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["dance"]])
def test_an_unknown_command_is_answered_with_those_there_are(words, capsys):
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(name in shown.err for name in COMMANDS)


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


def test_arguments_and_exit_code_are_handed_on(monkeypatch):
    seen = []
    module = import_module("xrec_tools.run")
    monkeypatch.setattr(module, "main", lambda words: seen.append(words) or 3)
    assert main(["run", "04", "10"]) == 3
    assert seen == [["04", "10"]]


def test_the_check_of_the_platform_needs_no_package():
    command = [sys.executable, "-S", "-m", "xrec_utils", "check", "--platform"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
