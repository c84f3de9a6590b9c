"""The recipe trains and measures the very functions that diffusers, the tasks and the analysis define."""

import numpy as np
import pytest
import torch

from stepscope import analysis, tasks
from stepscope.denoise import latents_noise, paper_grid
from stepscope.tasks import find_shape, maze


@pytest.fixture(scope="module")
def vae():
    import codec

    torch.manual_seed(0)
    return codec.build().eval()


@torch.no_grad()
def test_the_whole_clip_codec_is_the_stock_codec(vae):
    import whole

    clip = torch.rand(1, 3, 9, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    stock = vae._encode(clip)
    torch.testing.assert_close(whole.encode(vae, clip), stock, rtol=0, atol=1e-5)
    latents = stock[:, : vae.config.z_dim]
    torch.testing.assert_close(whole.decode(vae, latents).clamp(-1, 1), vae._decode(latents).sample, rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_fast_forward_is_the_stock_forward():
    import prompts
    import transformer as net

    model = net.build(0, num_layers=2)
    for parameter in (model.proj_out.weight, model.proj_out.bias):
        torch.nn.init.normal_(parameter, std=0.1)
    embeddings = prompts.embed(["", "Mark the red circle.", "Solve the maze: move the green agent to the red goal."])
    text, bias = net.compact_prompts(embeddings)
    padded = torch.stack([torch.cat([e, e.new_zeros(net.TEXT_LENGTH - len(e), net.TEXT_DIM)]) for e in embeddings])
    x = torch.randn(3, 2 * net.LATENT_CHANNELS + 4, 2, 4, 4, generator=torch.Generator().manual_seed(2))
    timestep = torch.tensor([1000.0, 500.0, 10.0])
    stock = model(x, timestep, padded, return_dict=False)[0]
    torch.testing.assert_close(net.forward(model, x, timestep, text, bias), stock, rtol=0, atol=2e-5)


@pytest.mark.parametrize("num_frames", [5, 17])
def test_puzzles_are_painted_as_the_tasks_paint_them(num_frames):
    import puzzles

    mazes = maze.Maze(num_goals=2)
    state = mazes.draw_state(np.random.default_rng(0), "train", 9, None)
    shapes = find_shape.draw_state(np.random.default_rng(1), "train", 4)
    way = maze.ways_of(state)[1]
    item = shapes["items"][2]
    data = puzzles.Puzzles(
        np.stack([maze.draw_picture(state), find_shape.draw_picture(shapes)]),
        np.stack([maze.order_map(state, way), find_shape.order_map(item)]),
        np.array([len(way) - 1, find_shape.PERIMETER], np.int32),
        np.array([0, 1]),
        np.array([1, 5]),
    )
    painted = puzzles.videos(data, np.arange(2), num_frames, torch.device("cpu"))
    frames = ((painted + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 4, 1).numpy()
    solutions = mazes.from_state(state, num_frames=num_frames).solutions[1]
    marked = find_shape.from_state(shapes, 2, num_frames=num_frames).solutions[0]
    np.testing.assert_array_equal(frames, np.stack([solutions, marked]))


def test_training_puzzles_are_never_test_puzzles():
    import puzzles

    drawn = puzzles._draw_part((7, 40))
    assert len(drawn) == 40
    held_out = {tasks.get("maze").sample(seed).first_frame.tobytes() for seed in range(20)}
    assert not held_out & {picture.tobytes() for picture in drawn.picture}


def test_the_batched_measures_are_the_analysis():
    import evaluate

    generator = torch.Generator().manual_seed(3)
    shape = (3, 2, 4, 4)
    solutions = torch.randn(2, 1, *shape, generator=generator)
    still, noise = torch.randn(1, *shape, generator=generator), latents_noise(4, 0, shape)[None]
    estimates = torch.randn(evaluate.NUM_STEPS, 1, *shape, generator=generator)
    grid = paper_grid(evaluate.NUM_STEPS, 12.0)
    knowledge, weight = evaluate.hull(estimates, solutions, still)
    expected = analysis.knowledge(estimates[:, 0], solutions[:, 0], still[0])
    np.testing.assert_allclose(knowledge[:, 0].numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(
        weight[:, 0].numpy(), analysis.candidate_weights(estimates[:, 0], solutions[:, 0])[:, 0], atol=1e-6
    )
    rolled = analysis.observer_rollout(noise[0], grid.sigmas, solutions[:, 0]).weights[:, 0]
    np.testing.assert_allclose(evaluate.observer(noise, solutions, grid)[:, 0].numpy(), rolled, atol=1e-4)
    alone, _ = evaluate.hull(estimates, solutions[:1], still)
    expected = analysis.knowledge(estimates[:, 0], solutions[:1, 0], still[0])
    np.testing.assert_allclose(alone[:, 0].numpy(), expected, rtol=1e-6)


def test_muon_orthogonalises():
    import muon

    stack = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(5))
    values = torch.linalg.svdvals(muon.orthogonalised(stack))
    assert values.min() > 0.5
    assert values.max() < 1.4


def test_a_training_run_goes_on_where_it_stopped(tmp_path):
    import prompts
    import puzzles
    import train
    import transformer as net
    from bank import Bank
    from denoiser import Trainer

    text, bias = net.compact_prompts(prompts.embed(puzzles.PROMPTS))
    generator = torch.Generator().manual_seed(6)
    video, condition = torch.randn(2, 4, net.LATENT_CHANNELS, 2, 4, 4, generator=generator).bfloat16()
    banks = {17: Bank(video, condition, torch.tensor([0, 1, 2, 3]))}

    def trainer(seed: int) -> Trainer:
        return Trainer(net.build(seed, num_layers=1), banks, text, bias, 12.0, torch.device("cpu"), 2)

    first = trainer(0)
    before = first.model.blocks[0].attn1.to_q.weight.detach().clone()
    first.loss(17, net.block)[0].backward()
    first.update(0.0)
    assert not torch.equal(before, first.model.blocks[0].attn1.to_q.weight)
    second = trainer(1)
    second.resume(first.state())
    assert second.step == 1
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
    train.save_weights(first.averaged().state_dict(), tmp_path / "averaged", limit=100_000)
    assert len(list(tmp_path.iterdir())) > 1
    for name, value in train.load_weights(tmp_path / "averaged").items():
        assert torch.equal(value, first.ema[name].half().float())


def test_the_tokenizer_knows_every_word_of_the_tasks():
    import prompts

    tokenizer = prompts.build_tokenizer()
    for name in ("find-shape", "maze", "maze-two-goals"):
        for seed in range(10):
            prompt = tasks.get(name).sample(seed, split="train").prompt
            assert tokenizer.unk_token_id not in tokenizer(prompt).input_ids, prompt
    assert tokenizer.unk_token_id in tokenizer("xyzzy").input_ids


def test_the_codec_sees_every_kind_of_clip():
    import codec
    import puzzles

    data = puzzles._draw_part((3, 40))
    others = puzzles.draw_clips(1, 1, 1)
    assert others.shape == (len(set(tasks.names()) - set(puzzles.TASKS)), 17, 96, 96, 3)
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    lengths = set()
    for _ in range(8):
        clip = codec.clips_for(data, others, rng, generator, 16, torch.device("cpu"))
        assert clip.shape[1] == 3
        assert clip.abs().max() <= 1
        lengths.add(clip.shape[2])
    assert lengths == {5, 17}
