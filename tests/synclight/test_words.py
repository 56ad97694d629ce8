"""What people read names the commands they have, and plays no tricks on their terminal."""

from __future__ import annotations

import ast
import time
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest

from protocol.errors import CodeExpired, CodeRevoked, NotSignedIn
from sync_client.engine import claiming, guards, looking, marker
from sync_client.engine import round as round_
from sync_client.screens import painter
from synclight.home import LightHome, Shared
from synclight.keeping import why_ended
from synclight.words import answer_of, in_our_words, list_screen


@pytest.mark.parametrize(
    "module", [claiming, guards, looking, marker, round_], ids=lambda module: module.__name__
)
def test_no_sentence_of_a_folder_names_a_command_of_mb_sync(module: ModuleType) -> None:
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    naming = [text for text in texts if isinstance(text, str) and "`mb-sync " in text]
    assert naming
    assert [text for text in naming if "`mb-sync " in in_our_words(text)] == []


def shared(**more: object) -> Shared:
    known: dict[str, object] = {
        "folder": "/data/Study",
        "server": "https://files.example.org",
        "view": uuid4(),
        "name": "Study",
        "device": uuid4(),
        "device_name": "laptop",
        "shared_by": "ana",
        "expires_at_ms": 1_900_000_000_000,
    }
    return Shared(**(known | more))  # type: ignore[arg-type]  # fields by name


def test_each_end_of_a_code_has_its_own_sentence() -> None:
    now = 1_800_000_000_000
    said = {
        why_ended(error("over", hint="Ask."), shared(), now_ms=now)
        for error in (CodeExpired, CodeRevoked, NotSignedIn)
    }
    assert len(said) == 3
    assert all("ana" in words for words in said)
    late = why_ended(NotSignedIn("over", hint="Ask."), shared(), now_ms=1_900_000_000_001)
    assert "expired on 2030-" in late


def test_what_a_server_calls_things_is_shown_without_its_tricks(tmp_path: Path) -> None:
    home = LightHome(tmp_path / "home")
    home.make()
    evil = "\x1b[2J\u202egnp"
    follow = home.add(shared(label=evil, shared_by=evil, name=evil), "token")
    follow.end(f"over, says {evil}")
    screen = list_screen([answer_of(follow, running=False)], painter(colours=False))
    assert "\x1b" not in screen
    assert "\u202e" not in screen
    assert time.strftime("%Y-") in screen


def test_a_record_that_cannot_be_read_is_shown_and_the_others_stay(tmp_path: Path) -> None:
    home = LightHome(tmp_path / "home")
    home.make()
    broken, well = home.add(shared(), "token"), home.add(shared(folder="/data/Other"), "token")
    (broken.path / "account.json").write_bytes(b"{")
    answers = [answer_of(one, running=True) for one in home.follows()]
    assert [one["state"] for one in answers] == ["ended", "starting"]
    assert "cannot be read" in answers[0]["words"]
    assert home.following(broken.path) == broken
    assert well.folder == Path("/data/Other")
