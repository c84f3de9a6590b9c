"""Cards: what is known before loading, and who says it."""

import json

import pytest

from stepscope.errors import ModelLoadError, UnknownNameError
from stepscope.models import cards, model_card, model_names

KEYS = {"folder", "guidance", "num_frames", "height", "width", "bytes", "shift", "num_steps"}


def folder(path, card=None, scheduler=None):
    (path / "scheduler").mkdir(parents=True)
    (path / "model_index.json").write_text("{}")
    if card is not None:
        (path / "card.json").write_text(card if isinstance(card, str) else json.dumps(card))
    if scheduler is not None:
        (path / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    return path


@pytest.mark.parametrize("name", [name for name in model_names() if "/" in name])
def test_every_hub_name_has_a_card_that_can_be_run(name):
    card = model_card(name)
    assert card.keys() >= KEYS
    assert card["folder"] is None
    assert card["num_frames"] % 4 == 1
    assert (card["height"] % 16, card["width"] % 16) == (0, 0)


def test_the_papers_model():
    card = model_card("Video-Reason/VBVR-Wan2.2")
    assert [card[key] for key in ("guidance", "num_frames", "height", "width", "shift", "num_steps")] == [
        5.0,
        81,
        480,
        832,
        5.0,
        50,
    ]


def test_a_folders_own_card_wins(tmp_path):
    said = {"guidance": 1.0, "num_frames": 17, "height": 96, "width": 96, "shift": 12.0, "num_steps": 20}
    card = model_card(str(folder(tmp_path / "made", said, {"flow_shift": 3.0})))
    assert {key: card[key] for key in said} == said
    assert card["folder"] == str(tmp_path / "made")
    assert card["bytes"] == sum(path.stat().st_size for path in (tmp_path / "made").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("scheduler", "shift"),
    [
        ({"flow_shift": 3.0}, 3.0),
        ({"shift": 8}, 8.0),
        ({"shift": 1.0, "use_dynamic_shifting": True}, 5.0),
        ({}, 5.0),
        (None, 5.0),
    ],
    ids=str,
)
def test_a_folder_without_a_card_has_the_stock_defaults_and_its_schedulers_shift(tmp_path, scheduler, shift):
    card = model_card(str(folder(tmp_path / "made", scheduler=scheduler)))
    assert (card["guidance"], card["num_frames"], card["num_steps"], card["shift"]) == (5.0, 81, 50, shift)


def test_editions_are_pinned(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "BUNDLED_FOLDER", folder(tmp_path / "bundled", {"edition": "embedded@1"}))
    assert model_card("embedded") == model_card("embedded@1")
    with pytest.raises(UnknownNameError, match="embedded, embedded@1"):
        model_card("embedded@2")


def test_an_installation_without_the_bundled_model(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "BUNDLED_FOLDER", tmp_path)
    with pytest.raises(ModelLoadError, match="not in this build"):
        model_card("embedded")


def test_cards_that_cannot_be_read(tmp_path):
    with pytest.raises(UnknownNameError, match="embedded"):
        model_card("imbedded")
    with pytest.raises(ModelLoadError, match="no JSON object"):
        model_card(str(folder(tmp_path / "a", "{")))
    with pytest.raises(ModelLoadError, match="no JSON object"):
        model_card(str(folder(tmp_path / "b", "3")))
    with pytest.raises(ModelLoadError, match="guidence"):
        model_card(str(folder(tmp_path / "c", {"guidence": 1.0})))
