"""What stands in for single responses, lists and heads in a printed training step.

Everything here is said of one loss: a line that differs from what its inputs' names suggest, or
what to put there instead.
"""

from __future__ import annotations

LAST_TOKEN = """\
last = mask.long().cumsum(-1).argmax(-1)  # where each response ends
logits = model(ids)[torch.arange(8), last]"""
SAMPLED_LOGPS = """\
tokens = token_logps(model(sampled_ids), sampled_ids, sampled_mask)  # (8, 12)
sampled_logps = tokens.sum(-1).view(2, 4)  # two lists of four"""
SAMPLED_KL = """\
ref_tokens = token_logps(reference(sampled_ids), sampled_ids, sampled_mask)
sampled_kl = response_kl(tokens, ref_tokens, sampled_mask).view(2, 4)"""
LOOP = {  # (loss, input): its line in the loop, after those of the other inputs
    ("bco", "shift"): "count, shift = bco_shift(0.01 * (logps - ref_logps), count, shift)",
    ("rrhf", "mean_logps"): "mean_logps = logps / mask.sum(-1).view(2, 4)",
    ("pro", "mean_logps"): "mean_logps = logps / mask.sum(-1).view(2, 4)",
    ("pair_scorer", "chosen_rewards"): "chosen_rewards = model(ids)[:, 7, 0]  # after one response",
    ("pair_scorer", "rejected_rewards"): "rejected_rewards = model(ids)[:, 11, 0]  # and the other",
    ("dprm_cross_entropy", "logits"): LAST_TOKEN,
    ("dprm_transport", "logits"): LAST_TOKEN,
    ("gpo_group", "logits"): LAST_TOKEN,
    ("pro_orchestrator", "logits"): "logits = model(ids)[:, 3]  # where each prompt ends",
    ("drpo", "sampled_logps"): SAMPLED_LOGPS,
    ("drpo", "sampled_kl"): SAMPLED_KL,
    ("xpo", "sampled_logps"): "sampled_logps = rejected_logps  # yours: of the reference's sample",
}
BEFORE = {"bco": "count, shift = torch.zeros(2)  # of the rewards so far: how many, their mean"}
DATA = {  # (loss, input): its line before the loop
    ("figa", "signals"): "signals = torch.tensor([1.0, -0.5, 0.0]).repeat(8, 4)"
    "  # yours: words put in, taken out, kept",
    ("pro", "scores"): "scores = torch.rand(2, 4).sort(-1, descending=True).values"
    "  # yours: of a reward model",
    ("dprm_transport", "scores"): "scores = torch.tensor([1.0, 0.5, -1.0, -3.0])"
    "  # yours: what each category is worth",
}
ROWS = {  # (loss, side): its rows, where there is one pair to several samples
    ("drpo", "chosen_"): "chosen_ids, chosen_mask = random_rows(prompts[::4])  # yours: the data",
    ("drpo", "rejected_"): "rejected_ids, rejected_mask = random_rows(prompts[::4])  # yours",
}
WHOSE = {  # (loss, side): what the rows are
    **dict.fromkeys(
        [(loss, "") for loss in ("plackett_luce", "ranknet", "rrhf", "pro", "knowpat", "pl_dpo")],
        "the best response first",
    ),
    **dict.fromkeys([("s_dpo", ""), ("k_way", "")], "the chosen response first"),
    ("irpo_ranking", ""): "the items of a list, each a row, target rank 1 first",
    ("bialign", ""): "one gold answer after four sets of examples",
    ("pair_scorer", ""): "each row a prompt and both responses",
    ("prm", ""): "mask the last token of each step",
    ("genrm", "verdict_"): "a solution and whether it is right",
    ("genrm", "solution_"): "the solution, given the problem",
    ("npo", ""): "what is to be forgotten",
    ("f_sft", ""): "demonstrations",
    ("rwr", ""): "sampled by the model it starts from",
    ("sppo", ""): "sampled by the last round's policy",
    ("spac", "sampled_"): "sampled by the last round's policy",
    ("vpo", "calibration_"): "of the data, or the reference",
}
MEANING = {  # (loss, input): what the input is
    ("prm", "probabilities"): "that the step is right",
    ("nash_md", "probabilities"): "that it beats a sample of the mixture",
    ("sppo", "probabilities"): "that it beats the last round's policy",
    ("drpo", "probabilities"): "a judge's, that the chosen is better",
    ("drpo", "sampled_probabilities"): "a judge's, that a sample beats the pair",
    ("token_guidance", "rewards"): "a token reward, learnt from rankings",
    ("token_guidance_mle", "scores"): "a token reward, learnt from rankings",
    ("pro_orchestrator", "scores"): "four normalised rewards of the preferred response",
    ("bialign", "teacher_logps"): "the same under a larger model",
    ("irpo_ranking", "scores"): "how relevant each item is",
}
