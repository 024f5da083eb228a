"""The actor of an action at the command line: the user of the operating system, with any option."""

import os
import pwd
import socket
import sys

import pytest

from runtime.__main__ import main
from runtime.commands.operating_system_user import actor_of_command

USER = f"os:{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"


def test_the_actor_is_the_user_of_the_process_and_not_of_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")

    actor = actor_of_command()

    assert (actor.subject, actor.name, actor.full_name) == (USER, USER, USER)


def test_the_caller_of_sudo_and_the_alias_are_added_and_hide_no_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")

    actor = actor_of_command("the desk")

    assert actor.name == "the desk"
    assert actor.full_name == f"{USER} sudo:alice for the desk"


@pytest.mark.parametrize(
    "arguments",
    [
        "trading halt --everybody",
        "trading resume --account A",
        "limits set --account A --max-quantity 5",
        "limits clear --everybody",
        "limits price US0378331005 12.50",
        "limits clear --everybody --reason= ",
    ],
)
def test_nothing_is_done_at_the_command_line_without_a_reason(
    arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fillwire", *arguments.split(" ")])

    with pytest.raises(SystemExit) as refused:
        main()

    assert refused.value.code == 2
    assert "--reason" in capsys.readouterr().err
