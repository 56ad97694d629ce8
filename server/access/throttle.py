"""How fast passwords and sync codes may be guessed.

Owns: the rule (pure), and the rows that let it outlive a restart.
May import: sqlalchemy, protocol, server.database.

A try counts before the password is looked at, so that a hundred tries at the same moment count as a hundred;
one that succeeds is taken back.  A name that does not exist is throttled like one that does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import delete
from sqlalchemy.orm import Session

from protocol.errors import TooManyTries
from server.database.tables import LoginTryRow

FREE_TRIES = 5
LONGEST_WAIT_MS = 15 * 60_000
TRIES_A_DAY = 100
DAY_MS = 24 * 3_600_000
ADDRESS_TRIES = 30  # may come at once, and as many again each minute
ADDRESS_REGAIN_MS = 60_000 // ADDRESS_TRIES


@dataclass(frozen=True, slots=True)
class Tries:
    """What is remembered of one account or one address."""

    failures: int = 0
    last_at_ms: int = 0
    day_failures: int = 0
    day_started_at_ms: int = 0


def account_wait_ms(tries: Tries, now_ms: int) -> int:
    """How long this account must wait for its next try: not at all for the first five, then 2, 4, 8 … s up
    to 15 min; after a hundred in one day, until the day is over."""
    if tries.day_failures >= TRIES_A_DAY and now_ms < tries.day_started_at_ms + DAY_MS:
        return tries.day_started_at_ms + DAY_MS - now_ms
    over = tries.failures - FREE_TRIES + 1
    if over <= 0:
        return 0
    pause_ms = min(1_000 << min(over, 20), LONGEST_WAIT_MS)
    return max(0, tries.last_at_ms + pause_ms - now_ms)


def account_after_try(tries: Tries, now_ms: int) -> Tries:
    """A day after the last try all is forgotten."""
    if now_ms >= tries.last_at_ms + DAY_MS:
        tries = Tries()
    if now_ms >= tries.day_started_at_ms + DAY_MS:
        tries = replace(tries, day_failures=0, day_started_at_ms=now_ms)
    return replace(tries, failures=tries.failures + 1, last_at_ms=now_ms, day_failures=tries.day_failures + 1)


def address_wait_ms(tries: Tries, now_ms: int) -> int:
    over = _still_held(tries, now_ms) - ADDRESS_TRIES + 1
    return max(0, over) * ADDRESS_REGAIN_MS


def address_after_try(tries: Tries, now_ms: int) -> Tries:
    return Tries(failures=_still_held(tries, now_ms) + 1, last_at_ms=now_ms)


def _still_held(tries: Tries, now_ms: int) -> int:
    return max(0, tries.failures - max(0, now_ms - tries.last_at_ms) // ADDRESS_REGAIN_MS)


# ---- the rows --------------------------------------------------------------------------------------------


def count_try(session: Session, *, account: str, address: str, now_ms: int) -> None:
    """Count a try that is about to be made.  account: the name's key, known or not.

    Raises TooManyTries: it may not be made, and was not counted.
    """
    account_row = _row(session, f"user:{account}"[:400])
    address_row = _row(session, _address(address))
    wait_ms = max(account_wait_ms(_tries(account_row), now_ms), address_wait_ms(_tries(address_row), now_ms))
    _refuse_early("passwords", wait_ms)
    _keep(account_row, account_after_try(_tries(account_row), now_ms))
    _keep(address_row, address_after_try(_tries(address_row), now_ms))
    session.flush()


def take_back(session: Session, *, account: str, address: str) -> None:
    """The password was right: the account begins anew, the address is not charged."""
    session.execute(delete(LoginTryRow).where(LoginTryRow.subject == f"user:{account}"[:400]))
    _uncharge(session, address)


def count_try_of_code(session: Session, *, address: str, now_ms: int) -> None:
    """Of a sync code: there is no account to charge but the address.  Raises TooManyTries."""
    row = _row(session, _address(address))
    _refuse_early("sync codes", address_wait_ms(_tries(row), now_ms))
    _keep(row, address_after_try(_tries(row), now_ms))
    session.flush()


def take_back_try_of_code(session: Session, *, address: str) -> None:
    """The code was right."""
    _uncharge(session, address)


def count_pin(session: Session, *, code: str, now_ms: int) -> None:
    """Of this code, by whoever holds it.  Raises TooManyTries."""
    row = _row(session, f"code:{code}")
    _refuse_early("PINs", account_wait_ms(_tries(row), now_ms))
    _keep(row, account_after_try(_tries(row), now_ms))
    session.flush()


def forget_pins(session: Session, *, code: str) -> None:
    """The PIN was right."""
    session.execute(delete(LoginTryRow).where(LoginTryRow.subject == f"code:{code}"))


def forget_old_tries(session: Session, *, now_ms: int) -> None:
    """Rows that no longer make anyone wait."""
    session.execute(delete(LoginTryRow).where(LoginTryRow.last_at_ms < now_ms - DAY_MS))


def _refuse_early(what: str, wait_ms: int) -> None:
    if wait_ms:
        raise TooManyTries(
            f"There were too many wrong {what}",
            hint=f"Try again in {_in_words(wait_ms)}.",
            retry_after_seconds=wait_ms / 1_000,
        )


def _address(address: str) -> str:
    return f"address:{address}"[:400]


def _uncharge(session: Session, address: str) -> None:
    row = session.get(LoginTryRow, _address(address))
    if row is not None and row.failures > 0:
        row.failures -= 1
        session.flush()


def _row(session: Session, subject: str) -> LoginTryRow:
    row = session.get(LoginTryRow, subject)
    if row is None:
        row = LoginTryRow(subject=subject)
        _keep(row, Tries())
        session.add(row)
    return row


def _tries(row: LoginTryRow) -> Tries:
    return Tries(row.failures, row.last_at_ms, row.day_failures, row.day_started_at_ms)


def _keep(row: LoginTryRow, tries: Tries) -> None:
    row.failures, row.last_at_ms = tries.failures, tries.last_at_ms
    row.day_failures, row.day_started_at_ms = tries.day_failures, tries.day_started_at_ms


def _in_words(wait_ms: int) -> str:
    seconds = max(1, -(-wait_ms // 1_000))
    if seconds < 120:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    return f"{-(-seconds // 60)} minutes" if seconds < 7_200 else f"{-(-seconds // 3_600)} hours"
