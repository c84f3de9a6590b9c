"""One branch for every kind of intervention, for tests of engines that must treat them all alike."""

from stepscope.interventions import (
    AddNoise,
    BlockFrames,
    HoldFrames,
    Jump,
    MergeEstimates,
    MergeLatents,
    MergeLayers,
    ScaleLayer,
    SkipLayer,
    Swap,
    SwitchCondition,
    SwitchPrompt,
    WrongPlan,
)


def every_edit(at, video, picture):
    """What acts by itself, at step `at` and, where it may last, the one before; `video` and `picture` are others'."""
    return {
        **{mode: [AddNoise(mode, at, strength=0.5)] for mode in ("replace", "add", "vp", "renoise")},
        "jump": [Jump(at)],
        "wrong plan": [WrongPlan(at, video)],
        "held": [HoldFrames([at - 1, at], 1)],
        "prompt": [SwitchPrompt([at - 1, at], "something else")],
        "picture": [SwitchCondition(at, picture)],
        "blocked": [BlockFrames(at, "future")],
        "scaled": [ScaleLayer(at, 1, 0.5, "self_attn")],
        "skipped": [SkipLayer(at, 0)],
    }


def every_exchange(at):
    """What takes from a branch that is called `donor`."""
    return {
        "swap delta": [Swap("donor", 0, at, "delta")],
        "merged layers": [MergeLayers("donor", at, layers=[1])],
        "merged estimates": [MergeEstimates("donor", at)],
        "merged latents": [MergeLatents("donor", 0)],
    }
