"""Context parallel: two processes with half of the tokens each say what one says with all of them."""

import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from stepscope.denoise import SITES, Address, SiteTap, Taps
from stepscope.errors import PlanError
from stepscope.models import attach

# diffusers 0.42.1 takes the number of accelerators for the number of places, of which a CPU has none: here it is told
# one.  All else is its own: the mesh (gloo), the splitting hooks, the exchange of heads.
PROCESS = """
import sys
import torch, torch.distributed as dist
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
torch.accelerator.device_count = lambda: 1
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=int(sys.argv[3]), world_size=2)
from diffusers import ContextParallelConfig
import tiny
import stepscope
from stepscope.errors import PlanError
from stepscope.recorders import TokenEnergy

sample = tiny.TinySample()
alone = stepscope.load_model(tiny.pipeline("wan2.2-a14b")).denoise(sample, num_steps=3, guidance=3.0)
pipeline = tiny.pipeline("wan2.2-a14b")
for expert in (pipeline.transformer, pipeline.transformer_2):
    expert.enable_parallelism(config=ContextParallelConfig(ulysses_degree=dist.get_world_size()))
model = stepscope.load_model(pipeline)
shares = []
pipeline.transformer.blocks[0].attn1.register_forward_hook(lambda module, given, out: shares.append(out.shape[1]))
together = model.denoise(sample, num_steps=3, guidance=3.0)
assert set(shares) == {4}, shares  # of 8 tokens
assert torch.equal(together.latents, alone.latents)
assert (together.frames() == alone.frames()).all()
try:
    model.denoise(sample, num_steps=3, guidance=3.0, recorders=[TokenEnergy()])
except PlanError as error:
    print("refused:", error)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_say_what_one_says(tmp_path):
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path / "meeting"), str(rank)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    told = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told[0][1][-2000:]
    assert all("refused: Sites or attention masks" in out for out, _ in told)


class Parallel:
    context_parallel_config = object()


def test_layers_that_hold_a_share_are_not_looked_into():
    transformer = tiny.transformer("wan2.2-a14b")
    transformer._parallel_config = Parallel()
    seen = Taps(tuple(SiteTap(site, lambda hidden, address: None) for site in SITES))
    with attach(transformer, Taps(), Address(0, 1.0)):
        pass
    with pytest.raises(PlanError, match="share of the tokens"), attach(transformer, seen, Address(0, 1.0)):
        pass
