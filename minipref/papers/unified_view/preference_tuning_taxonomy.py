"""The taxonomy of paper 061 (its Table 2) as data: every method, and the code that implements it.

A leaf points to `loss:NAME` (registered), `code:DOTTED.PATH` (in minipref), `row:KEY` (a worked
example), or says `planned: ...` or `not here: ...` and why.
"""

from __future__ import annotations

from dataclasses import dataclass

ONLINE, OFFLINE, BOTH, ANY = "online", "offline", "combination", "agnostic"
BEYOND = "planned: diffusion and vision-language models, chapter beyond_text"
THROUGH = "not here: minus the reward, through the sampler's last steps; `refl` is nearest"


@dataclass(frozen=True)
class Leaf:
    """A method of the survey.

    name       as the survey calls it
    sampling   online, offline, combination or agnostic
    group      the survey's next level
    to         where it is implemented, or why it is not
    arxiv      of its paper, or the word that the code's own text says; "" where `to` is a reason
    unit       pair, point or list: what its loss compares; "" where that is no property of it
    reference  does its loss need a reference policy? None where that is no property of it
    """

    name: str
    sampling: str
    group: str
    to: str
    arxiv: str = ""
    unit: str = ""
    reference: bool | None = None


HERE = "code:minipref.papers.unified_view.working_examples"
TAXONOMY = (
    Leaf("RLHF", ONLINE, "PPO", "loss:bradley_terry", "1706.03741", "pair", False),
    Leaf("RLHF-PPO", ONLINE, "PPO", "loss:ppo_clip", "1707.06347", "", False),
    Leaf("AI feedback", ONLINE, "PPO", "code:minipref.feedback.judges.pairwise.Judge", "judge"),
    Leaf("P3O (pairwise)", ONLINE, "PPO", "loss:p3o", "2310.00212", "", False),
    Leaf("MaxMin-RLHF", ONLINE, "PPO", "planned: chapter objectives"),
    Leaf("multilingual RLHF", ONLINE, "PPO", "planned: row 071, chapter languages"),
    Leaf("RLHF Workflow", ONLINE, "PPO", HERE, "RLHF Workflow"),
    Leaf("A2C", ONLINE, "PPO", "loss:a2c", "1602.01783", "", False),
    Leaf("PTR-PPO", ONLINE, "PPO", "not here: replay of whole trajectories in control tasks"),
    Leaf("GRPO", ONLINE, "REINFORCE", "loss:grpo", "2402.03300", "", True),
    Leaf("ReMax", ONLINE, "REINFORCE", "loss:remax", "2310.10505", "", False),
    Leaf("RLOO", ONLINE, "REINFORCE", "loss:rloo", "2402.14740", "", False),
    Leaf("iterative DPO", ONLINE, "online DPO", HERE, "iterative DPO"),
    Leaf("OAIF", ONLINE, "online DPO", HERE, "OAIF"),
    Leaf("OPTune", ONLINE, "online DPO", "code:minipref.losses.modifiers.weighted", "OPTune"),
    Leaf("Self-Rewarding", ONLINE, "online DPO", "planned: chapter online, rows 068 and 081"),
    Leaf("NLHF", ONLINE, "Nash", "code:minipref.algorithm.online.nash_md.nash_md", "2312.00886"),
    Leaf("SPPO", ONLINE, "Nash", "loss:sppo", "2405.00675", "point", False),
    Leaf("RAFT", ONLINE, "SFT-like", "code:minipref.feedback.kept.Best", "RAFT"),
    Leaf("ReST", ONLINE, "SFT-like", "code:minipref.feedback.kept.Accepted", "ReST"),
    Leaf("RRHF", ONLINE, "SFT-like", "loss:rrhf", "2304.05302", "list", False),
    Leaf(
        "SuperHF", ONLINE, "SFT-like", "not here: `sft` on the best of many, and a KL to the start"
    ),
    Leaf("AlignProp", ONLINE, "diffusion", THROUGH),
    Leaf("DDPO", ONLINE, "diffusion", "code:minipref.losses.diffusion_rewards", "DDPO"),
    Leaf("DPOK", ONLINE, "diffusion", "loss:dpok", "2305.16381", "", False),
    Leaf("DRaFT", ONLINE, "diffusion", THROUGH),
    Leaf("PRDP", ONLINE, "diffusion", "loss:prdp", "2402.08714", "pair", True),
    Leaf("ReFL", ONLINE, "diffusion", "loss:refl", "2304.05977", "", False),
    Leaf("DLPO", ONLINE, "other media", "loss:dlpo", "2405.14632", "", False),
    Leaf("HIVE", ONLINE, "other media", "loss:hive", "2303.09618", "", False),
    Leaf("LLaVA-RLHF", ONLINE, "other media", BEYOND),
    Leaf("RLHF-V", ONLINE, "other media", "planned: a dense DPO, which Table 2 files under PPO"),
    Leaf("Rich Feedback", ONLINE, "other media", "not here: a reward model that marks regions"),
    Leaf("BPPO", OFFLINE, "PPO", "code:minipref.algorithm.online.collected", "Offline PPO"),
    Leaf("Diffusion-DPO", OFFLINE, "diffusion", "row:diffusion-dpo", "2311.12908"),
    Leaf("POVID", OFFLINE, "other media", "loss:povid", "2402.11411", "pair", True),
    Leaf("DPO", OFFLINE, "offline DPO", "loss:dpo", "2305.18290", "pair", True),
    Leaf("ALLO", OFFLINE, "offline DPO", "planned: chapter tokens"),
    Leaf("CPO", OFFLINE, "offline DPO", "loss:cpo", "2401.08417", "pair", False),
    Leaf("GPO", OFFLINE, "offline DPO", "loss:gpo_generalised", "2402.05749", "pair", True),
    Leaf("IPO", OFFLINE, "offline DPO", "loss:ipo", "2310.12036", "pair", True),
    Leaf("KTO", OFFLINE, "offline DPO", "loss:kto", "2402.01306", "point", True),
    Leaf("ODPO", OFFLINE, "offline DPO", "loss:odpo", "2402.10571", "pair", True),
    Leaf("ORPO", OFFLINE, "offline DPO", "row:orpo", "2403.07691"),
    Leaf("PRO", OFFLINE, "offline DPO", "code:minipref.losses.pro", "2306.17492"),
    Leaf("R-DPO", OFFLINE, "offline DPO", "loss:lr_dpo", "2403.19159", "pair", True),
    Leaf("rDPO", OFFLINE, "offline DPO", "row:robust-dpo", "2403.00409"),
    Leaf("sDPO", OFFLINE, "offline DPO", "row:sdpo", "2403.19270"),
    Leaf("VPO", OFFLINE, "offline DPO", "loss:vpo", "2405.19320", "pair", True),
    Leaf("Mallows-DPO", OFFLINE, "offline DPO", "loss:mallows_dpo", "2405.14953", "pair", True),
    Leaf("RainbowPO", OFFLINE, "offline DPO", "loss:rainbow_po", "2410.04203", "pair", True),
    Leaf("SimPO", OFFLINE, "offline DPO", "loss:simpo", "2405.14734", "pair", False),
    Leaf("multilingual DPO", OFFLINE, "offline DPO", "planned: chapter languages"),
    Leaf("SLiC-HF", OFFLINE, "SLiC", "loss:slic_hf", "2305.10425", "pair", False),
    Leaf(
        "P3O (on and off policy)",
        BOTH,
        "policy gradient",
        "code:minipref.losses.p3o_fakoor",
        "1905.01756",
    ),
    Leaf("RTO", BOTH, "tokens", "code:minipref.losses.rto_rewards", "2404.18922"),
    Leaf("ExPO", ANY, "weights", "row:expo", "2404.16792"),
)
LIVE = ("loss:", "code:", "row:")


def points(leaf: Leaf) -> bool:
    """Does it point to something, or say why not?"""
    return leaf.to.startswith(LIVE)
