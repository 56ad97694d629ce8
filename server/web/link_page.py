"""The page behind a sync link.

Owns: `/s` with its style, its script and the downloads.  May import: aiohttp, protocol, server.http, server.web.

One page without any resource from outside.  The code stands behind # and so never reaches the server with the page; the
page's own script sends it in the body of `codes/look`.
"""

from __future__ import annotations

from importlib.resources import files

from aiohttp import web

from protocol.errors import NotFound
from server.http.ranges import attachment
from server.http.routes import Call, On, Route, Stream, route

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}


def _own(name: str, kind: str) -> web.Response:
    text = files("server.web").joinpath(name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=kind, headers=_HEADERS)


@route("GET", "/s", on=On.NOTHING, answer=Stream.PAGE, below="")
async def get_page(_: Call) -> web.Response:
    """What somebody sees who opens a sync link in a browser."""
    return _own("page.html", "text/html")


@route("GET", "/s/page.css", on=On.NOTHING, answer=Stream.STYLE, below="")
async def get_style(_: Call) -> web.Response:
    """The style of the page."""
    return _own("page.css", "text/css")


@route("GET", "/s/page.js", on=On.NOTHING, answer=Stream.SCRIPT, below="")
async def get_script(_: Call) -> web.Response:
    """The script of the page."""
    return _own("page.js", "text/javascript")


@route("GET", "/s/files.js", on=On.NOTHING, answer=Stream.SCRIPT, below="")
async def get_files_script(_: Call) -> web.Response:
    """The part of the script that lists files and gives single ones."""
    return _own("files.js", "text/javascript")


@route("GET", "/s/downloads/{file}", on=On.NOTHING, answer=Stream.FILE, below="")
async def get_download(call: Call) -> web.StreamResponse:
    """A program that the operator put into the folder of downloads."""
    path = call.service.downloads.path_of(call.request.match_info["file"])
    if path is None:
        raise NotFound("There is no such download", hint="Look at the page of your link.")
    headers = {"Content-Disposition": attachment(path.name), "Content-Type": Stream.FILE.value}
    return web.FileResponse(path, headers=headers)


PAGES: tuple[Route, ...] = (get_page, get_style, get_script, get_files_script, get_download)
