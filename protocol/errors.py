"""Every error raised on purpose, on both ends of the wire.

Owns: the tree, the codes that clients branch on, their HTTP statuses.
May import: the standard library.

MedicalBlocksError
├─ BadRequest        400  the request makes no sense
│  └─ MistypedCode        a sync code that cannot be one, found without asking a server
├─ NotSignedIn       401  no token, an unknown one, or one that was revoked
│  ├─ CodeExpired         the time of the sync code behind it is over
│  └─ CodeRevoked         whoever made the sync code took it back, or may not give it any more
├─ WrongPassword     401  name and password do not belong together (never says which is wrong)
├─ WrongCode         401  no such sync code, whatever the reason: one answer for all who do not hold a whole one
├─ PinNeeded         401  the sync code is right, and its PIN is missing or wrong
├─ AccessDenied      403  signed in, and still not allowed
│  ├─ CodeUsedUp          as many devices as the sync code allows have redeemed it
│  └─ CodeWaiting         whoever made the sync code lets in each device; ask again in a while
├─ NotFound          404  absent, or not yours: the two are never told apart
├─ Refused           409  a rule of the house says no, and trying again will not help
│  ├─ DeviceCloned        two copies of one client home are at work
│  └─ OverQuota           the space that something is sent for has no room for it
├─ TooLarge          413  over a limit that stands in `GET /hello`
├─ ContentDamaged    422  bytes do not match their chunk id; reported, never papered over
├─ TooManyTries      429  throttled; `retry_after_seconds` says for how long
├─ ServerFault       500  a fault of the server that it could not name
├─ Unavailable       503  true now, maybe not in a minute; the only one that is retried
└─ LocalProblem       –   something on this computer stands in the way; never crosses the wire
   └─ NotTrusted      –   nobody this computer believes vouches for the server; no secret was sent
"""

from __future__ import annotations


class MedicalBlocksError(Exception):
    """`code` is part of the protocol: clients branch on it, never on the words."""

    code = "internal"
    status = 500

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(f"{what}. {hint}")
        self.what = what
        self.hint = hint


class BadRequest(MedicalBlocksError):
    code, status = "bad-request", 400


class MistypedCode(BadRequest):
    code = "mistyped-code"


class NotSignedIn(MedicalBlocksError):
    code, status = "not-signed-in", 401


class CodeExpired(NotSignedIn):
    code = "code-expired"


class CodeRevoked(NotSignedIn):
    code = "code-revoked"


class WrongPassword(MedicalBlocksError):
    code, status = "wrong-password", 401


class WrongCode(MedicalBlocksError):
    code, status = "wrong-code", 401


class PinNeeded(MedicalBlocksError):
    code, status = "pin-needed", 401


class AccessDenied(MedicalBlocksError):
    code, status = "denied", 403


class CodeUsedUp(AccessDenied):
    code = "code-used-up"


class CodeWaiting(AccessDenied):
    code = "code-waiting"


class NotFound(MedicalBlocksError):
    code, status = "not-found", 404


class Refused(MedicalBlocksError):
    code, status = "refused", 409


class DeviceCloned(Refused):
    """A batch number came twice with different operation ids: two copies of one client home are at work."""

    code = "device-cloned"


class OverQuota(Refused):
    code = "over-quota"


class TooLarge(MedicalBlocksError):
    code, status = "too-large", 413


class ContentDamaged(MedicalBlocksError):
    code, status = "content-damaged", 422


class TooManyTries(MedicalBlocksError):
    code, status = "too-many-tries", 429

    def __init__(self, what: str, *, hint: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(what, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class ServerFault(MedicalBlocksError):
    code, status = "internal", 500


class Unavailable(MedicalBlocksError):
    code, status = "unavailable", 503


class LocalProblem(MedicalBlocksError):
    code, status = "local", 500


class NotTrusted(LocalProblem):
    code = "not-trusted"


_ON_THE_WIRE: dict[str, type[MedicalBlocksError]] = {
    kind.code: kind
    for kind in (
        BadRequest,
        MistypedCode,
        NotSignedIn,
        CodeExpired,
        CodeRevoked,
        WrongPassword,
        WrongCode,
        PinNeeded,
        AccessDenied,
        CodeUsedUp,
        CodeWaiting,
        NotFound,
        Refused,
        DeviceCloned,
        OverQuota,
        TooLarge,
        ContentDamaged,
        TooManyTries,
        ServerFault,
        Unavailable,
    )
}


def error_from_wire(code: str, message: str, status: int) -> MedicalBlocksError:
    """The error that a reply `{"error": code, "message": message}` stands for.

    A code of a newer server that we do not know becomes the class of its HTTP status.
    """
    kind = _ON_THE_WIRE.get(code)
    if kind is None:
        by_status = {known.status: known for known in reversed(_ON_THE_WIRE.values())}
        kind = by_status.get(status, ServerFault)
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.what, error.hint = message, ""
    if isinstance(error, TooManyTries):
        error.retry_after_seconds = 0.0
    return error
