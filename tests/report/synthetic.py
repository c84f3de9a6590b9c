"""Small records for the tests of the page: a maze, its solutions, and a denoiser that chooses late, all in closed form.

The latents are the frames scaled to [-1, 1], every 4th frame and 4 × 4 pixels averaged.  The "model" is the ideal
observer with its logits damped (so it chooses later) plus an error that dies away (so its knowledge grows).  Nothing
here is ever shown as a result; it exercises the page.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stepscope.store import (
    Identity,
    Manifest,
    Record,
    Result,
    Row,
    StoredTrace,
    build_table,
    create,
    open_record,
    trace_to_unit,
    unit_key,
)

NUM_STEPS, NUM_FRAMES, CELL, ORIGIN, SIDE = 20, 17, 6, 3, 96
SHIFT, SHARPNESS, DAMPING = 8.0, 12.0, 0.3
WALL, FLOOR, TRAIL, AGENT, GOAL = (38, 43, 56), (244, 241, 234), (151, 214, 171), (22, 140, 74), (214, 52, 48)
WEIGHTS_HASH = "5f1c0ffee" + "0" * 55


@dataclass(frozen=True)
class Run:
    """One denoising run in closed form: weights, distances and estimates, step by step."""

    latents: np.ndarray
    estimates: np.ndarray
    weights: np.ndarray
    observer: np.ndarray
    rollout: np.ndarray
    knowledge: np.ndarray
    error: np.ndarray


def sigmas() -> np.ndarray:
    u = 1 - np.arange(NUM_STEPS + 1) / NUM_STEPS
    return SHIFT * u / (1 + (SHIFT - 1) * u)


def maze(seed: int, size: int = 7) -> np.ndarray:
    """Carve a perfect maze: bool [2n+1, 2n+1], True where there is a wall."""
    rng, walls = np.random.default_rng(seed), np.ones((2 * size + 1, 2 * size + 1), bool)
    stack = [(0, 0)]
    walls[1, 1] = False
    while stack:
        r, c = stack[-1]
        steps = [(r + dr, c + dc) for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))]
        fresh = [(y, x) for y, x in steps if 0 <= y < size and 0 <= x < size and walls[2 * y + 1, 2 * x + 1]]
        if not fresh:
            stack.pop()
            continue
        y, x = fresh[rng.integers(len(fresh))]
        walls[2 * y + 1, 2 * x + 1] = walls[r + y + 1, c + x + 1] = False
        stack.append((y, x))
    return walls


def paths(walls: np.ndarray, num_goals: int) -> list[list[tuple[int, int]]]:
    """Return the routes from the middle to the farthest dead ends that part ways at once, longest first."""
    size = (len(walls) - 1) // 2
    start = (2 * (size // 2) + 1, 2 * (size // 2) + 1)
    came, queue = {start: None}, [start]
    for here in queue:
        for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            there = (here[0] + dr, here[1] + dc)
            if not walls[there] and there not in came:
                came[there] = here
                queue.append(there)
    routes = []
    for end in reversed([cell for cell in queue if cell[0] % 2 and cell[1] % 2]):
        route = [end]
        while came[route[-1]] is not None:
            route.append(came[route[-1]])
        route.reverse()
        if len(route) > 2 and all(route[1] != other[1] for other in routes):
            routes.append(route)
    return routes[:num_goals]


def picture(walls: np.ndarray, goals: list, trail: list, agent: tuple | None) -> np.ndarray:
    cells = np.where(walls[..., None], np.array(WALL, np.uint8), np.array(FLOOR, np.uint8))
    for cell in trail:
        cells[cell] = TRAIL
    image = np.full((SIDE, SIDE, 3), WALL, np.uint8)
    drawn = cells.repeat(CELL, 0).repeat(CELL, 1)
    image[ORIGIN : ORIGIN + len(drawn), ORIGIN : ORIGIN + len(drawn)] = drawn
    for cell, colour in [*((goal, GOAL) for goal in goals), *([(agent, AGENT)] if agent else [])]:
        y, x = ORIGIN + cell[0] * CELL, ORIGIN + cell[1] * CELL
        image[y + 1 : y + CELL - 1, x : x + CELL] = colour
        image[y : y + CELL, x + 1 : x + CELL - 1] = colour
    return image


def solution(walls: np.ndarray, goals: list, route: list) -> np.ndarray:
    """Draw the agent walking a route: uint8 [T, Y, X, 3]."""
    at = [round(t * (len(route) - 1) / (NUM_FRAMES - 1)) for t in range(NUM_FRAMES)]
    return np.stack([picture(walls, goals, route[: i + 1], route[i]) for i in at])


def latents_of(frames: np.ndarray) -> np.ndarray:
    """Return [3, 5, 24, 24]."""
    kept = frames[::4].astype(np.float64) / 127.5 - 1
    return kept.reshape(len(kept), SIDE // 4, 4, SIDE // 4, 4, 3).mean(axis=(2, 4)).transpose(3, 0, 1, 2)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def observer(x: np.ndarray, sigma: float, candidates: np.ndarray, damping: float = 1.0) -> np.ndarray:
    distances = ((x - (1 - sigma) * candidates) ** 2).sum(axis=(1, 2, 3, 4))
    return softmax(-damping * SHARPNESS * distances / (2 * sigma**2))


def denoise(candidates: np.ndarray, seed: int) -> Run:
    rng, levels = np.random.default_rng(seed), sigmas()
    x = own = rng.standard_normal(candidates[0].shape)
    still = candidates.mean(0)[:, :1].repeat(candidates.shape[2], 1)
    error_shape = rng.standard_normal(x.shape)
    error_shape[:, 0] = 0
    kept: dict[str, list] = {name: [] for name in Run.__dataclass_fields__}
    kept["latents"].append(x)
    for k, (sigma, following) in enumerate(itertools.pairwise(levels)):
        error = 0.5 * np.exp(-k / 3.0) * (still - candidates.mean(0)) + 0.05 * np.exp(-k / 4.0) * error_shape
        weights = observer(x, sigma, candidates, DAMPING)
        estimate = np.tensordot(weights, candidates, 1) + error
        kept["weights"].append(weights)
        kept["observer"].append(observer(x, sigma, candidates))
        kept["rollout"].append(observer(own, sigma, candidates))
        kept["knowledge"].append((error**2).sum() / ((still - candidates.mean(0)) ** 2).sum())
        kept["estimates"].append(estimate)
        kept["error"].append(error)
        x = estimate + following / sigma * (x - estimate)
        best = np.tensordot(kept["rollout"][-1], candidates, 1)
        own = best + following / sigma * (own - best)
        kept["latents"].append(x)
    return Run(**{name: np.stack(values) for name, values in kept.items()})


def images_of(run: Run, videos: np.ndarray) -> dict[int | None, np.ndarray]:
    """Decode every step: the same weights and error at full size."""
    images: dict[int | None, np.ndarray] = {}
    for k, (weights, error) in enumerate(zip(run.weights, run.error, strict=True)):
        rough = error.transpose(1, 2, 3, 0).repeat(4, 1).repeat(4, 2)
        full = np.concatenate([rough[:1], rough[1:].repeat(4, 0)])
        blend = np.tensordot(weights, videos.astype(np.float64), 1) + 127.5 * full
        images[k] = blend.round().clip(0, 255).astype(np.uint8)
    images[None] = images[NUM_STEPS - 1]
    return images


def rows_of(run: Run, sample: int, seed: int) -> list[Row]:
    place = {"run": "0123456789ab", "weights_hash": WEIGHTS_HASH, "task": "maze-two-goals", "sample": sample}
    place |= {"seed": seed, "num_steps": NUM_STEPS, "schedule": "paper", "guidance": 1.0}
    levels, rows = sigmas(), []

    def add(metric, k, value, **more):
        sigma = None if k is None else float(levels[k])
        rows.append(Row(**place, metric=metric, step=k, sigma=sigma, value=value, **more))

    def spread_of(weights):
        return float(np.exp(-(weights * np.log(weights + 1e-300)).sum()))

    for k in range(NUM_STEPS):
        done = float(run.weights[k].max() * max(0.0, 1 - run.knowledge[k]))
        solved = float(run.weights[k].max() >= 0.9 and run.knowledge[k] <= 0.1)
        add("success", k, solved)
        add("progress", k, done)
        add("answer", k, None, text="goal " + "AB"[int(run.weights[k].argmax())])
        add("knowledge", k, float(run.knowledge[k]))
        add("multiplicity", k, spread_of(run.weights[k]))
        add("observer_multiplicity", k, spread_of(run.observer[k]))
        for who, weights in (
            ("single", run.weights),
            ("observer-state", run.observer),
            ("observer-rollout", run.rollout),
        ):
            for i, weight in enumerate(weights[k]):
                add("choice", k, float(weight), candidate=i, strategy=who)
            if who != "single":
                add("knowledge", k, 0.0, strategy=who)
                add("multiplicity", k, spread_of(weights[k]), strategy=who)
    add("success", None, rows[-1].value and solved)
    add("progress", None, done)
    add("answer", None, None, text="goal " + "AB"[int(run.weights[-1].argmax())])
    return rows


def write(folder: Path, traces: list[StoredTrace], rows: list[Row], task: str | None) -> Record:
    config = {
        "experiment": "record",
        "model": "synthetic",
        "task": task,
        "num_steps": NUM_STEPS,
        "schedule": "paper",
        "shift": SHIFT,
        "solver": "euler",
        "guidance": 1.0,
        "device": "cpu",
        "dtype": "float32",
    }
    writer = create(folder, Identity(config, WEIGHTS_HASH))
    for trace in traces:
        key = unit_key({"seed": trace.seed, "branch": trace.branch}, WEIGHTS_HASH, threads=1, chunk=1)
        writer.write_unit(trace_to_unit(trace, key, WEIGHTS_HASH))
    writer.write_table(build_table(rows))
    calls = NUM_STEPS * len(traces)
    writer.write_result(Result("record", "synthetic", calls, calls, calls))
    seeds = [trace.seed for trace in traces]
    versions = {"stepscope": "0.1.0", "torch": "2.13.0", "diffusers": "0.42.1"}
    command = ["stepscope", "record", "synthetic", "--out", str(folder)]
    writer.write_manifest(Manifest(versions, sigmas().tolist(), seeds, command, {"run_seconds": 12.5}))
    return open_record(folder)


def trace_of(run: Run, images: dict, seed: int, sample: dict) -> StoredTrace:
    return StoredTrace(
        sigmas=torch.tensor(sigmas(), dtype=torch.float32),
        latents=torch.tensor(run.latents, dtype=torch.float32),
        clean_estimates=torch.tensor(run.estimates, dtype=torch.float32),
        images=images,
        scores=(None,) * NUM_STEPS,
        model_calls=NUM_STEPS,
        sample=sample,
        seed=seed,
    )


def maze_record(
    folder: Path, *, seeds: tuple[int, ...] = (1,), num_goals: int = 2, prompt: str | None = None
) -> Record:
    """Write a record of a maze with one or two goals and return it opened."""
    walls = maze(42)
    routes = paths(walls, num_goals)
    goals = [route[-1] for route in routes]
    videos = np.stack([solution(walls, goals, route) for route in routes])
    candidates = np.stack([latents_of(video) for video in videos])
    gap = None if num_goals < 2 else float(np.sqrt(((candidates[0] - candidates[1]) ** 2).sum()))
    sample = {"prompt": prompt or "Move the green agent to a red goal.", "task": "maze-two-goals", "seed": 3}
    sample |= {"num_frames": NUM_FRAMES, "first_frame": videos[0, 0], "solutions": tuple(videos), "delta": gap}
    traces, rows = [], []
    for seed in seeds:
        run = denoise(candidates, seed)
        traces.append(trace_of(run, images_of(run, videos), seed, sample))
        rows += rows_of(run, 3, seed)
    return write(folder, traces, rows, "maze-two-goals")


def own_image_record(folder: Path, keep: tuple[int | None, ...] = (*range(NUM_STEPS), None)) -> Record:
    """Write a record without a task: a sun that rises over hills; `keep` names the steps whose frames are stored."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE

    def scene(t):
        sun = np.hypot(x - 0.3 - 0.4 * t, y - 0.75 + 0.5 * t) < 0.11
        hills = y > 0.72 + 0.06 * np.sin(7 * x)
        sky = np.stack([0.95 - 0.5 * y - 0.2 * t, 0.55 + 0.25 * (1 - y), 0.45 + 0.4 * t + 0 * y], -1)
        sky[sun], sky[hills] = (1.0, 0.83, 0.3), (0.16, 0.3, 0.26)
        return (sky.clip(0, 1) * 255).astype(np.uint8)

    video = np.stack([scene(t) for t in np.linspace(0, 1, NUM_FRAMES)])
    run = denoise(latents_of(video)[None], 5)
    sample = {"prompt": "The sun rises over the hills & <b>the birds</b> wake up.", "num_frames": NUM_FRAMES}
    sample |= {"first_frame": video[0]}
    images = {step: image for step, image in images_of(run, video[None]).items() if step in keep}
    return write(folder, [trace_of(run, images, 5, sample)], [], None)


def noise_record(folder: Path) -> Record:
    """Write a record whose pictures no codec can squeeze: 20 steps of 17 frames of noise, 128 pixels a side."""
    rng = np.random.default_rng(0)
    images = {k: rng.integers(0, 256, (NUM_FRAMES, 128, 128, 3), np.uint8) for k in (*range(NUM_STEPS), None)}
    run = denoise(rng.uniform(-1, 1, (1, 3, 5, 24, 24)), 0)
    sample = {"prompt": "Noise.", "num_frames": NUM_FRAMES, "first_frame": images[0][0]}
    return write(folder, [trace_of(run, images, 0, sample)], [], None)
