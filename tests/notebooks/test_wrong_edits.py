"""Breaking the lesson breaks the build.

Each row is a small wrong edit to the key step of a lab, and the claim that must notice. The edited copy is run by the very
command that ``make test`` uses for the notebooks, and has to fail there, for that reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.course import load_course

COURSE = load_course()

# lab, what stands there, what a mistaken author might write instead, the claim that fails
EDITS = [
    ("linear-regression", "return 2 / len(y) * X.T @ residuals", "return 1 / len(y) * X.T @ residuals", "gradient_error"),
    ("linear-regression", "(people.data[rows] - mean) / spread", "people.data[rows] - mean", "scaling_gain"),
    ("logistic-regression", "return X.T @ (sigmoid(X @ weights) - y) / len(y)", "return X.T @ (y - sigmoid(X @ weights)) / len(y)", "gradient_error"),
    ("logistic-regression", "p * (1 - p) * (p * (1 - p) + (p - y) * (1 - 2 * p))", "p * (1 - p) * (p * (1 - p))", "lowest_curvature_squared"),
    ("autodiff", "parent.gradient += slope * node.gradient", "parent.gradient = slope * node.gradient", "pencil_gradient"),
    ("autodiff", "for number in sorted(found, reverse=True)", "for number in found", "torch_difference"),
    ("start-here", "lambda: A @ B", "lambda: np.array(product_by_loops(A_rows, B_rows))", "numpy_gain"),
    ("convolution", "view.transpose(0, 1, 4, 5, 2, 3)", "view.transpose(0, 1, 5, 4, 2, 3)", "disagreement"),
    ("convolution", "np.cumprod([1] + [stride for _, stride in layers])", "np.cumprod([stride for _, stride in layers])", "receptive_fields"),
    ("lenet", "torch.as_tensor(labels).long()", "torch.as_tensor(labels).long().roll(1)", "test_accuracy"),
    ("lenet", "F.log_softmax(once, dim=1)", "F.softmax(once, dim=1)", "log_softmax_twice"),
    ("lenet-keras", "kernels.transpose(2, 3, 1, 0)", "kernels.transpose(3, 2, 1, 0)", "copy_difference"),
    ("lenet-keras", "shuffle=False", "shuffle=True", "curves_apart"),
    ("deep-cnns", "unbiased = x.var((0, 2, 3), correction=1)", "unbiased = x.var((0, 2, 3), correction=0)", "pencil_running_variance"),
    ("deep-cnns", "F.relu(x + self.branch(x))", "F.relu(self.branch(x))", "zero_branch"),
    ("optimizers", "gradient + momentum * memory", "momentum * memory", "nesterov_rest"),
    ("optimizers", "R @ H @ R.T for H in hessians", "H for H in hessians", "steps_by_turning"),
    ("recurrent", "write, forget, candidate, show =", "forget, write, candidate, show =", "lstm_difference"),
    ("recurrent", "math.log(kept / (1 - kept))", "math.log((1 - kept) / kept)", "open_rate"),
    ("tracking", '    torch.manual_seed(settings["seed"])\n', "", "repeat_difference"),
    ("training-bugs", 'if bug != "left in evaluation mode"', 'if bug == "left in evaluation mode"', "below_healthy"),
    ("training-bugs", "*digit_net(), nn.Softmax(dim=1)", "*digit_net(), nn.LogSoftmax(dim=1)", "floor"),
    ("transformer", "/ math.sqrt(queries.shape[-1])", "/ queries.shape[-1]", "pencil"),
    ("transformer", "dtype=torch.bool).tril()", "dtype=torch.bool).tril(1)", "leak"),
    ("tuning", "speed.mul_(0.9).add_(gradient + decay * one)", "speed.mul_(0.9).add_(gradient)", "alone_difference"),
    ("tuning", "return digits[:size], digits[size:]", "return digits[:size], digits[:size]", "lead_kept"),
    ("sharding", "weights, X_batch.chunk(ranks)[rank])", "weights, X_batch.chunk(ranks)[0])", "sharded_difference"),
    ("sharding", "F.linear(hidden, B)) + bias", "F.linear(hidden, B) + bias)", "library_difference"),
    ("input-pipelines", "itertools.repeat(one_batch, len(plan))", "map(load, plan)", "starved_over_repeated"),
    ("input-pipelines", "loads[i, 0] = max(worker_free, place_free)", "loads[i, 0] = worker_free", "depth_gain_uneven"),
    ("tf-distribute", "size = -(-len(samples) // devices)", "size = len(samples) // devices", "cut"),
    ("tf-distribute", "tf.reduce_sum(losses) / everywhere", "tf.reduce_mean(losses) / 4", "share_ragged"),
    ("precision", "2.0 ** (1 - bias) * fraction", "2.0 ** -bias * fraction", "decoded_differing"),
    ("precision", "(rest == 0.5) & (count % 2 == 1)", "(rest == 0.5)", "rounding_differences"),
    ("cloud", "(groups, machines)).min(axis=1)", "(groups, machines)).mean(axis=1)", "first_failure"),
    ("cloud", 'optimizer.load_state_dict(state["optimizer"])', 'state["optimizer"]', "resumed_difference"),
    ("data-parallel", "held[worker][(worker - step) % n]", "held[worker][(worker + step) % n]", "ring_on_paper"),
    ("data-parallel", "slope([0, 1]), slope([2, 3])", "slope([0]), slope([1, 2, 3])", "pencil_gradient"),
    ("roofline", "for one in used + made)", "for one in made)", "meter_bytes"),
    ("roofline", "return sum(max(limits(call).values())", "return sum(min(limits(call).values())", "typical_ratio"),
    ("tpu", "np.outer(A[:, chip], B[chip])", "np.outer(A[chip], B[chip])", "hand_difference"),
    ("tpu", "np.prod(before, dtype=int)) * -(-height // tile[0])", "np.prod(before, dtype=int)) * (height // tile[0])", "lenet_tiles"),
    ("graphs", "(step.op, step.inputs, repr(step.value))", "(step.op, repr(step.value))", "steps_left"),
    ("graphs", "value=OPERATIONS[step.op](*(operand.value for operand in operands))", "value=operands[0].value", "optimised_difference"),
    ("credit-risk", "words[-1:] + words[:-1]", "words[1:] + words[:1]", "owners_with_real_estate"),
    ("credit-risk", "np.where(y == 1, 5 * ~refused, refused)", "np.where(y == 1, 5 * refused, ~refused)", "pencil"),
    ("smart-city", "alarms[start:stop] |= alarms[start:stop].any()", "alarms[start] |= alarms[start:stop].any()", "f1_adjusted_by_hand"),
    ("smart-city", "sliding_window_view(held, LENGTH)[:-1]", "sliding_window_view(held, LENGTH)[1:]", "linear_gain"),
    ("predictive-maintenance", "(weeks >= times[:, None]).sum(1)", "(weeks[failed] >= times[:, None]).sum(1)", "five_presses"),
    ("predictive-maintenance", "np.cumsum((survival[1:] + survival[:-1]) / 2)", "np.arange(1, len(survival))", "paper_age"),
    ("medical-imaging", "alarms = scores >= stops[:, None]", "alarms = scores > stops[:, None]", "pencil_auc"),
    ("medical-imaging", "if spread.min() < 2:", "if spread.min() < 0:", "refused"),
    ("traffic", "training & ~filled & (when.hour == 7)", "training & (when.hour == 7)", "holidays"),
    ("traffic", "windows(past, rows + late)", "windows(past, rows + late + 1)", "shuffled_time"),
    ("translation", "np.minimum(0, 1 - wanted / written)", "np.minimum(0, 1 - written / wanted)", "pencil"),
    ("translation", "sum((written & wanted).values()) for", "sum(written.values()) for", "paraphrase"),
    ("recommender", "ridge_rows(left - known * films[:, 0], known", "ridge_rows(left, known", "pencil"),
    ("recommender", "shuffled = np.random.default_rng(0).permutation(stars[rows])", "shuffled = stars[rows]", "shuffled"),
    ("driving", "idm(v, gap - CAR, v - leader", "idm(v, gap, v - leader", "ring_gap"),
    ("driving", "argmin(1) // 5 ** (depth - 1)", "argmin(1) % 5", "planner_lead"),
]  # fmt: skip


def run_copy(lab_id: str, old: str, new: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an edited copy of a lab's notebook as ``make notebooks`` does."""
    notebook = json.loads(COURSE.lab(lab_id).notebook.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and old in cell["source"]]
    assert len(cells) == 1, f"{lab_id}: the edit fits {len(cells)} cells; it has to fit one"
    cells[0]["source"] = cells[0]["source"].replace(old, new)
    copy = folder / f"{lab_id}.ipynb"
    copy.write_text(json.dumps(notebook), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbmake", "--nbmake-timeout=300", str(copy)]
    environment = os.environ | {"LABKIT_STRICT": "1", "LABKIT_STATIC": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


def assert_noticed(done: subprocess.CompletedProcess[str], claim: str) -> None:
    assert done.returncode == 1, done.stdout
    assert "ClaimError" in done.stdout, done.stdout
    assert f"✗ {claim}" in done.stdout, done.stdout


def test_a_false_lesson_fails_make_test(tmp_path: Path) -> None:
    """The first edit stands for all in the fast tests; the others are slow."""
    lab, old, new, claim = EDITS[0]
    assert_noticed(run_copy(lab, old, new, tmp_path), f"{lab}.{claim}")


@pytest.mark.slow
@pytest.mark.parametrize(("lab", "old", "new", "claim"), EDITS[1:], ids=[f"{edit[0]}-{edit[3]}" for edit in EDITS[1:]])
def test_each_false_lesson_fails(tmp_path: Path, lab: str, old: str, new: str, claim: str) -> None:
    assert_noticed(run_copy(lab, old, new, tmp_path), f"{lab}.{claim}")


def test_every_lab_has_a_wrong_edit() -> None:
    assert {edit[0] for edit in EDITS} == set(COURSE.labs)
