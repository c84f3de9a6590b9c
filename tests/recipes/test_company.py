"""Trainers in company: shares of the puzzles, one clock, and a gradient that is the mean of theirs."""

import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "embedded"
PROCESS = """
import sys
import torch
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
import bank, transformer as net
from company import Company
from denoiser import Trainer

text, bias = net.compact_prompts([torch.ones(3, net.build(1, num_layers=1).config.text_dim)])

def gradients(company):
    device = torch.device("cpu")
    banks = {17: bank.Bank.blank(2, 17, device)}
    made = Trainer(net.build(1, num_layers=1), banks, text, bias, 12.0, device, 2, company=company)
    made.loss(17, net.block)[0].backward()
    return made, [p.grad.clone() for p in made.model.parameters() if p.grad is not None]

company = Company.called().met("cpu")
assert company.size == 2
made, own = gradients(company)
alone = [gradients(Company(rank, 2))[1] for rank in range(2)]
mean = [(a + b) / 2 for a, b in zip(*alone, strict=True)]
assert all(torch.equal(a, b) for a, b in zip(own, alone[company.rank], strict=True))
assert not all(torch.equal(a, b) for a, b in zip(*alone, strict=True))  # each has noise of its own
company.average(own)
for a, b in zip(own, mean, strict=True):
    torch.testing.assert_close(a, b)
assert company.agreed(10.0 + company.rank) == 10.0
made.update(0.0)
torch.save({n: p.detach() for n, p in made.model.named_parameters()}, f"{sys.argv[2]}-{company.rank}")
"""


def test_parts_fall_to_one_trainer_each_and_all_have_every_length(tmp_path, monkeypatch):
    import parts

    monkeypatch.setattr(parts, "PART", 4)
    whole = {job.file: job.count for job in parts.jobs_of(tmp_path, 50, 1, 2)}
    shares = [{job.file: job.count for job in parts.jobs_of(tmp_path, 50, 1, 2, (rank, 3))} for rank in range(3)]
    assert not shares[0].keys() & shares[1].keys()
    assert not shares[1].keys() & shares[2].keys()
    assert {job.num_frames for job in parts.jobs_of(tmp_path, 50, 1, 2, (2, 3))} == set(parts.FRAME_COUNTS)
    assert sum(sum(share.values()) for share in shares) == sum(whole.values())
    # Too few puzzles for whole parts are divided all the same.
    few = [parts.jobs_of(tmp_path, 3, 1, 2, (rank, 2)) for rank in range(2)]
    assert all({job.num_frames for job in jobs} == set(parts.FRAME_COUNTS) for jobs in few)


@pytest.mark.slow
def test_two_trainers_take_one_step(tmp_path):
    import torch

    (script := tmp_path / "process.py").write_text(PROCESS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
    ran = subprocess.run([*command, script, RECIPE, tmp_path / "weights"], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"weights-{rank}") for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
