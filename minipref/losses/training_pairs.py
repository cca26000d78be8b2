"""What stands in for the data of a pair in a printed training step, and what to put there instead.

The two responses share a prompt, the chosen one scores higher, and what can be computed from the
rows or from the reference is, so that a copy shows where each number comes from.
"""

from __future__ import annotations

ROWS = {  # of a side whose rows are not simply another response to the prompts
    "corrupted_": """\
corrupted_ids = torch.cat([torch.randint(50, (8, 4)), chosen_ids[:, 4:]], 1)
corrupted_mask = chosen_mask  # yours: the same answer, the image in its prompt spoilt""",
}
SIDE_NOTES = {"anchor_": ": the SFT targets", "noisy_": ": what the policy says to a noisy image"}
INPUTS = {  # by name and dimensions: what follows from the rows, the prompts or the reference
    ("chosen_lengths", "batch"): "chosen_lengths = chosen_mask.sum(-1)",
    ("rejected_lengths", "batch"): "rejected_lengths = rejected_mask.sum(-1)",
    ("dispersion_weights", "batch"): """\
ref_chosen = reference(chosen_ids).log_softmax(-1).roll(1, 1)  # t predicted token t + 1
ref_rejected = reference(rejected_ids).log_softmax(-1).roll(1, 1)
dispersion_weights = mallows_weights(
    entropy_share(ref_chosen, chosen_mask), entropy_share(ref_rejected, rejected_mask)
)""",
    ("weights", "batch", "batch"): """\
embeddings = torch.randn(8, 16)  # yours: of the prompts, from a frozen encoder
weights = prompt_likeness(embeddings, embeddings)""",
}
AHEAD = {"chosen_scores": 1, "chosen_visits": 20}  # by how much the better one leads
NOTES = {  # where a loss means something else by an input's name than most do
    ("modpo", "scores"): "of the other objectives, weighted and summed",
    ("spo_sequential", "scores"): "implicit rewards of the round before",
    ("rpo_reverse", "margins"): "how many constraints the rejected breaks",
    ("irepo", "probabilities"): "share of the votes for the chosen",
    ("mcts_dpo", "visits"): "of the search to either step",
    ("remax", "baselines"): "what the greedy response earned",
    ("adpa", "advantages"): "log(tuned teacher / the teacher before)",
    ("wspo", "logps"): "of the weak model, aligned or before",
    ("timestep_diffusion_dpo", "weights"): "more at noisy time steps",
}
DIVERGENCES = (
    "divergences = token_kl(reference(chosen_ids), model(chosen_ids), chosen_mask).sum(-1)"
)


def rows_of(side: str) -> str:
    """The lines that draw the rows of one side of a pair."""
    note = SIDE_NOTES.get(side, "")
    return ROWS.get(side, f"{side}ids, {side}mask = random_rows(prompts)  # yours{note}")
