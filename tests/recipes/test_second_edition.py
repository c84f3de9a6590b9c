"""The second edition draws, keeps and measures what the tasks define."""

import argparse
import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stepscope import tasks


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("edition", [1, 2])
def test_a_mixture_adds_up_and_its_dials_are_drawn(edition, rng):
    import clips
    import mixtures
    import puzzles

    entries = mixtures.MIXTURES[edition]
    assert sum(share for *_, share in entries) == pytest.approx(1)
    for name, dials, _ in entries:
        if name in puzzles.TASKS:
            *_, prompt = puzzles.draw_painted(rng, name, dials)
        else:
            _, prompt = clips.draw_clip(rng, name, dials, 17)
        assert mixtures.PROMPTS[prompt]
    assert {name for name, *_ in mixtures.MIXTURES[2]} == set(tasks.names())


def test_prompts_are_told_apart_by_their_tokens():
    import mixtures
    import prompts

    tokenizer = prompts.build_tokenizer()
    tokens = {tuple(tokenizer(prompt).input_ids) for prompt in mixtures.PROMPTS}
    assert len(tokens) == len(mixtures.PROMPTS) == len(set(mixtures.PROMPTS))
    for name in tasks.names():
        for seed in range(4):
            assert tasks.get(name).sample(seed).prompt in mixtures.PROMPTS


def test_a_clip_is_a_whole_solution_of_a_training_puzzle(rng):
    import clips

    packed, prompt = zip(*(clips.draw_clip(rng, "bounce", {}, 9) for _ in range(3)), strict=True)
    kept = clips.Clips(list(packed), np.array(prompt), 9)
    with ThreadPoolExecutor(2) as threads:
        frames = kept.frames(np.array([2, 0]), threads)
    assert frames.shape == (2, 9, 96, 96, 3)
    held_out = {tasks.get("bounce").sample(seed, num_frames=9).first_frame.tobytes() for seed in range(5)}
    assert not held_out & {video[0].tobytes() for video in frames}
    with ThreadPoolExecutor(1) as threads:
        np.testing.assert_array_equal(kept.frames(np.array([0]), threads)[0], frames[1])


@pytest.mark.parametrize(
    ("name", "dials"), [("tic-tac-toe", {"wins": 2}), ("size-pattern", {"answers": 2}), ("rotate", {"answers": 2})]
)
def test_both_answers_are_drawn_as_often(name, dials, rng):
    """The same puzzle again and again: each of its two answers comes in about half of the draws."""
    import clips

    sample = tasks.get(name).sample(1, split="train", **dials)
    counts = Counter(clips.pick_solution(rng, sample).tobytes() for _ in range(100))
    assert set(counts) == {solution.tobytes() for solution in sample.solutions}
    assert min(counts.values()) >= 35  # less in one of 400 fair runs


def test_the_odd_shape_is_any_of_two(rng):
    import puzzles
    from stepscope.tasks import find_shape

    rows = [puzzles.draw_painted(rng, "find-shape", {"count": 4, "named": False}) for _ in range(4)]
    assert {puzzles.PROMPTS[row[-1]] for row in rows} == {find_shape.ODD_PROMPT}
    assert all(row[3] == 1 for row in rows)


