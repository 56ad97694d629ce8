"""The recovery key opens the store it was printed for, and no other."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BadRequest, LocalProblem
from server.chunks.keys import (
    StoreKeys,
    create_keys,
    open_keys,
    parse_recovery_text,
    recover_keys,
    recovery_text,
)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40))
def test_keys_are_derived_as_hkdf_expand_says(store_key: bytes, name: bytes) -> None:
    keys = StoreKeys(store_key)
    assert keys.chunk_key(name) == HKDFExpand(SHA256(), 32, b"mb-chunk-1" + name).derive(store_key)
    assert keys.subkey(name) == HKDFExpand(SHA256(), 32, name).derive(store_key)


@given(st.binary(min_size=32, max_size=32))
def test_a_recovery_key_may_be_typed_in_any_case_and_with_letters_that_look_like_digits(
    master: bytes,
) -> None:
    text = recovery_text(master)
    assert parse_recovery_text(text) == master
    assert parse_recovery_text(text.lower().replace("0", "o").replace("1", "l").replace("-", " ")) == master


@given(st.binary(min_size=32, max_size=32), st.data())
def test_one_wrong_symbol_in_a_recovery_key_is_noticed(master: bytes, data: st.DataObject) -> None:
    text = recovery_text(master)
    places = [place for place, symbol in enumerate(text[:-1]) if symbol != "-"]
    place = data.draw(st.sampled_from(places))
    wrong = data.draw(st.sampled_from([s for s in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if s != text[place]]))
    with pytest.raises(BadRequest):
        parse_recovery_text(text[:place] + wrong + text[place + 1 :])


def test_a_lost_master_key_comes_back_from_the_recovery_key(tmp_path: Path) -> None:
    printed = create_keys(tmp_path)
    before = open_keys(tmp_path).subkey(b"x")
    (tmp_path / "master.key").unlink()
    with pytest.raises(LocalProblem, match=r"master.key is missing"):
        open_keys(tmp_path)
    recover_keys(tmp_path, printed)
    assert open_keys(tmp_path).subkey(b"x") == before


def test_the_recovery_key_of_another_store_changes_nothing(tmp_path: Path) -> None:
    create_keys(tmp_path / "one")
    other = create_keys(tmp_path / "two")
    before = (tmp_path / "one" / "master.key").read_bytes()
    with pytest.raises(LocalProblem, match="does not open this store"):
        recover_keys(tmp_path / "one", other)
    assert (tmp_path / "one" / "master.key").read_bytes() == before


def test_keys_are_never_made_twice_and_are_for_their_owner_only(tmp_path: Path) -> None:
    create_keys(tmp_path)
    with pytest.raises(LocalProblem, match="keys in this data folder already"):
        create_keys(tmp_path)
    for path in tmp_path.iterdir():
        assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_are_not_shown(tmp_path: Path) -> None:
    create_keys(tmp_path)
    keys = open_keys(tmp_path)
    assert "key=" not in repr(keys)
    assert not any(isinstance(value, bytes) for value in vars(keys).values())
