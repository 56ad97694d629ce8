"""Rules as whoever is in charge of a folder sees and changes them.

Owns: which rules belong to a view, which blocks may be chosen there, the paths that such a person reads.
May import: sqlalchemy, protocol, blocks, server.access, server.hooks.

A rule belongs to the view that its folder lies in: those of an intake are the operator's alone, since nobody has the
right to manage rules there.  Of any other rule nothing is told, not even that it exists.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from blocks.contract.block import known_blocks
from protocol.errors import BadRequest, NotFound
from protocol.ids import NodeId
from protocol.limits import MAX_MESSAGE_DEPTH
from protocol.messages import Kind
from server.access.ancestry import folders_above, is_live
from server.access.rights import ReadableView
from server.hooks import rules
from server.hooks.reviewing import rules_within
from server.hooks.rules import Folder, Rule


def rules_of(session: Session, view: ReadableView) -> list[Rule]:
    """The oldest first, with the numbers of their jobs."""
    return rules.list_rules(session, within=rules_within(session, view))


def rule_of(session: Session, view: ReadableView, rule: UUID) -> Rule:
    """Raises NotFound: there is none, or it is not of this view: never told apart."""
    for one in rules.list_rules(session, within=rules_within(session, view) & {rule.bytes}):
        return one
    raise NotFound("There is no such rule here", hint="The list of rules shows those that there are.")


def add_rule(
    session: Session,
    view: ReadableView,
    block: str,
    source: UUID,
    target: UUID,
    parameters: str,
    *,
    now_ms: int,
    new_only: bool,
    priority: int,
) -> Rule:
    """Between two folders of this view, by a block that this server offers: nobody names a folder of the server here.

    Raises as `rules.add_rule` does.
    """
    if block not in known_blocks():
        known = ", ".join(sorted(known_blocks()))
        raise NotFound(f"There is no block {block[:80]!r} on this server", hint=f"Choose one of: {known}.")
    made = rules.add_rule(
        session,
        block,
        _folder(session, view, source),
        _folder(session, view, target),
        as_json(parameters),
        now_ms=now_ms,
        new_only=new_only,
        priority=priority,
    )
    return rule_of(session, view, made.id)


def path_in(session: Session, view: ReadableView, folder: Folder) -> str:
    """As whoever sees this view writes it; "" for a folder that lies elsewhere."""
    names: list[str] = []
    for above in folders_above(session, folder.space, folder.node) if folder.space == view.space else ():
        if above.id == view.root.bytes:
            return "/".join([view.name, *names])
        names.insert(0, above.name)
    return ""


def as_json(parameters: str) -> dict[str, Any]:
    """As they are kept.  Raises BadRequest: no JSON object, or a deeper one than any message may be."""
    try:
        values: Any = json.loads(parameters, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadRequest("These parameters are not JSON", hint="See the block's manifest.") from error
    if not isinstance(values, dict) or _is_too_deep(values):
        raise BadRequest(
            "These parameters are no JSON object of a few levels", hint="See the block's manifest."
        )
    return values


def _no_number(word: str) -> Any:
    raise ValueError(word)  # NaN and the infinities are no JSON


def _is_too_deep(values: Any) -> bool:
    level = [values]
    for _ in range(MAX_MESSAGE_DEPTH):
        level = [
            below
            for one in level
            if isinstance(one, dict | list)
            for below in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


def _folder(session: Session, view: ReadableView, node: UUID) -> Folder:
    folder = Folder(view.space, NodeId(node), view.is_restricted)
    chain = folders_above(session, view.space, folder.node)
    if not is_live(chain) or chain[0].kind != Kind.FOLDER or not path_in(session, view, folder):
        raise NotFound("There is no such folder here", hint="Look at the view's folders again.")
    return folder
