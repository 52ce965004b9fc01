"""A real Chromium against a live server; tests here carry the mark `browser`."""

import os
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.live import require_chromium

# Playwright's synchronous interface runs an event loop in this thread, which Django takes for asynchronous code.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=30_000)  # milliseconds: a busy machine may answer late, which is no fault of a page


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require_chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def browser_of(chromium, live_server, sign_in):
    """browser_of(user, **options) -> a page of a browser in which this person is signed in.

    `page.complaints` collects what the console says in anger, a breach of the content security policy above all.
    """
    pages: list[Page] = []

    def open_page(user, **options) -> Page:
        context = chromium.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900}, **options)
        if user is not None:
            session = sign_in(user).cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        pages.append(attended(context.new_page()))
        return pages[-1]

    yield open_page
    # The database is emptied next: let the server finish what a page still asks for.
    for page in pages:
        let_answer(page)
        page.context.close()


def attended(page: Page) -> Page:
    """Notes what its console complains of, and which requests wait for an answer."""
    page.complaints = []
    page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.unanswered = set()
    page.on("request", lambda request: page.unanswered.add(request))
    page.on("requestfinished", lambda request: page.unanswered.discard(request))
    page.on("requestfailed", lambda request: page.unanswered.discard(request))
    return page


def let_answer(page: Page, seconds: float = 10) -> None:
    """Sooner than Playwright's "networkidle", which waits for half a second of silence after every test."""
    deadline = time.monotonic() + seconds
    while page.unanswered and time.monotonic() < deadline:
        page.wait_for_timeout(10)
