"""A course of one small notebook, and submissions to it."""

import copy

from minipref.course.notebooks import read_source, write
from minipref.course.student import unsolved

STEM = "01_tiny"
SOURCE = '''# %%
import torch
from minipref.course.checks import NotYet, check_loss, check_number

# %% tags=["solution"]
answer = 0.5

# %% tags=["exercise", "check"]
print(check_number(answer, 0.5))

# %%
power = 2

# %% tags=["solution"]
def my_dpo(chosen_logps, rejected_logps, ref_chosen_logps, ref_rejected_logps, *, beta=0.1):
    """DPO's loss, one a row."""
    delta = (chosen_logps - ref_chosen_logps) - (rejected_logps - ref_rejected_logps)
    return -torch.nn.functional.logsigmoid(beta * delta)

# %% tags=["exercise", "check"]
print(check_loss(my_dpo, "dpo"))

# %% tags=["solution"]
def total(x):
    """The sum of the powers."""
    return x.pow(power).sum()

# %% tags=["exercise", "check"]
x = torch.tensor([1.0, 2.0], requires_grad=True)
total(x).backward()
if not torch.equal(x.grad, 2 * x):
    raise NotYet("the slope is not right")
print("right")
'''
CELL = {"answer": 1, "my_dpo": 4, "total": 6}


def write_course(folder):
    """The source of the course in `folder`, and its solved edition."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{STEM}.py"
    path.write_text(SOURCE)
    return read_source(path)


def handed_out(solved):
    """The student's edition."""
    return unsolved(solved)


def filled(solved, **answers):
    """The student's edition with our answers, but for those given."""
    notebook = copy.deepcopy(unsolved(solved))
    for name, number in CELL.items():
        notebook.cells[number].source = answers.get(name, solved.cells[number].source)
    return notebook


def hand_in(folder, student, notebook):
    """Put a notebook where a student's belongs."""
    (folder / student).mkdir(parents=True)
    write(notebook, folder / student / f"{STEM}.ipynb")
