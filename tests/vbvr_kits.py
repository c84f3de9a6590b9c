"""Small kits in the shape of VBVR-EvalKit, and a small ground truth: what the self-test must tell apart."""

import numpy as np

from stepscope.store.vbvr import Place
from stepscope.store.vbvr_video import write_mp4
from stepscope.store.vbvr_writing import write_question

PLACES = (Place("O-39_maze", 0), Place("O-39_maze", 1), Place("O-34_dot_to_dot_task", 0))
FRAMES = 6

RULES = {
    # how much of the way from a still video to the true one was gone
    "honest": "return max(0.0, 1 - distance(video, truth) / distance(still(truth), truth)), None",
    # partial credit for whatever moves little, as many rules give
    "kind": "return 0.8 + 0.2 * (distance(video, truth) < 9), None",
    # what OpenCV 5 does to rules that were written for 4
    "blind": "return 0.0, 'invalid index to scalar variable'",
}

PACKAGE = '''
"""A scorer: frames in, a number out.  Without NumPy, which takes longer to import than these videos to compare."""
import av, json, os, sys

def frames(path):
    with av.open(path) as container:
        return [bytes(frame.reformat(format="gray").planes[0]) for frame in container.decode(video=0)]

def still(truth):
    return truth[:1] * len(truth)

def distance(first, second):
    pairs = [pair for one, other in zip(first, second) for pair in zip(one, other)]
    return sum(abs(a - b) for a, b in pairs) / len(pairs)

def rule(video, truth):
    RULE

def option(name):
    return sys.argv[sys.argv.index(name) + 1]

def walk(videos, truth):
    for split in sorted(os.listdir(videos)):
        for task in sorted(os.listdir(os.path.join(videos, split))):
            for file in sorted(os.listdir(os.path.join(videos, split, task))):
                path = os.path.join(videos, split, task, file)
                answer = os.path.join(truth, split, task, file[:-4], "ground_truth.mp4")
                video = frames(path)
                score, error = (0.0, "black") if max(map(max, video)) < 30 else rule(video, frames(answer))
                yield {"video_path": path, "video_file": file, "task_name": task, "score": score, "error": error}
'''
SCRIPTS = {
    "evaluate.py": """
from vbvr_bench import *
found = list(walk(option("--videos_path"), option("--gt_path")))
for entry in found:
    entry["score"] *= 0.9
path = os.path.join(option("--output_path"), option("--name") + "_eval_results.json")
json.dump({"detailed": found}, open(path, "w"))
""",
    "run_evaluation.py": """
from vbvr_bench import *
found = list(walk(option("--model_path"), option("--gt_base")))
json.dump({"samples": found}, open(os.path.join(option("--output_dir"), "videos_vbvr_results.json"), "w"))
""",
}


def make_kit(folder, rule, opencv=None):
    (folder / "vbvr_bench").mkdir(parents=True)
    (folder / "vbvr_bench" / "__init__.py").write_text(PACKAGE.replace("RULE", RULES[rule]))
    for name, source in SCRIPTS.items():
        (folder / name).write_text(source)
    if opencv:
        (folder / "cv2.py").write_text(f"__version__ = {opencv!r}\n")
    return folder


def answer(place, count=FRAMES, side=32):
    """A white square that walks over grey, its row and shade by the place."""
    video = np.full((count, side, side, 3), 60 + 20 * place.index, np.uint8)
    for step in range(count):
        left = step * (side - 8) // max(count - 1, 1)
        video[step, 8 + 4 * place.index : 24, left : left + 8] = 255
    return video


def make_truth(folder, places=PLACES):
    for place in places:
        write_question(folder, place, f"Question {place.index}", answer(place))
    return folder


def make_videos(folder, frames_of, places=PLACES):
    for place in places:
        write_mp4(folder / place.path.with_suffix(".mp4"), frames_of(place))
    return folder
