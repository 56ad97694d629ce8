"""Which blocks work on the files of a view.

Owns: `blocks` and `rules` of a view.
May import: aiohttp, sqlalchemy, protocol, server.access, server.audit, server.hooks, server.http.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

from aiohttp import web
from sqlalchemy.orm import Session

from protocol.errors import BadRequest
from protocol.hooks import Blocks, ChangeRule, NewRule, Rule, RuleRun, Rules
from protocol.ids import parse_node_id
from protocol.parameters import read_parameters
from server.access.rights import Action
from server.audit.rows import Did, pack_nodes, record
from server.hooks import rules, ruling
from server.hooks.choosing import run_chosen
from server.hooks.progress import pace_of, progress_of
from server.http.routes import Call, On, Query, route

PAGE = 200
_ALL = "/views/{view}/rules"
_ONE = _ALL + "/{rule}"


@route("GET", "/views/{view}/blocks", on=On.VIEW, action=Action.RULES, answer=Blocks)
async def get_blocks(_: Call) -> Blocks:
    """The blocks that a rule here may name, each with the schema of its parameters."""
    return Blocks(blocks=await asyncio.to_thread(ruling.known))


@route(
    "GET",
    _ALL,
    on=On.VIEW,
    action=Action.RULES,
    answer=Rules,
    query=(Query("after", str, "`next` of the page before; empty: the oldest"),),
)
async def get_rules(call: Call) -> Rules:
    """A page of the rules on folders of this view, the oldest first, with how many of their jobs are in each state."""
    after = _rule_id(call.text("after")) if call.text("after") else None

    def read(session: Session) -> Rules:
        known = ruling.rules_of(session, call.view)
        begin = next((at + 1 for at, one in enumerate(known) if one.id == after), 0)
        page = known[begin : begin + PAGE]
        more = len(known) > begin + PAGE
        return Rules(
            rules=[_message(session, call, one) for one in page], next=str(page[-1].id) if more else ""
        )

    return await call.service.database.read(read)


@route("GET", _ONE, on=On.VIEW, action=Action.RULES, answer=Rule)
async def get_rule(call: Call) -> Rule:
    """One rule."""
    return await call.service.database.read(lambda session: _message(session, call, _found(session, call)))


@route("POST", _ALL, on=On.VIEW, action=Action.RULES, request=NewRule, answer=Rule)
async def post_rule(call: Call, asked: NewRule) -> Rule:
    """Have a block work on every file of a folder, now and later; its results appear in another one."""

    def add(session: Session) -> rules.Rule:
        return ruling.add_rule(
            session,
            call.view,
            asked.block,
            asked.source,
            asked.target,
            asked.parameters,
            now_ms=call.service.clock(),
            new_only=asked.new_only,
            priority=asked.priority,
            batch=asked.batch or None,
            at_once=asked.at_once or None,
            names=asked.names,
        )

    return await _noted(call, f"add {asked.block}", add)


@route("POST", _ONE, on=On.VIEW, action=Action.RULES, request=ChangeRule, answer=Rule)
async def post_rule_change(call: Call, asked: ChangeRule) -> Rule:
    """Give a rule another block, other parameters, files, priority or limits, or switch it off or on.

    What it made already stays as it is until it is run again.
    """

    def change(session: Session) -> rules.Rule:
        rule = _found(session, call)
        text = asked.parameters
        if asked.block is not None:
            ruling.must_be_offered(asked.block)
        rules.change_rule(
            session,
            rule,
            parameters=None if text is None else read_parameters(text, what="parameters"),
            priority=asked.priority,
            enabled=asked.enabled,
            batch=asked.batch,
            at_once=asked.at_once,
            names=asked.names,
            block=asked.block,
        )
        return _found(session, call)

    return await _noted(call, "change", change)


@route("DELETE", _ONE, on=On.VIEW, action=Action.RULES)
async def delete_rule(call: Call) -> web.Response:
    """End a rule.  What it made stays; what it held back is forgotten."""

    def remove(session: Session) -> None:
        rule = _found(session, call)
        rules.remove_rule(session, rule)
        _note(session, call, "remove", rule)

    await call.service.database.write(remove)
    return web.Response(status=204)


@route(
    "POST",
    _ONE + "/run",
    on=On.VIEW,
    action=Action.RULES,
    answer=RuleRun,
    query=(Query("node", str, "only this file, or all below this folder, also what it left alone so far"),),
)
async def post_rule_run(call: Call) -> RuleRun:
    """Do its files once more, as after a change; results become new versions of what is there."""
    chosen = parse_node_id(call.text("node")) if call.text("node") else None

    def run(session: Session) -> RuleRun:
        rule = _found(session, call)
        if chosen is None:
            files = rules.run_again(session, rule)
        else:
            files = run_chosen(session, rule, chosen, now_ms=call.service.clock())
        _note(session, call, "run", rule)
        return RuleRun(files=files)

    return await call.service.database.write(run)


async def _noted(call: Call, did: str, work: Callable[[Session], rules.Rule]) -> Rule:
    """In the log, in the transaction of the change."""

    def change(session: Session) -> Rule:
        rule = work(session)
        _note(session, call, did, rule)
        return _message(session, call, rule)

    return await call.service.database.write(change)


def _note(session: Session, call: Call, did: str, rule: rules.Rule) -> None:
    nodes = pack_nodes([(rule.source.node.bytes, 0, 0)])
    record(session, [call.entry(Did.RULE, detail=f"{did} {rule.short}", nodes=nodes)])


def _found(session: Session, call: Call) -> rules.Rule:
    return ruling.rule_of(session, call.view, _rule_id(call.request.match_info["rule"]))


def _rule_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise BadRequest(
            f"{text[:40]!r} is no id of a rule", hint="Take it from the list of rules."
        ) from error


def _message(session: Session, call: Call, rule: rules.Rule) -> Rule:
    now_ms = call.service.clock()
    target = ruling.path_in(session, call.view, rule.target)
    return Rule(
        rule=rule.id,
        short=rule.short,
        block=rule.block
        if "/" not in rule.block
        else rule.block.rpartition("/")[2],  # its folder is the operator's
        source=ruling.path_in(session, call.view, rule.source),
        target=target,
        parameters=dict(rule.parameters),
        enabled=rule.enabled,
        priority=rule.priority,
        jobs=dict(rule.jobs or {}),
        batch=rule.batch,
        at_once=rule.at_once,
        progress=progress_of(rule.jobs or {}, pace_of(session, rule.id.bytes, now_ms=now_ms), now_ms=now_ms),
        names=rule.names,
    )
