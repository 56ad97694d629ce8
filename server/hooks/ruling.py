"""Rules as whoever is in charge of a folder sees and changes them.

Owns: which rules belong to a view, which blocks may be chosen there, the paths that such a person reads.
May import: sqlalchemy, protocol, blocks, server.access, server.hooks.

A rule belongs to the view that its folder lies in: those of an intake are the operator's alone, since nobody has the
right to manage rules there.  Of any other rule nothing is told, not even that it exists.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy.orm import Session

from blocks.contract.block import known_blocks
from blocks.contract.manifest import Manifest
from blocks.runners.trying import find_block
from protocol.errors import NotFound
from protocol.hooks import Block
from protocol.ids import NodeId
from protocol.messages import Kind
from protocol.parameters import read_parameters
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
    batch: int | None,
    at_once: int | None,
    names: Sequence[str],
) -> Rule:
    """Between two folders of this view, by a block that this server offers: nobody names a folder of the server here.

    Raises as `rules.add_rule` does.
    """
    must_be_offered(block)
    made = rules.add_rule(
        session,
        block,
        _folder(session, view, source),
        _folder(session, view, target),
        read_parameters(parameters, what="parameters"),
        now_ms=now_ms,
        new_only=new_only,
        priority=priority,
        batch=batch,
        at_once=at_once,
        names=names,
    )
    return rule_of(session, view, made.id)


def must_be_offered(block: str) -> None:
    """Raises NotFound: this server offers no such block."""
    if block not in known_blocks():
        known = ", ".join(sorted(known_blocks()))
        raise NotFound(f"There is no block {block[:80]!r} on this server", hint=f"Choose one of: {known}.")


def path_in(session: Session, view: ReadableView, folder: Folder) -> str:
    """As whoever sees this view writes it; "" for a folder that lies elsewhere."""
    names: list[str] = []
    for above in folders_above(session, folder.space, folder.node) if folder.space == view.space else ():
        if above.id == view.root.bytes:
            return "/".join([view.name, *names])
        names.insert(0, above.name)
    return ""


def known() -> list[Block]:
    """The blocks that may be chosen, by name."""
    found = []
    for name in sorted(known_blocks()):
        with suppress(NotFound):  # one that is installed beside us and has no manifest here
            found.append(_block(find_block(name)[0]))
    return found


def _block(manifest: Manifest) -> Block:
    takes_all = any(not one.types for one in manifest.accepts)
    return Block(
        block=manifest.name,
        version=manifest.version,
        summary=manifest.summary,
        produces=[one.value for one in manifest.produces],
        kinds=[] if takes_all else sorted({kind for one in manifest.accepts for kind in one.types}),
        parameters=manifest.parameters,
        batch_files=manifest.resources.batch_files,
    )


def _folder(session: Session, view: ReadableView, node: UUID) -> Folder:
    folder = Folder(view.space, NodeId(node), view.is_restricted)
    chain = folders_above(session, view.space, folder.node)
    if not is_live(chain) or chain[0].kind != Kind.FOLDER or not path_in(session, view, folder):
        raise NotFound("There is no such folder here", hint="Look at the view's folders again.")
    return folder
