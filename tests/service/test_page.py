"""The page in a real browser against a real server: what a person does with keys and
mouse, and whether anybody can.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from serving import served

FLAGS = ("--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync")  # fmt: skip


pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def browser(address: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS.split()
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, ready; at the end nothing has failed in it and nothing was asked of
    another host.
    """
    page, faults = browser.new_page(viewport={"width": 1280, "height": 900}), []
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on(
        "console",
        lambda said: None if "status of 422" in said.text else faults.append(said.text),
    )
    page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith((address, "data:"))
            else faults.append(asked.url)
        ),
    )
    page.goto(address)
    expect(page.locator("#list.picks li")).to_have_count(8)
    yield page
    page.close()
    assert not faults


def pick(page: Page, typed: str, downs: int = 1) -> None:
    """Type into the combobox, go down and press Enter; no mouse."""
    page.locator("#film").focus()
    page.keyboard.type(typed)
    expect(page.locator("#choices li").first).to_be_visible()
    for _ in range(downs):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")


def with_films(page: Page) -> None:
    for typed in ("the matr", "alien", "toy st"):
        pick(page, typed)
    expect(page.locator("#history li")).to_have_count(3)
    expect(page.locator(".card")).to_have_count(10)
    expect(page.locator(".found")).to_have_attribute("aria-busy", "false")


def test_typing_offers_films_and_keys_choose_one(page: Page) -> None:
    film = page.get_by_role("combobox", name="Add a film")
    film.focus()
    page.keyboard.type("star w")
    expect(film).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("status")).to_contain_text("arrow keys")
    for key, active in (
        ("ArrowDown", 0),
        ("ArrowDown", 1),
        ("ArrowUp", 0),
        ("ArrowUp", 7),
    ):
        page.keyboard.press(key)
        expect(film).to_have_attribute("aria-activedescendant", f"choice-{active}")
    page.keyboard.press("Escape")
    expect(film).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowDown")
    expect(film).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#history")).to_contain_text("Star Wars: Episode IV")
    expect(film).to_have_value("")
    expect(film).to_be_focused()
    pick(page, "star wars episode iv")
    expect(page.get_by_role("status")).to_contain_text("already")
    expect(page.locator("#history li")).to_have_count(1)


def test_recommendations_come_with_reasons_as_bars_numbers_and_words(
    page: Page,
) -> None:
    with_films(page)
    first = page.locator(".card").first
    expect(first.locator(".why")).to_contain_text("speaks most for it")
    expect(first.locator(".reasons").first.locator("li")).to_have_count(3)
    assert all(
        number[0] in "+−"
        for number in first.locator(".reasons .number").all_inner_texts()
    )
    widths = [
        box.bounding_box()["width"]
        for box in first.locator(".reasons").first.locator(".bar").all()
    ]
    assert widths == sorted(widths, reverse=True) and widths[0] > 50
    expect(page.locator(".move:not(:empty)").first).to_be_visible()


def test_removing_a_film_changes_the_list_at_once_and_says_so(page: Page) -> None:
    with_films(page)
    before = page.locator(".card .title").all_inner_texts()
    page.get_by_role("button", name="Remove The Matrix (1999)").press("Enter")
    status = page.get_by_role("status")
    expect(status).to_contain_text("Removed The Matrix (1999).")
    expect(status).to_contain_text("new in the list")
    after = page.locator(".card .title").all_inner_texts()
    assert after != before
    for title, move in zip(
        after, page.locator(".card .move").all_inner_texts(), strict=True
    ):
        if title not in before:
            assert move == "✦ new"
        else:
            up = before.index(title) - after.index(title)
            assert move == (
                f"▲ up {up}"
                if up > 0
                else f"▼ down {-up}"
                if up < 0
                else "= same place"
            )
    expect(page.get_by_role("button", name="Remove Alien (1979)")).to_be_focused()
    page.get_by_role("button", name="Remove all").click()
    expect(page.locator("#list.picks li")).to_have_count(8)


@pytest.mark.parametrize("model", ["ease", "attention"])
def test_a_click_on_a_reason_opens_the_decision_path(model: str, page: Page) -> None:
    with_films(page)
    page.get_by_label("Model", exact=True).select_option(model)
    expect(page.get_by_role("status")).to_contain_text(f"Model {model}.")
    title = page.locator(".card .title").first.inner_text()
    reason = page.locator(".card .reasons button").first
    reason.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.locator("h2")).to_have_text(f"How {model} comes to {title}")
    steps = dialog.locator(".step h3").all_inner_texts()
    assert (
        steps[0] == "Input"
        and steps[-1] == "Score"
        and ("Attention" in " ".join(steps)) == (model == "attention")
    )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(reason).to_be_focused()


def test_a_refusal_is_shown_in_the_service_s_words(page: Page) -> None:
    page.route(
        "**/recommend",
        lambda route: route.continue_(post_data='{"history": ["Star Wars"]}'),
    )
    page.locator("#list.picks button").first.click()
    expect(page.get_by_role("alert")).to_contain_text("try Star Wars: Episode IV")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_serious(scheme: str, width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    seen = [serious(page)]
    with_films(page)
    page.locator("#history button").first.click()
    expect(page.get_by_role("status")).to_contain_text("new in the list")
    page.locator("summary").first.click()
    seen.append(serious(page))
    page.locator("#film").focus()
    page.keyboard.type("god")
    expect(page.locator("#choices li").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    seen.append(serious(page))
    page.keyboard.press("Escape")
    page.locator(".card .reasons button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    seen.append(serious(page))
    assert seen == [[]] * 4
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def serious(page: Page) -> list[str]:
    """What axe-core holds against the page as it stands, of serious or critical impact."""
    page.wait_for_timeout(300)  # bars and colours come to rest
    found = Axe().run(page).response["violations"]
    return [f"{fault['id']}: {fault['nodes'][0]['html'][:90]}" for fault in found
            if fault["impact"] in ("serious", "critical")]  # fmt: skip
