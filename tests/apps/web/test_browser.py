"""The web app in a real browser, as a visitor uses it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_pack import write_tiny_pack
from web_server import Served, served
from web_window import PATIENCE_SECONDS, PHONE, Window, launched_browser

from cfclip import Session, rerun
from cfclip.fitting import find_latents, train_mapper
from cfclip.provenance import COMPOSED, GENERATED, image_sha256, inspect_picture
from cfclip.training import TrainingConfig

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
AVATAR = ROOT / "examples" / "avatars" / "ada.png"
SCREENSHOTS = "CFCLIP_SCREENSHOTS"
"""Set to a folder, such as docs/images: the pictures of docs/WEB.md are written there."""
MANY_STEPS, MANY_VIEWS = 500, 16
"""Of an edit that lasts until somebody stops it, on a machine that has other things to do."""
SCREENSHOT_STEPS = 30


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched_browser() as launched:
        yield launched


@pytest.fixture(scope="module")
def patient_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny`, whose edits make every step: they do not end before they can be stopped."""
    folder = tmp_path_factory.mktemp("packs") / "tiny"
    write_tiny_pack(folder, edit={"patience": 0})
    return folder


@pytest.fixture(scope="module")
def app(patient_pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    runs = tmp_path_factory.mktemp("runs")
    session = Session.open(patient_pack)
    few = TrainingConfig(steps=2, batch=2, samples=8, validation=2, validate_every=1)
    sets = find_latents(session, few).sets
    train_mapper(session, ("blue hair", "red skin"), sets, runs / "colours", few)
    limits = ("--limits.upload-megabytes", "1", "--limits.grace-seconds", "1")
    with served("--pack", patient_pack, "--mappers", runs, *limits) as running:
        yield running


@pytest.fixture
def window(browser: Any, app: Served) -> Iterator[Window]:
    opened = Window(browser, app.url)
    yield opened
    assert opened.outside == []
    assert opened.broken == []
    opened.close()


def test_unknown_words_are_flagged_as_typed_and_corrected_by_a_click(window: Window) -> None:
    window.type("grean hair")
    window.page.locator("#cf-flags", has_text="is not a word that tiny knows").wait_for()
    window.page.locator("#cf-flags").get_by_role("button", name="green").click()
    window.page.locator("#cf-flags").wait_for(state="hidden")
    assert window.typed == "green hair"
    window.page.get_by_role("button", name="blue hair", exact=True).click()
    window.page.wait_for_function("document.querySelector('#cf-text input').value === 'blue hair'")


def test_an_edit_its_strengths_its_history_and_its_files(
    window: Window, tmp_path: Path, patient_pack: Path
) -> None:
    window.edit("green hair; a smile")
    assert window.told.startswith("Done in")
    whole = window.result()
    slider = window.page.locator("#cf-strength input[type=range]")
    slider.focus()
    for _ in range(10):  # 0.05 each
        slider.press("ArrowLeft")
    window.wait_other_result(whole)
    window.page.locator("a[href*='strength=0.5']").first.wait_for()

    record = window.record(tmp_path)
    assert record["prompts"] == ["green hair", "a smile"]
    assert [each["strength"] for each in record["outputs"]] == [0.5]
    again = rerun(record, pack=patient_pack)
    assert again.identical
    picture = window.save("Picture", tmp_path)
    with Image.open(picture) as opened:
        assert image_sha256(opened) == record["outputs"][0]["pixels_sha256"]
    for label in ("Before and after", "Animation"):
        told = inspect_picture(window.save(label, tmp_path)).provenance
        assert told is not None
        assert told.source_type == GENERATED
        assert told.prompts == ("green hair", "a smile")

    window.page.get_by_label("Show what changed").check()
    window.page.locator(".cf-stage .cf-tag", has_text="% changed").wait_for()
    window.page.get_by_label("Show what changed").uncheck()
    window.page.wait_for_selector(".cf-compare")

    window.edit("red skin")
    assert window.thumbs().count() == 2
    second = window.result()
    window.thumbs().first.click()
    window.wait_other_result(second)
    assert window.typed == "green hair; a smile"
    assert slider.input_value() == "0.5"
    assert window.record(tmp_path)["prompts"] == ["green hair", "a smile"]


def test_a_result_is_gone_on_from(window: Window, tmp_path: Path) -> None:
    window.edit("green hair")
    window.page.click("#cf-follow")
    window.page.locator(".cf-source figcaption", has_text="result of green hair").wait_for()
    window.edit("red skin")
    told = inspect_picture(window.save("Picture", tmp_path)).provenance
    assert told is not None
    assert told.prompts == ("green hair", "red skin")


def test_a_stopped_edit_keeps_what_it_has(window: Window, tmp_path: Path) -> None:
    window.open_advanced(steps=MANY_STEPS, views=MANY_VIEWS)
    window.type("green hair")
    window.start()
    window.page.locator(".cf-stage .cf-tag", has_text="so far").wait_for()
    window.page.locator(".cf-status", has_text="left").wait_for()
    window.page.click("#cf-stop")
    window.wait_done()
    assert "this is what it had reached" in window.told
    record = window.record(tmp_path)
    assert 0 < record["steps"] < MANY_STEPS
    assert record["stopped_from_outside"]
    assert record["settings"]["steps"] == MANY_STEPS


def test_a_trained_mapper_edits_at_once(window: Window, tmp_path: Path) -> None:
    window.page.click("#cf-method input")
    window.page.get_by_role("option", name="Mapper colours").click()
    window.page.wait_for_selector("#cf-advanced", state="hidden")
    window.page.get_by_role("button", name="red skin", exact=True).click()
    window.page.wait_for_function("document.querySelector('#cf-text input').value === 'red skin'")
    window.edit()
    assert "in one pass" in window.told
    assert window.record(tmp_path)["method"] == "mapper"


def test_a_picture_is_uploaded_and_leaves_no_file(
    window: Window, app: Served, tmp_path: Path
) -> None:
    window.upload(AVATAR)
    window.page.locator(".cf-source figcaption", has_text="ada.png").wait_for()
    window.edit("green hair")
    picture = window.save("Picture", tmp_path)
    assert picture.name == "ada_green-hair.png"
    told = inspect_picture(picture).provenance
    assert told is not None
    assert told.source_type == COMPOSED
    assert "path" not in window.record(tmp_path)["source"]
    assert [each for each in app.temporary.rglob("*") if each.is_file()] == []


def test_bad_uploads_are_told_and_lose_nothing(window: Window, tmp_path: Path) -> None:
    window.edit("green hair")
    text, huge, heavy = tmp_path / "text.png", tmp_path / "huge.png", tmp_path / "heavy.png"
    text.write_text("not a picture")
    Image.new("1", (9000, 9000)).save(huge)
    heavy.write_bytes(AVATAR.read_bytes() + bytes(2_000_000))
    window.upload(text)
    window.wait_told("text.png is not a picture")
    window.upload(huge)
    window.wait_told("huge.png has 9000x9000 pixels, the limit is 40,000,000")
    window.upload(heavy)
    window.page.locator("#cf-upload", has_text="the limit is 1; give a smaller one").wait_for()
    window.edit("red skin")
    assert window.thumbs().count() == 2


def test_two_visitors_at_once_get_their_own(browser: Any, app: Served, tmp_path: Path) -> None:
    one, other = Window(browser, app.url), Window(browser, app.url)
    other.page.click("#cf-next")
    other.page.locator(".cf-source figcaption", has_text="sample 4").wait_for()
    for window, text in ((one, "green hair"), (other, "red skin")):
        window.open_advanced(steps=40)
        window.type(text)
        window.start()
    for window, text, seed in ((one, "green hair", 3), (other, "red skin", 4)):
        window.wait_done()
        folder = tmp_path / text
        folder.mkdir()
        record = window.record(folder)
        assert (record["prompts"], record["source"]["seed"]) == ([text], seed)
        assert window.thumbs().count() == 1
    assert one.result() != other.result()
    tokens = [window.link("Picture").split("/edits/")[1].split("/")[0] for window in (one, other)]
    assert tokens[0] != tokens[1]
    stranger = one.context.request.get(f"{app.url}edits/{tokens[1][:-1]}x/1/picture")
    assert stranger.status == 404
    for window in (one, other):
        assert window.outside == window.broken == []
        window.close()


def test_what_belongs_to_a_closed_window_is_removed(browser: Any, app: Served) -> None:
    window, witness = Window(browser, app.url), Window(browser, app.url)
    window.edit("green hair")
    link = window.link("Picture")
    assert witness.context.request.get(link).status == 200
    window.close()
    until = time.monotonic() + PATIENCE_SECONDS
    while witness.context.request.get(link).status != 404:
        assert time.monotonic() < until
        time.sleep(0.5)
    witness.close()


def test_the_app_ends_while_windows_are_open(browser: Any, tiny_pack: Path) -> None:
    with served("--pack", tiny_pack) as app:  # which looks at what is told at the end
        window = Window(browser, app.url)
    assert app.process.returncode == 0
    assert not window.page.is_closed()
    window.close()


def test_the_keyboard_is_enough(window: Window) -> None:
    window.page.locator("#cf-text input").focus()
    window.page.keyboard.type("green hair")
    window.page.keyboard.press("Enter")
    window.wait_done()
    reached = set()
    for _ in range(60):
        window.page.keyboard.press("Tab")
        reached.add(
            window.page.evaluate(
                "(document.activeElement.ariaLabel || '') + '|' +"
                "(document.activeElement.closest('[id^=cf-]')?.id || '')"
            )
        )
    places = {each.partition("|")[2] for each in reached}
    assert {"cf-examples", "cf-edit", "cf-method", "cf-advanced", "cf-history"} <= places
    assert {"cf-strength", "cf-heat", "cf-follow", "cf-saving"} <= places
    assert "Compare before and after|cf-stage" in reached
    handle = window.page.get_by_label("Compare before and after")
    handle.press("ArrowRight")
    assert handle.input_value() == "51"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it_in_light_and_dark(browser: Any, app: Served, scheme: str) -> None:
    window = Window(browser, app.url, viewport=PHONE, has_touch=True, color_scheme=scheme)
    window.edit("green hair")
    wide = window.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"]
    shade = window.page.evaluate(
        "getComputedStyle(document.querySelector('gradio-app, body')).backgroundColor"
    )
    brightness = sum(int(each) for each in shade.strip("rgba()").split(",")[:3])
    assert (brightness < 300) == (scheme == "dark")
    assert window.outside == window.broken == []
    window.close()


@pytest.mark.skipif(SCREENSHOTS not in os.environ, reason=f"{SCREENSHOTS} names no folder")
def test_pictures_of_the_page(browser: Any) -> None:
    out = Path(os.environ[SCREENSHOTS]).resolve()
    with served("--pack", "avatars") as app:
        window = Window(browser, app.url)
        window.open_advanced(steps=SCREENSHOT_STEPS)
        window.edit("blue lips")
        window.edit("green hair")
        window.page.click("#cf-advanced > button")
        window.page.mouse.move(5, 5)
        _shoot(window, out / "web.png")
        window.type("grean hair")
        window.page.locator("#cf-flags", has_text="Did you mean").wait_for()
        window.page.get_by_label("Show what changed").check()
        window.page.locator(".cf-stage .cf-tag", has_text="% changed").wait_for()
        _shoot(window, out / "web-changed.png")
        window.page.get_by_label("Show what changed").uncheck()
        window.page.wait_for_selector(".cf-compare")
        window.page.emulate_media(color_scheme="dark")
        window.page.set_viewport_size(PHONE)
        window.page.evaluate("document.body.classList.add('dark')")
        _shoot(window, out / "web-phone.png")
        assert window.outside == window.broken == []
        window.close()


def _shoot(window: Window, path: Path) -> None:
    time.sleep(1)  # let the page settle
    window.page.screenshot(path=path, full_page=True)
