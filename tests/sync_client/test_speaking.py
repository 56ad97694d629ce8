"""What our programs say, in German too: complete, and found again in what they really say."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import synclight.tray
from protocol.errors import LocalProblem
from sync_client.engine import reporting
from sync_client.home import SIGN_IN_AGAIN
from sync_client.speaking import LANGUAGES, Sentences, as_it_is, language_of, speaker
from sync_client.tray.menu import Item, Seen, face_of, spoken_face
from sync_client.tray.notices import notices, spoken
from tests.support.sentences import ROOT, sentences_of

CLIENT = ROOT / "sync_client"
SAID_BY = [
    *sorted((CLIENT / "engine").glob("*.py")),
    *sorted((CLIENT / "settings").glob("*.py")),
    *sorted((CLIENT / "doctor").glob("*.py")),
    *(CLIENT / f"{name}.py" for name in ("home", "operations", "pinning", "notice_choice", "daemon")),
    *(CLIENT / f"{name}.py" for name in ("control", "token_keeping", "showing", "autostart")),
    *(ROOT / "protocol" / f"{name}.py" for name in ("trust", "server_address", "http", "exchange")),
]
CATALOGUE: dict[str, dict[str, str]] = json.loads(
    (CLIENT / "settings" / "pages" / "sentences" / "de.json").read_text("utf-8")
)
UNTIL = " until you decide. See `mb-sync guard`, then `mb-sync guard apply` to go on with it or"
UNTIL += " `mb-sync guard restore` to undo it."
LARGE = "It is new and large (3 files, 12.0 GB), and waits for you. Have it here with `mb-sync exclude PATH --remove`,"
LARGE += " or keep it off with `mb-sync exclude PATH`."
GROWN = "It came while it was small and is large by now (1 file, 12.0 GB): what is here stays, and the rest waits for"
GROWN += (
    " you. Have it here with `mb-sync exclude PATH --remove`, or keep it off with `mb-sync exclude PATH`."
)
GUARD = (
    f"214 items (99 % of this folder) were deleted on the server; nothing is deleted on this computer{UNTIL}"
)
# Sentences that are put together from more than one text of the source, as they come out; they stand for the templates.
PUT_TOGETHER = {
    "{}: {}, line {}: {}": "It is ignored: raw/.mbignore, line 3: *.log",
    "{}{}: {}; on such a computer the name looks different.": "CON: Windows keeps the name CON for a device;"
    " on such a computer the name looks different.",
    "{} item{} that {} synced {} ignored now: nothing is deleted, changes stay where they are made.": "2 items that"
    " were synced are ignored now: nothing is deleted, changes stay where they are made.",
    "{} item{} need{} your attention": "1 item needs your attention",
    "{} stays: not on the server yet are {}{}": "/a/b stays: not on the server yet are x, y and 3 more",
    "{}" + UNTIL: GUARD,
    "{} items{} were deleted on this computer; nothing is deleted on the server": f"12 items were deleted on this"
    f" computer; nothing is deleted on the server{UNTIL}",
    "{} items{} were deleted on the server; nothing is deleted on this computer": f"12 items were deleted on the"
    f" server; nothing is deleted on this computer{UNTIL}",
    "{} files were rewritten on this computer and look encrypted; they are not sent": f"12 files were rewritten on this"
    f" computer and look encrypted; they are not sent{UNTIL}",
    "{} files were rewritten on the server and look encrypted; yours stay as they are": f"12 files were rewritten on"
    f" the server and look encrypted; yours stay as they are{UNTIL}",
    "{} {} cannot be made ({})": "The client home /a cannot be made (Permission denied)",
    "{} With such a difference certificates are refused.": "Have the system set its clock by the network; the dates of"
    " your files come from it. With such a difference certificates are refused.",
    "This computer's clock is {} {} the server's": "This computer's clock is 4 min behind the server's",
    "{} lies on this computer{}": "~/Study lies on this computer (ext4)",
    "By the proxy {}:{}, as given at sign-in": "By the proxy proxy.example.org:3128, as given at sign-in",
    "By the proxy {}:{} of HTTPS_PROXY": "By the proxy proxy.example.org:3128 of HTTPS_PROXY",
    "{} answers ({} {}, after {} ms)": "https://files.example.org answers (medical-blocks 0.1.0, after 31 ms)",
    "Changes are found by scanning instead, every minute or as `mb-sync scan` says. An administrator can allow more:"
    " sysctl fs.inotify.max_user_watches={}": "Changes are found by scanning instead, every minute or as `mb-sync scan`"
    " says. An administrator can allow more: sysctl fs.inotify.max_user_watches=524288",
    "The proxy on the way to {} refuses ({} {})": "The proxy on the way to https://x refuses (407 Proxy)",
    "{}{}": "",  # engine.reporting: what is kept, shown nowhere but in the terminal
    "MB-Sync is running: {}": "MB-Sync is running: All synced",
    "{} Have it here with `mb-sync exclude PATH --remove`, or keep it off with `mb-sync exclude PATH`.": LARGE,
    "It is new and large ({}), and waits for you.": LARGE,
    "It came while it was small and is large by now ({}): what is here stays, and the rest waits for you.": GROWN,
    "{} used {}, for the first time": "laptop (10.0.0.1) used sync code MBS-7K3M9Q, for /Home/S, for the first time",
    "{} waits to be let in by {}": "laptop (10.0.0.1) waits to be let in by sync code MBS-7K3M9Q, Jo, for /Home/S",
    "{} in {} wait{} for a review": "1 file in /Projects/N/Intake waits for a review",
    "{} in {} could not be worked on": "12 files in /Projects/N could not be worked on",
}
# Said in the terminal only, or of what no person asked.
NOT_SHOWN = re.compile(
    r"Deleted and replaced files stay|MB-Sync on this computer|default-src|See `mb-sync --help`"
)

say = speaker("de")


def plain(template: str) -> str:
    return re.sub(r"\{\w*\}", "{}", template)


def names(template: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", template))


def test_every_sentence_of_the_source_has_its_translation() -> None:
    known = {plain(key) for table in CATALOGUE.values() for key in table}
    said = sentences_of(*SAID_BY)
    assert len(said) > 250, "the source was read"
    lacking = {
        where: text
        for text, where in said.items()
        if text not in known
        and text not in PUT_TOGETHER
        and not NOT_SHOWN.search(text)
        and (" " in text.replace("{}", "").strip() or text.endswith("."))
    }
    assert lacking == {}, "each needs an entry in sync_client/settings/pages/sentences/de.json"


@pytest.mark.parametrize("sentence", [one for one in PUT_TOGETHER.values() if one])
def test_a_sentence_that_is_put_together_is_found_as_it_comes_out(sentence: str) -> None:
    assert say(sentence) != sentence


def test_a_translation_holds_the_same_facts() -> None:
    for table in CATALOGUE.values():
        for key, text in table.items():
            assert names(key) == names(text), key
            assert len(set(names(key))) == len(names(key)), key
            assert key.endswith(".") == text.endswith("."), key


def test_what_happened_and_what_to_do_are_found_one_by_one_with_what_stands_inside() -> None:
    error = LocalProblem(
        "The folder /data/Study is not there (No such file or directory)",
        hint="Mount or bring it back; nothing is deleted meanwhile.",
    )
    assert say(str(error)) == (
        "Der Ordner /data/Study ist nicht da (nicht vorhanden). Hängen Sie ihn ein, oder bringen Sie ihn zurück; bis"
        " dahin wird nichts gelöscht."
    )
    assert say(
        "It needs 12,345 bytes on the server, and 0 are left. Ask the server's operator for a larger quota, or"
        " delete what you do not need: what is deleted counts until the server's trash is emptied. It goes up by"
        " itself when there is room."
    ).startswith("Auf dem Server braucht es 12.345 Bytes, frei sind 0.")
    assert say("/a/What is. This is a file. Choose a folder, or a name that is free.") == (
        "/a/What is. This ist eine Datei. Wählen Sie einen Ordner oder einen freien Namen."
    )
    for unknown in ("", "Something of a newer version.", "x" * 5_000, "It is synced. " * 200):
        assert say(unknown) == unknown


def test_the_notes_of_a_folder_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for note in (*reporting._WATCH_NOTES.values(), reporting._NETWORK_NOTE):
        told = note.format(every=reporting._every(90))
        assert say(told) != told
        assert "every" not in say(told)
    for words in reporting.WORDS.values():
        assert say(words) != words


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "de_CH@euro"}, "de"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "de_AT.UTF-8"}, "de"),
        ({"LANG": "fr_FR.UTF-8", "LANGUAGE": "fr:de:en"}, "de"),
        ({"LANG": "C", "LANGUAGE": "de"}, "en"),
        ({"LANG": "German_Germany.1252"}, "de"),
    ],
)
def test_the_language_is_that_of_the_desktop(
    environ: dict[str, str], language: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("locale.getlocale", lambda: (None, None))
    assert language_of(environ) == language


def test_what_we_do_not_speak_stays_english() -> None:
    assert speaker("en") is speaker("xx") is as_it_is
    assert LANGUAGES == ("de",)


# ---- the tray ----------------------------------------------------------------------------------------------

STUDY = "/home/ana/Study"
UNREADABLE = "You may not read this file. Give yourself the right to."
PROGRESS = {
    "done_files": 3,
    "total_files": 1_038,
    "done_bytes": 10_000_000,
    "total_bytes": 100_000_000,
    "bytes_per_second": 1_000_000,
}


def a_status(state: str, **changes: Any) -> dict[str, Any]:
    folder = {
        "local": STUDY,
        "remote": "/Home/Study",
        "state": state,
        "words": reporting.WORDS[state],
        "files": 12,
    }
    status = {
        "state": state,
        "running": True,
        "words": reporting.WORDS[state],
        "server": "https://x",
        "conflicts": 0,
    }
    return status | {"folders": [folder | {"problems": []}], "progress": None} | changes


def a_change(action: str, direction: str = "down", **who: Any) -> dict[str, Any]:
    return {
        "at": 5,
        "action": action,
        "direction": direction,
        "path": f"{STUDY}/A/{action}",
        "bytes": 1,
    } | who


def labels(items: tuple[Item, ...]) -> list[str]:
    return [label for item in items for label in (item.label, *labels(item.items))]


BEN = {"user": "ben", "device": "lab-2", "you": False}
FULL = Seen(
    a_status("attention", conflicts=9, words="2 items need your attention")
    | {
        "folders": [
            {
                "local": STUDY,
                "remote": "/Home/Study",
                "state": "attention",
                "words": "",
                "files": 1_200,
                "problems": [
                    {
                        "path": "a.txt",
                        "code": "unreadable",
                        "message": UNREADABLE,
                    },
                    {
                        "path": "raw",
                        "code": "large-folder",
                        "message": LARGE,
                    },
                ],
            }
        ],
        "notices": [
            {
                "kind": "review",
                "folder": "/P",
                "code": "",
                "device": "",
                "words": "12 files in /P wait for a review",
                "command": "mb-sync quarantine list /P",
                "waits": True,
            }
        ],
    },
    activity=(
        a_change("added", **BEN),
        a_change("changed", user="ana", device="lab-2", you=True),
        a_change("deleted", **BEN),
        a_change("moved"),
        a_change("kept both"),
        a_change("added", "up"),
    ),
    conflicts=(
        {
            "id": "1",
            "path": f"{STUDY}/b (conflict)",
            "original": f"{STUDY}/b",
            "mine": {"size": 1_200, "user": "ana"},
            "theirs": {"size": 12},
        },
    ),
    guards=tuple(
        {
            "folder": STUDY,
            "what": what,
            "count": count,
            "message": GUARD,
        }
        for what in ("deleted-here", "deleted-there", "rewritten-here", "rewritten-there")
        for count in (1, 214)
    ),
)
NOBODY = {"state": "offline", "running": False, "words": "", "server": None, "folders": [], "conflicts": 0}
NAMES = {"Study", "b", "MB-Sync", "Offline", "", "mb-sync quarantine list /P"}


def test_every_line_of_the_menu_is_german_where_the_desktop_is() -> None:
    scenes = [
        FULL,
        Seen(NOBODY),
        Seen(NOBODY | {"server": "https://x"}),
        Seen(a_status("syncing", progress=PROGRESS)),
        Seen(a_status("synced", folders=[])),
        *(Seen(a_status(state)) for state in reporting.WORDS),
        Seen(a_status("error") | {"folders": a_status("error")["folders"] + a_status("paused")["folders"]}),
    ]
    for scene in scenes:
        english, german = face_of(scene), face_of(scene, say)
        assert english.state == german.state
        told = [(english.title, german.title), (english.detail, german.detail)]
        told += zip(labels(english.menu), labels(german.menu), strict=True)
        assert [one for one, other in told if one == other and one not in NAMES] == []
    german = labels(face_of(FULL, say).menu)
    assert "214 Löschungen auf dem Server in Study warten auf Sie" in german
    assert "↓ added (hinzugefügt von ben)" in german
    assert "↓ changed (geändert von Ihnen auf lab-2)" in german
    assert "Meine behalten (1,2 kB, ana)" in german
    assert "a.txt: Sie dürfen diese Datei nicht lesen. Geben Sie sich d…" in german
    assert face_of(Seen(a_status("syncing", progress=PROGRESS)), say).detail == (
        "3 von 1.038 Dateien, 10 MB von 100 MB, 1,0 MB/s, noch 1 min"
    )


def test_every_notice_is_german_where_the_desktop_is() -> None:
    quiet = Seen(a_status("synced"))
    stopped = Seen(a_status("error", words=SIGN_IN_AGAIN))
    many = FULL.status["folders"][0]["problems"][0]
    troubled = Seen(
        a_status("attention")
        | {"folders": [a_status("attention")["folders"][0] | {"problems": [many, many | {"path": "x"}]}]}
    )
    five = Seen(
        a_status("synced"), activity=tuple(a_change("added", **BEN) | {"path": f"/s/{n}/a"} for n in range(5))
    )
    told = [
        *notices(quiet, FULL, quiet=quiet),
        *notices(quiet, stopped, quiet=None),
        *notices(quiet, troubled, quiet=None),
        *notices(quiet, five, quiet=quiet),
    ]
    assert len(told) > 14
    for notice in told:
        german = spoken(notice, say)
        assert german.title != notice.title
        assert german.text != notice.text or not re.search(r"^(?!mb-sync ).*[a-z] [a-z]", notice.text), notice
        assert (german.about, german.urgent) == (notice.about, notice.urgent)
    assert spoken(told[-1], say).title == "5 Änderungen in 5 Ordnern von ben"


def test_mb_sync_light_says_its_menu_and_notices_in_german_too() -> None:
    one = {
        "folder": STUDY,
        "state": "synced",
        "words": "All that is shared is here",
        "files": 3,
        "problems": [],
    }
    one |= {"shared_by": "ada"}
    ended = one | {"state": "ended", "words": "The sync code was revoked. Ask ada for a new one."}
    asking = one | {"state": "attention", "words": "All but what is listed is here"}
    asking["problems"] = [{"path": "", "code": "guard", "message": GUARD}]
    asking["problems"] += [{"path": f"{STUDY}/a.txt", "code": "unreadable", "message": UNREADABLE}] * 10
    for answers, running in (
        ([], False),
        ([one], True),
        ([one], False),
        ([ended], False),
        ([one, asking], True),
    ):
        english = synclight.tray.face_of(answers, running=running)
        face = synclight.tray.face_of(synclight.tray.spoken_answers(answers, say), running=running)
        german = spoken_face(face, say)
        told = [(english.title, german.title), (english.detail, german.detail)]
        told += zip(labels(english.menu), labels(german.menu), strict=True)
        assert [one for one, other in told if one == other and one not in NAMES] == []
    found = synclight.tray.notices([one], [one | {"files": 5}, ended, asking], {STUDY: 3})
    assert len(found) == 3
    for notice in found:
        assert spoken(notice, say).title != notice.title
        assert spoken(notice, say).text != notice.text


def test_who_did_it_is_said_of_one_two_and_many() -> None:
    for english, german in {
        "3 files added to A by you on lab-2": "3 Dateien in A hinzugefügt von Ihnen auf lab-2",
        "3 files added to A by ben and eva": "3 Dateien in A hinzugefügt von ben und eva",
        "3 files added to A by you and ben": "3 Dateien in A hinzugefügt von Ihnen und ben",
        "1,038 files added to A by ben and 2 others": "1.038 Dateien in A hinzugefügt von ben und 2 anderen",
    }.items():
        assert say(english) == german


def test_a_catalogue_is_quick_enough_for_a_list_of_a_thousand() -> None:
    """Each sentence is looked for once."""
    book = Sentences(CATALOGUE)
    asked: list[str] = []
    match = book._match
    book._match = lambda table, text: asked.append(text) or match(table, text)  # type: ignore[method-assign,func-returns-value]
    for _ in range(1_000):
        book.say("It waits for something else to be done first.")
    assert len(asked) == 1
