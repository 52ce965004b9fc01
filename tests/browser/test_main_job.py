"""The main job by hand: a real server, real workers and a real browser, from sign-in to the downloaded report."""

import hashlib
import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from tests.live import Instance, require_chromium, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.instance, pytest.mark.timeout(600)]

CLASSES = ("ash", "birch", "cedar", "elm", "fir")
LONG = 120_000  # milliseconds that a job may take on a busy machine
SIDE = 32


@pytest.fixture(scope="module")
def materials(tmp_path_factory) -> Path:
    """An archive of small images with classes, a damaged archive, and weights of an untrained suspect."""
    import torch
    from safetensors.torch import save_file

    from audits.suspects.small_resnet import SmallResNet

    root = tmp_path_factory.mktemp("materials")
    rng = np.random.default_rng(3)
    for label in CLASSES:
        (root / "woods" / label).mkdir(parents=True)
        for i in range(70):
            small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(
                root / "woods" / label / f"{i:03d}.jpg", quality=95, subsampling=0
            )
    with zipfile.ZipFile(root / "woods.zip", "w") as archive:
        for path in sorted((root / "woods").rglob("*.jpg")):
            archive.write(path, path.relative_to(root / "woods"))
    whole = (root / "woods.zip").read_bytes()
    (root / "damaged.zip").write_bytes(whole[: len(whole) // 2])
    torch.manual_seed(4)
    network = SmallResNet(16, classes=len(CLASSES))
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, root / "suspect.safetensors")
    return root


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    require_chromium()
    instance = Instance(tmp_path_factory.mktemp("instance")).start()
    yield instance
    instance.remove()


@pytest.fixture(scope="module")
def passwords(instance) -> dict[str, str]:
    roles = {"rosa": "rights_holder", "adam": "auditor", "lena": "legal"}
    found = {name: instance.add_member(name, role) for name, role in roles.items()}
    answer = instance.manage("add_member", "otto", "--organisation", "Cedar Company", "--create", "--role", "auditor")
    return {**found, "otto": str(answer["password"])}


@pytest.fixture
def signed_in(chromium, instance, passwords):
    """signed_in(name) -> a page of that person's browser, signed in by hand."""
    contexts = []

    def enter(name: str) -> Page:
        context = chromium.new_context(base_url=instance.url, viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.complaints = []
        page.on("console", lambda said: said.type == "error" and page.complaints.append(said.text))
        page.goto("/sign-in/")
        page.locator("#id_username").fill(name)
        page.locator("#id_password").fill(passwords[name])
        page.locator("#id_password").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Overview")
        return page

    yield enter
    for context in contexts:
        context.close()


def look(page: Page, name: str) -> None:
    """No serious finding of axe, a silent console, and a picture in light and in dark."""
    findings = [f for f in Axe().run(page).response["violations"] if f["impact"] in ("serious", "critical")]
    assert not findings, [(f["id"], f["nodes"][0]["html"]) for f in findings]
    assert not page.complaints, page.complaints
    pictures = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(200)
        pictures.append(page.screenshot(full_page=True))
        if folder := os.environ.get("TOUCHMARK_SCREENSHOTS"):
            (Path(folder) / f"{name}-{scheme}.png").write_bytes(pictures[-1])
    page.emulate_media(color_scheme="light")
    assert pictures[0] != pictures[1]


def test_from_the_sign_in_to_the_downloaded_report(signed_in, materials, tmp_path):
    owner = signed_in("rosa")
    _register(owner, materials / "woods.zip")
    release_page = _release(owner, tmp_path)

    auditor = signed_in("adam")
    _register_suspect(auditor, materials / "suspect.safetensors")
    audit_page = _audit(auditor)

    _see_the_assignment(owner, auditor, audit_page)
    _report(signed_in("lena"), audit_page, tmp_path)

    stranger = signed_in("otto")
    for path in (release_page, audit_page):
        answer = stranger.goto(path)
        assert answer.status == 404
        expect(stranger.get_by_role("heading", level=1)).to_be_visible()


def _register(page: Page, archive: Path) -> None:
    page.goto("/datasets/")
    page.get_by_role("link", name="Register a dataset").first.click()
    page.get_by_label("Name", exact=True).fill("Woods")
    page.get_by_label("Archive to upload").set_input_files(archive)
    expect(page.locator("[data-upload-text]")).to_contain_text("is uploaded", timeout=LONG)
    page.locator("input[name=labels][value=folder]").check()
    page.get_by_role("button", name="Register the dataset").click()
    expect(page.get_by_text("350", exact=True).first).to_be_visible(timeout=LONG)
    look(page, "version")
    page.get_by_role("link", name="Files", exact=False).first.click()


def _release(page: Page, tmp_path: Path) -> str:
    page.goto("/releases/new/")
    page.get_by_label("Recipients").fill("Northgate Vision\nLumen Robotics")
    page.locator("input[name=set-1-preset][value=strong]").check()
    expect(page.locator("#plan")).to_contain_text("ash")
    expect(page.locator("#plan")).to_contain_text("Fewer than 50")
    expect(page.locator("#plan")).to_contain_text(re.compile("ha(s|ve) a near-duplicate"), timeout=LONG)
    look(page, "release-new")
    page.get_by_role("button", name="Draw, commit and make copies").click()
    download = page.get_by_role("link", name="Download the copy")
    for recipient in ("Lumen Robotics", "Northgate Vision"):
        page.goto("/releases/")
        page.get_by_role("link", name=recipient, exact=False).first.click()
        expect(download).to_be_visible(timeout=LONG)
    expect(page.locator("main")).to_contain_text("Files compared", timeout=LONG)  # the page is drawn anew by then
    look(page, "release")
    where = page.url
    with page.expect_download() as started:
        download.click()
    started.value.save_as(tmp_path / "copy.zip")
    with zipfile.ZipFile(tmp_path / "copy.zip") as copy:
        assert copy.testzip() is None
        assert len(copy.namelist()) >= 350
    page.get_by_role("link", name="See marked images").click()
    expect(page.locator(".triptych").first).to_be_visible()
    look(page, "gallery")
    return where


def _register_suspect(page: Page, weights: Path) -> None:
    page.goto("/models/new/")
    page.get_by_label("Name", exact=True).fill("Harvest encoder")
    page.get_by_label("File of weights").set_input_files(weights)
    expect(page.locator("[data-upload-text]")).to_contain_text("is uploaded", timeout=LONG)
    page.locator("#id_architecture").fill("small_resnet:16")
    page.locator("#architectures input[value='small_resnet:16']").check()
    for level in ("features", "labels"):
        page.locator(f"input[name=returns][value={level}]").check()
    page.get_by_text("Input: size and normalisation").click()
    page.locator("#id_input_size").fill(str(SIDE))
    page.get_by_role("button", name="Register the model").click()
    expect(page.get_by_text("images per second", exact=False).first).to_be_visible(timeout=LONG)
    look(page, "model")


def _audit(page: Page) -> str:
    page.goto("/audits/")
    page.get_by_role("link", name="Plan an audit").first.click()
    for recipient in ("Northgate Vision", "Lumen Robotics"):
        page.get_by_label(recipient, exact=False).check()
    suspect = page.locator("#id_suspect option", has_text="Harvest encoder").get_attribute("value")
    page.locator("#id_suspect").select_option(suspect)
    page.locator("#id_probes").fill("60")
    expect(page.locator("#forecast")).to_contain_text("Forward passes", ignore_case=True)
    look(page, "plan-new")
    page.get_by_role("button", name="Save the draft").click()
    page.get_by_role("button", name="Lock the plan").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Lock the plan").click()
    page.get_by_role("button", name="Run the audit").click()
    expect(page.locator("[data-chart] svg.main-svg").first).to_be_visible(timeout=LONG)
    expect(page.locator("main")).to_contain_text("the smallest p this plan could reach")
    look(page, "audit")
    return page.url


def _see_the_assignment(owner: Page, auditor: Page, audit_page: str) -> None:
    """The owner sees which pattern marks which group; the auditor's page does not hold it."""
    owner.goto(audit_page)
    expect(owner.locator("main")).to_contain_text("The outlined cells are the true assignment")
    expect(auditor.locator("main")).to_contain_text("Means over all patterns")
    pulls = "figure[data-chart=pulls-figure]"
    assert "ash" in owner.locator(pulls).inner_html()
    assert auditor.locator(pulls).count() == 0


def _report(page: Page, audit_page: str, tmp_path: Path) -> None:
    page.goto(audit_page)
    page.get_by_role("button", name="Issue a report").click()
    link = page.get_by_role("link", name="Download the PDF")
    expect(link).to_be_visible(timeout=LONG)
    look(page, "report")
    with page.expect_download() as started:
        link.click()
    path = tmp_path / "report.pdf"
    started.value.save_as(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in page.content()
    text = "".join(sheet.extract_text() for sheet in PdfReader(path).pages)
    assert "Northgate Vision" in text
    assert "Harvest encoder" in text


def test_a_failing_job_says_what_to_do(signed_in, materials):
    page = signed_in("rosa")
    page.goto("/datasets/new/")
    page.get_by_label("Name", exact=True).fill("Broken")
    page.get_by_label("Archive to upload").set_input_files(materials / "damaged.zip")
    expect(page.locator("[data-upload-text]")).to_contain_text("is uploaded", timeout=LONG)
    page.get_by_role("button", name="Register the dataset").click()
    reason = page.locator(".notice.bad")
    expect(reason.first).to_be_visible(timeout=LONG)
    assert len(reason.first.inner_text()) > 20
    expect(page.get_by_role("button", name="Run again").first).to_be_visible()
    look(page, "failed")


def test_an_upload_goes_on_after_a_reload(signed_in, tmp_path):
    page = signed_in("rosa")
    big = tmp_path / "big.zip"
    with zipfile.ZipFile(big, "w") as archive:
        archive.writestr("noise.bin", np.random.default_rng(1).bytes(40 * 1024 * 1024))
    page.goto("/datasets/new/")
    sent = []
    page.on("request", lambda request: request.method in ("PUT", "PATCH", "POST") and sent.append(request.url))
    page.get_by_label("Archive to upload").set_input_files(big)
    bar = page.locator("[data-upload-box] progress")
    wait_for(lambda: bar.evaluate("bar => bar.value") > 0.2, 30, "a fifth of the upload")
    page.reload()
    expect(page.get_by_text("choose the same file again to go on", exact=False)).to_be_visible()
    before = len(sent)
    page.get_by_label("Archive to upload").set_input_files(big)
    expect(page.locator("[data-upload-text]")).to_contain_text("is uploaded", timeout=LONG)
    # How many pieces follow depends on how quick the machine is; where the first one starts does not.
    first = next(url for url in sent[before:] if "/chunk/" in url)
    assert int(first.rpartition("offset=")[2]) > 0, "it began anew"
    shutil.rmtree(tmp_path, ignore_errors=True)
