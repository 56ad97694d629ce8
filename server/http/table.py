"""Every route of the server.

Owns: the list; `GET /openapi.json`, which describes it.  May import: aiohttp, protocol, server.http.
"""

from __future__ import annotations

from aiohttp import web

from protocol.messages import JSON, to_json
from server.http import (
    activity,
    chunks,
    codes,
    cohorts,
    commit,
    feed,
    files,
    grants,
    hello,
    history,
    jobs,
    labels,
    login,
    notices,
    rules,
    search,
)
from server.http.openapi import describe
from server.http.routes import Call, On, Stream, route


@route("GET", "/openapi.json", on=On.NOTHING, answer=Stream.SCHEMA, below="")
async def get_openapi(call: Call) -> web.Response:
    """This interface, described."""
    return web.Response(body=to_json(describe(ROUTES, version=call.service.version)), content_type=JSON)


ROUTES = (
    get_openapi,
    hello.get_hello,
    login.post_login,
    login.post_logout,
    login.get_devices,
    login.delete_device,
    feed.get_views,
    feed.get_changes,
    feed.post_wait,
    chunks.post_missing,
    chunks.post_chunks,
    chunks.post_content,
    commit.post_commit,
    files.get_file,
    files.head_file,
    history.get_versions,
    history.get_version,
    history.get_trash,
    history.get_list,
    activity.get_activity,
    grants.get_grants,
    grants.put_grant,
    grants.delete_grant,
    codes.post_redeem,
    codes.post_look,
    codes.post_code,
    codes.get_codes,
    codes.delete_code,
    codes.put_code_device,
    notices.get_notices,
    jobs.get_jobs,
    jobs.get_job,
    jobs.get_held,
    jobs.post_retry,
    jobs.post_release,
    jobs.post_reject,
    jobs.post_withdraw,
    rules.get_blocks,
    rules.get_rules,
    rules.get_rule,
    rules.post_rule,
    rules.post_rule_change,
    rules.delete_rule,
    rules.post_rule_run,
    cohorts.get_cohorts,
    cohorts.post_cohort,
    cohorts.delete_cohort,
    search.get_search,
    search.get_table,
    search.get_counts,
    labels.get_labels,
    labels.put_label,
    labels.delete_label,
    labels.get_label_kinds,
    labels.put_label_kind,
    labels.delete_label_kind,
)