def test_parts_are_drawn_once_and_come_in_turn(tmp_path, monkeypatch):
    import parts
    import puzzles
    from stepscope.tasks import bounce

    monkeypatch.setattr(parts, "FRAME_COUNTS", {5: 0.3, 17: 1.0})
    monkeypatch.setattr(parts, "PART", 4)
    drawn = list(parts.Drawing(tmp_path, 6, 1, 2, 1))
    assert [(part.num_frames, len(part)) for part in drawn] == [(5, 1), (17, 4), (17, 2)]
    files = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    again = list(parts.Drawing(tmp_path, 6, 1, 2, 1))
    assert files == {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    for first, second in zip(drawn, again, strict=True):
        assert first.clips.packed == second.clips.packed
        np.testing.assert_array_equal(first.painted.picture, second.painted.picture)
    shorter = parts.draw_part(parts.Job(2, 1, 0, 40, 5, tmp_path))
    assert puzzles.PROMPTS.index(bounce.PROMPT) not in shorter.clips.prompt  # it takes 9 frames


@torch.no_grad()
def test_the_bank_holds_what_the_codec_says(tmp_path, monkeypatch):
    import bank
    import codec
    import parts
    import puzzles

    torch.manual_seed(0)
    vae = codec.build().eval()
    monkeypatch.setattr(bank, "NOISE_LEVELS", 0)
    part = parts.draw_part(parts.Job(2, 4, 0, 4, 5, tmp_path))
    encoded = bank.Encoder(vae, torch.device("cpu"), batch=2).encode(part)
    assert len(encoded) == len(part) == 4
    blank = bank.Bank.blank(2, 5, torch.device("cpu"))
    assert blank.video.shape[1:] == encoded.video.shape[1:]
    assert blank.video.dtype == encoded.video.dtype
    assert len(bank.Bank.joined([encoded, encoded])) == 8
    with ThreadPoolExecutor(1) as threads:
        frames = part.clips.frames(np.arange(len(part.clips)), threads)
    painted = puzzles.videos(part.painted, np.arange(len(part.painted)), 5, torch.device("cpu"))
    clip = torch.cat([painted, torch.from_numpy(frames).permute(0, 4, 1, 2, 3) / 127.5 - 1])
    torch.testing.assert_close(encoded.video, bank.standardised(vae, clip).bfloat16(), rtol=0.02, atol=0.02)
    condition = bank.standardised(vae, bank.condition_clip(clip[:, :, :1], 5)).bfloat16()
    torch.testing.assert_close(encoded.condition, condition, rtol=0.02, atol=0.02)


def test_every_cell_is_rebuilt_from_its_row():
    import cells

    jobs = cells.jobs_of(cells.CELLS, 1)
    assert {cell[0] for cell, _ in jobs} == {cell[0] for cell in cells.CELLS}
    assert {cells.DEFAULTS[name] for name in tasks.names()} <= {cell[0] for cell in cells.CELLS}
    for cell in cells.CELLS:
        if "long" in cell[0] or (cell[1] == "maze" and cell[2]["size"] > 9):
            continue  # their test puzzles take long to find
        row = json.loads(json.dumps(cells.draw_row((cell, cells.FIRST_SEED))))
        sample, other = cells.sample_of(row), cells.sample_of(cells.draw_row((cell, cells.FIRST_SEED)))
        assert tasks.split_of(sample.state) == "test"
        np.testing.assert_array_equal(sample.first_frame, other.first_frame)
        assert sample.prompt == other.prompt
        assert 1 <= len(sample.solutions) <= 2


def test_default_cells_have_twice_as_many_and_every_beginning_has_all():
    import cells

    jobs = cells.jobs_of(cells.cells_of(2), 8)
    counts = Counter(cell[0] for cell, seed in jobs if seed < cells.CHOOSING_SEED)
    assert {counts[name] for name in (*cells.DEFAULTS.values(), "two-11", "maze-11-longest")} == {32}
    assert set(counts.values()) == {8, 32}
    assert {cell[0] for cell, _ in jobs[: len(jobs) // 4]} == set(counts)
    assert {cell[1] for cell in cells.cells_of(1)} == {"maze", "maze-two-goals", "find-shape"}


@pytest.mark.parametrize("workers", [0, 2])
def test_helpers_judge_as_the_tasks_do(workers):
    import cells
    from desk import Desk, Helpers

    by_name = {cell[0]: cell for cell in cells.CELLS}
    names = ["maze-5", "find-odd", "tic-tac-toe-two", "size-pattern", "rotate-half", "occlusion-one", "bounce-0"]
    rows = [cells.draw_row((by_name[name], 1_000_000)) for name in names]
    helpers = Helpers(Desk(2, len(rows)), workers)
    jobs = [((1, spot), row) for spot, row in enumerate(rows)]
    answers = list(helpers.ask("lay", jobs))
    samples = [cells.sample_of(row) for row in rows]
    assert answers == [len(sample.solutions) for sample in samples]
    for spot, sample in enumerate(samples):
        np.testing.assert_array_equal(helpers.desk.first[1, spot], sample.first_frame)
        np.testing.assert_array_equal(helpers.desk.solutions[1, spot, 0], sample.solutions[0])
        helpers.desk.videos[1, 0, spot] = sample.still
        helpers.desk.videos[1, 1, spot] = sample.solutions[-1]
    assert list(helpers.ask("judge", jobs)) == [[False, True]] * len(rows)
    helpers.leave()


def test_one_solution_is_two_that_are_the_same():
    import measures
    from stepscope import analysis
    from stepscope.denoise import paper_grid

    generator = torch.Generator().manual_seed(7)
    one, still, noise = torch.randn(3, 1, 2, 2, 4, 4, generator=generator)
    estimates = torch.randn(5, 1, 2, 2, 4, 4, generator=generator)
    knowledge, weight = measures.hull(estimates, torch.stack([one, one]), still)
    np.testing.assert_allclose(knowledge[:, 0], analysis.knowledge(estimates[:, 0], one, still[0]), rtol=1e-6)
    assert (weight == 1).all()
    assert (measures.observer(noise, torch.stack([one, one]), paper_grid(5, 12.0)) == 1).all()


@pytest.fixture
def tiny_codec(tmp_path):
    from diffusers import AutoencoderKLWan

    import codec

    torch.manual_seed(0)
    AutoencoderKLWan(**{**codec.CONFIG, "base_dim": 8}).save_pretrained(tmp_path / "vae")
    return tmp_path / "vae"


def training_arguments(monkeypatch, tmp_path, tiny_codec, *more):
    import parts
    import train

    monkeypatch.setattr(parts, "FRAME_COUNTS", {5: 0.5, 17: 1.0})
    command = f"train.py denoiser --out {tmp_path / 'out'} --work {tmp_path / 'work'} --codec {tiny_codec} --edition 2"
    command += " --puzzles 4 --batch 2 --save-every 0.001 --layers 1 --device cpu --resume --adam"
    monkeypatch.setattr(sys, "argv", [*command.split(), *more])
    for folder in ("out", "work"):
        (tmp_path / folder).mkdir(exist_ok=True)
    return train.parse()


def evaluation_arguments(tmp_path, tiny_codec):
    return argparse.Namespace(
        work=tmp_path / "work", codec=tiny_codec, weights=tmp_path / "out" / "averaged", out=tmp_path / "rows.npz",
        batch=1, layers=1, shift=12.0, compile=False, save_every=0, workers=0, device="cpu",
    )  # fmt: skip


def test_the_chain_from_puzzles_to_results_may_be_killed_anywhere(monkeypatch, tmp_path, tiny_codec):
    import cells
    import evaluate
    import results
    import train

    args = training_arguments(monkeypatch, tmp_path, tiny_codec, "--seconds", "0.01", "--total", "9")
    train.train_denoiser(args, 1)
    progress = json.loads((tmp_path / "out" / "progress.json").read_text())
    assert progress["edition"] == 2
    assert progress["step"] >= 1
    for file in (tmp_path / "out").iterdir():
        file.unlink()  # another call on the same machine finds its folder empty
    args = training_arguments(monkeypatch, tmp_path, tiny_codec, "--total", str(progress["spent"]))
    train.train_denoiser(args, 1)
    assert json.loads((tmp_path / "out" / "progress.json").read_text())["step"] == progress["step"]
    assert load_file(tmp_path / "out" / "averaged-0.safetensors")

    cell = next(cell for cell in cells.CELLS if cell[0] == "size-pattern-two")
    rows = [cells.draw_row((cell, cells.FIRST_SEED + i)) for i in range(3)]
    (tmp_path / "work" / "puzzles.json").write_text(json.dumps(rows))
    monkeypatch.setattr(evaluate, "NUM_STEPS", 2)
    args, measure, calls = evaluation_arguments(tmp_path, tiny_codec), evaluate.measure, []

    def dies_at_the_third(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measure(*given)

    monkeypatch.setattr(evaluate, "measure", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        evaluate.sample(args)
    partial = dict(np.load(args.out))
    assert partial["index"].tolist() == [0]
    evaluate.sample(args)
    whole = dict(np.load(args.out))
    assert len(calls) == 3 + 2
    assert whole["index"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(whole["knowledge"][:1], partial["knowledge"])
    assert whole["observer"][:, 0] == pytest.approx(0.5)

    monkeypatch.setattr(results, "NUM_STEPS", 2)
    (tmp_path / "summary").mkdir()
    results.write(
        argparse.Namespace(
            rows=args.out, model=results.Path(train.__file__).parents[2] / "src/stepscope/models/embedded",
            results=tmp_path / "results", summary=tmp_path / "summary", stock=None, device_name="a processor",
        )
    )  # fmt: skip
    document = json.loads((tmp_path / "summary" / "RESULTS.json").read_text())
    (summary,) = document["cells"]
    assert summary["n"] == summary["puzzles"] == summary["choice_n"] == 3
    assert len(list((tmp_path / "results").glob("*-size-pattern.parquet"))) == 1
    assert "size-pattern-two" in (tmp_path / "summary" / "RESULTS.md").read_text()
