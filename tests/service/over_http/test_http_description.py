"""The description of the service: Schemathesis finds it true, a browser shows it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from broker_core.conformance.polling import Deadline
from broker_core.conformance.sizes import Size
from fair_dispatcher.http.openapi import document, kinds_of
from fair_dispatcher.http.operations import OPERATIONS
from fair_dispatcher.http.page import html
from fair_dispatcher.http.problems import KINDS
from scripts.docs import http as reference
from scripts.docs.pages import FOLDER as FOLDER_OF_PAGES
from tests.service.over_http.brokers import Place
from tests.service.over_http.serving import serving

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]


def run_schemathesis(url: str, token: str, folder: Path, examples: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", FOLDER / "schemathesis.toml"),
            *("run", f"{url}/v1/openapi.json", "--header", f"Authorization: Bearer {token}"),
            *(
                "--max-examples",
                str(examples),
                "--no-color",
                "--generation-database",
                "none",
            ),
        ],
        cwd=folder,
        env=os.environ
        | {"SCHEMATHESIS_HOOKS": "tests.service.over_http.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.deadline(1800)
@pytest.mark.timeout(2000)
async def test_nothing_but_documented_answers(
    on_redis: Place, tmp_path: Path, deadline: Deadline, size: Size
) -> None:
    environment = {"FAIRDISPATCH_SERVICE_LONGEST_WAIT_SECONDS": "0.05"}
    with serving(on_redis, tmp_path, environment=environment) as served:
        url = await served.url(deadline)
        finished = run_schemathesis(url, served.token, tmp_path, size.pick(short=3, full=600))
        output = re.sub(r"(.{300}).*", r"\1 …", finished.stdout)[-8000:]
        assert finished.returncode == 0, output
        found = re.search(r"(\d+) generated, (\d+) passed", finished.stdout)
        assert found is not None, output
        assert int(found[1]) >= size.pick(short=300, full=10_000)
        print(output[-700:])
        assert served.run.events("a request failed") == []


def test_every_operation_and_problem_is_described() -> None:
    described = document()
    names = {one["operationId"] for methods in described["paths"].values() for one in methods.values()}
    assert names == {operation.name for operation in OPERATIONS}
    used = {kind for operation in OPERATIONS for kind in kinds_of(operation)}
    anywhere = {"not-found", "method-not-allowed"}
    assert {kind.name for kind in KINDS} == {kind.name for kind in used} | anywhere
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))
    in_words = set(re.findall(r"One (\w+) a line", json.dumps(described)))
    assert references | in_words == set(described["components"]["schemas"])


def test_further_members_of_a_problem_are_described() -> None:
    members = {
        "type",
        "title",
        "status",
        "detail",
        "request_id",
        "retry_after",
        "index",
        "publish",
        "receive",
    }
    assert document()["components"]["schemas"]["Problem"]["properties"].keys() == members
    assert "Which of the receipts it is about, from 0." in html()


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if name == "href" and value:
                self.targets.add(value)
            if name in ("src", "srcset", "action") or tag in ("link", "script", "img", "iframe"):
                self.loaded.append(f"{tag} {name}={value}")


def test_the_page_loads_nothing_and_its_links_lead_somewhere() -> None:
    page = _Links()
    page.feed(html())
    assert page.loaded == []
    assert "url(" not in html()
    assert "http" not in "".join(page.targets)
    assert {target.removeprefix("#") for target in page.targets - {"/v1/openapi.json"}} <= page.ids


@pytest.mark.skipif(shutil.which("chromium") is None, reason="a browser is not installed")
async def test_a_browser_shows_the_page(on_redis: Place, tmp_path: Path, deadline: Deadline) -> None:
    with serving(on_redis, tmp_path) as served:
        url = await served.url(deadline)
        shown = browse(f"{url}/docs", tmp_path)
        assert "Publish a message" in shown.stdout
        for problem in ("Refused to", "violates", "net::ERR"):
            assert problem not in shown.stderr


def browse(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                f"--user-data-dir={folder / 'browser'}",
            ),
            *("--enable-logging=stderr", "--dump-dom", url),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_the_reference_is_fresh() -> None:
    assert (FOLDER_OF_PAGES / "http.md").read_text("utf-8") == reference.page(), "run `make docs`"
