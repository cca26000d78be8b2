"""The taxonomy of paper 061 (its Table 2) as data: every method, and the code that implements it.

A leaf points to `loss:NAME` (registered), `code:DOTTED.PATH` (in minipref), `row:KEY` (a worked
example), or says `planned: ...` or `not here: ...` and why.
"""

from __future__ import annotations

from dataclasses import dataclass

ONLINE, OFFLINE, BOTH, ANY = "online", "offline", "combination", "agnostic"
BEYOND = "planned: diffusion and vision-language models, chapter beyond_text"
FAMILY = "planned: with the classic losses"


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
    Leaf("P3O (pairwise)", ONLINE, "PPO", FAMILY),
    Leaf("MaxMin-RLHF", ONLINE, "PPO", "planned: chapter objectives"),
    Leaf("multilingual RLHF", ONLINE, "PPO", "planned: row 071, chapter languages"),
    Leaf("RLHF Workflow", ONLINE, "PPO", HERE, "RLHF Workflow"),
    Leaf("A2C", ONLINE, "PPO", "not here: a critic for every token; PPO's row in Eq. 1 covers it"),
    Leaf("PTR-PPO", ONLINE, "PPO", "not here: replay of whole trajectories in control tasks"),
    Leaf("GRPO", ONLINE, "REINFORCE", "loss:grpo", "2402.03300", "", True),
    Leaf("ReMax", ONLINE, "REINFORCE", "loss:remax", "2310.10505", "", False),
    Leaf("RLOO", ONLINE, "REINFORCE", "loss:rloo", "2402.14740", "", False),
    Leaf("iterative DPO", ONLINE, "online DPO", HERE, "iterative DPO"),
    Leaf("OAIF", ONLINE, "online DPO", HERE, "OAIF"),
    Leaf("OPTune", ONLINE, "online DPO", "planned: chapter online"),
    Leaf("Self-Rewarding", ONLINE, "online DPO", "planned: chapter online, rows 068 and 081"),
    Leaf("NLHF", ONLINE, "Nash", "code:minipref.algorithm.online.nash_md.nash_md", "2312.00886"),
    Leaf("SPPO", ONLINE, "Nash", FAMILY),
    Leaf("RAFT", ONLINE, "SFT-like", "code:minipref.feedback.kept.Best", "RAFT"),
    Leaf("ReST", ONLINE, "SFT-like", "code:minipref.feedback.kept.Accepted", "ReST"),
    Leaf("RRHF", ONLINE, "SFT-like", FAMILY),
    Leaf("SuperHF", ONLINE, "SFT-like", FAMILY),
    Leaf("AlignProp", ONLINE, "diffusion", BEYOND),
    Leaf("DDPO", ONLINE, "diffusion", BEYOND),
    Leaf("DPOK", ONLINE, "diffusion", BEYOND),
    Leaf("DRaFT", ONLINE, "diffusion", BEYOND),
    Leaf("PRDP", ONLINE, "diffusion", BEYOND),
    Leaf("ReFL", ONLINE, "diffusion", BEYOND),
    Leaf("DLPO", ONLINE, "other media", BEYOND),
    Leaf("HIVE", ONLINE, "other media", BEYOND),
    Leaf("LLaVA-RLHF", ONLINE, "other media", BEYOND),
    Leaf("RLHF-V", ONLINE, "other media", "planned: a dense DPO, which Table 2 files under PPO"),
    Leaf("Rich Feedback", ONLINE, "other media", "not here: a reward model that marks regions"),
    Leaf("BPPO", OFFLINE, "PPO", "code:minipref.algorithm.online.collected", "Offline PPO"),
    Leaf("Diffusion-DPO", OFFLINE, "diffusion", "row:diffusion-dpo", "2311.12908"),
    Leaf("POVID", OFFLINE, "other media", BEYOND),
    Leaf("DPO", OFFLINE, "offline DPO", "loss:dpo", "2305.18290", "pair", True),
    Leaf("ALLO", OFFLINE, "offline DPO", "planned: chapter tokens"),
    Leaf("CPO", OFFLINE, "offline DPO", "loss:cpo", "2401.08417", "pair", False),
    Leaf(
        "GPO",
        OFFLINE,
        "offline DPO",
        "code:minipref.papers.unified_view.special_cases.gpo",
        "2402.05749",
    ),
    Leaf("IPO", OFFLINE, "offline DPO", "loss:ipo", "2310.12036", "pair", True),
    Leaf("KTO", OFFLINE, "offline DPO", "loss:kto", "2402.01306", "point", True),
    Leaf("ODPO", OFFLINE, "offline DPO", FAMILY),
    Leaf("ORPO", OFFLINE, "offline DPO", "row:orpo", "2403.07691"),
    Leaf("PRO", OFFLINE, "offline DPO", "planned: row 103"),
    Leaf("R-DPO", OFFLINE, "offline DPO", FAMILY),
    Leaf("rDPO", OFFLINE, "offline DPO", "row:robust-dpo", "2403.00409"),
    Leaf("sDPO", OFFLINE, "offline DPO", "planned: row 046"),
    Leaf("VPO", OFFLINE, "offline DPO", FAMILY),
    Leaf("Mallows-DPO", OFFLINE, "offline DPO", FAMILY),
    Leaf("RainbowPO", OFFLINE, "offline DPO", FAMILY),
    Leaf("SimPO", OFFLINE, "offline DPO", "loss:simpo", "2405.14734", "pair", False),
    Leaf("multilingual DPO", OFFLINE, "offline DPO", "planned: chapter languages"),
    Leaf("SLiC-HF", OFFLINE, "SLiC", "planned: `hinge` is RSO's form of it, with a reference"),
    Leaf("P3O (on and off policy)", BOTH, "policy gradient", "not here: a method for games"),
    Leaf("RTO", BOTH, "tokens", "planned: chapter tokens"),
    Leaf("ExPO", ANY, "weights", "row:expo", "2404.16792"),
)
LIVE = ("loss:", "code:", "row:")


def points(leaf: Leaf) -> bool:
    """Does it point to something, or say why not?"""
    return leaf.to.startswith(LIVE)
