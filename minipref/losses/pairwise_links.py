"""Losses on a pair that put another function, or another margin, in the place of DPO's.

Conventions of names and shapes are those of `pairwise`. A word in a formula that is not an argument
stands in a line above it; `named(x)` is the line whose name is x.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import pairwise


@pairwise(
    paper="2402.05749",
    reference=True,
    ranges={
        "beta": "(0, inf)",
        "link": "{logistic, square, hinge, exponential, truncated_quadratic, savage}",
    },
)
def gpo_generalised(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    link: str = "logistic",
) -> Tensor:
    """GPO (generalised): any function of DPO's margin that falls at 0 is a loss.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        logistic = log(1 + exp(-margin))
        square = (1 - margin) ** 2
        hinge = max(0, 1 - margin)
        exponential = exp(-margin)
        truncated_quadratic = max(0, 1 - margin) ** 2
        savage = 1 / (1 + exp(margin)) ** 2
        L = named(link)
        d_logistic = -sigmoid(-margin)
        d_square = -2 * (1 - margin)
        d_hinge = where(margin < 1, -1, 0)
        d_exponential = -exp(-margin)
        d_truncated_quadratic = -2 * max(0, 1 - margin)
        d_savage = -2 * sigmoid(-margin) ** 2 * sigmoid(margin)
        dL/dchosen_logps = beta * named("d_" + link)
        dL/drejected_logps = -beta * named("d_" + link)

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the regularisation, per nat; 0.1 as for `dpo`. What it does depends on
            the link: near 0 a pair is pushed by beta times the link's slope there.
        link: "logistic" is `dpo`, "hinge" is `hinge` (SLiC), "square" is `ipo` on sums, at
            tau = beta / 2 and times beta^2.

    Returns: (batch,) loss; where the policy is the reference log 2 (logistic), 1/4 (savage) or 1.
    Raises: ValueError that names the tensor which does not fit the others, or the argument.
    Conventions: log-probs are sums over tokens. All links but savage are convex. In exponential, a
        margin below -20 counts as -20, without gradient. Not *group* preference optimisation
        (paper 058), which is called GPO as well.
    Source: Tang et al. 2024, arXiv 2402.05749, as restated by paper 061.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    match link:
        case "square":
            return (1 - margin).square()
        case "hinge":
            return torch.relu(1 - margin)
        case "exponential":
            return (-margin).clamp(max=20.0).exp()
        case "truncated_quadratic":
            return torch.relu(1 - margin).square()
        case "savage":
            return torch.sigmoid(-margin).square()
    return F.softplus(-margin)  # logistic


@pairwise(
    paper="2402.00856", reference=True, ranges={"beta": "(0, inf)", "label_smoothing": "(0, 0.5)"}
)
def exo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.001,
) -> Tensor:
    """EXO on a pair: the KL divergence of DPO, the other way round, as reinforcement learning's is.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        chosen_q = sigmoid(margin)
        rejected_q = sigmoid(-margin)
        chosen_excess = log(chosen_q / (1 - label_smoothing))
        rejected_excess = log(rejected_q / label_smoothing)
        L = chosen_q * chosen_excess + rejected_q * rejected_excess
        missing = rejected_excess - chosen_excess
        dL/dchosen_logps = -beta * chosen_q * rejected_q * missing
        dL/drejected_logps = beta * chosen_q * rejected_q * missing

    It is KL(q || p) of the policy's choice q from the label p = (1 - label_smoothing,
    label_smoothing); KL(p || q) is `cdpo` less a constant. Both are least at q = p.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat, the paper's beta_pi; 0.1 as in its appendix B
            according to TRL (official scripts: 0.5).
        label_smoothing: probability that a label is wrong, the paper's epsilon, in (0, 0.5); at 0
            the loss is infinite. 0.001 as the paper recommends.

    Returns: (batch,) loss, nats, at least 0; where the policy is the reference
        -log(4 * label_smoothing * (1 - label_smoothing)) / 2.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens. The gradient vanishes at either end: a pair that
        is ranked very wrongly is given up. TRL's `loss_type="exo_pair"`; the official code takes 0
        and -10 for the label's logs, which is an epsilon of 5e-5.
    Source: Ji et al. 2024, arXiv 2402.00856, Eq. 16 (EXO-pref) with two responses.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    log_q = F.logsigmoid(torch.stack([margin, -margin], -1))  # (batch, 2): chosen, rejected
    log_p = margin.new_tensor([1 - label_smoothing, label_smoothing]).log()
    return (log_q.exp() * (log_q - log_p)).sum(-1)


@pairwise(paper="2406.08414", reference=True, ranges={"beta": "(0, inf)", "tau": "(0, 1]"})
def discopop(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.05,
    tau: float = 0.05,
) -> Tensor:
    """DiscoPOP: logistic for a pair ranked wrongly, exponential for one ranked rightly.

        chosen_logratios = chosen_logps - ref_chosen_logps
        rejected_logratios = rejected_logps - ref_rejected_logps
        margin = beta * (chosen_logratios - rejected_logratios)
        right = sigmoid(margin / tau)
        wrong = sigmoid(-margin / tau)
        L = wrong * log(1 + exp(-margin)) + right * exp(-margin)
        turn = right * wrong / tau * (exp(-margin) - log(1 + exp(-margin)))
        slope = turn - wrong * sigmoid(-margin) - right * exp(-margin)
        dL/dchosen_logps = beta * slope
        dL/drejected_logps = -beta * slope

    Found by a language model, and not convex: at tau = 0.05 it rises from a minimum of 0.786 at
    margin = -2.37 tau to a maximum of 0.878 at 1.44 tau, with 0 in between. There the gradient
    narrows the margin, and training starts there.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the KL constraint, per nat; 0.05 as in the official recipes (TRL: 0.1).
        tau: width, in units of the margin, over which one loss passes into the other; 0.05 as in
            the paper. Above 1 the exponential would win on pairs ranked wrongly.

    Returns: (batch,) loss; (1 + log 2) / 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: log-probs are sums over tokens; the paper's LRML, with beta inside the blend, as
        in TRL's `loss_type="discopop"` (whose tau is `discopop_tau`).
    Source: Lu et al. 2024, arXiv 2406.08414, Eq. 5, and its official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    margin = beta * (chosen_logratios - rejected_logratios)
    logistic = torch.sigmoid(-margin / tau) * F.softplus(-margin)
    exponential = (F.logsigmoid(margin / tau) - margin).exp()  # the exponent is at most 0
    return logistic + exponential


@pairwise(
    paper="2309.16240",
    reference=True,
    ranges={
        "beta": "(0, inf)",
        "divergence": "{reverse_kl, forward_kl, js, alpha}",
        "alpha": "(0, 1]",
    },
)
def f_dpo(
    chosen_logps: Tensor,
    rejected_logps: Tensor,
    ref_chosen_logps: Tensor,
    ref_rejected_logps: Tensor,
    *,
    beta: float = 0.1,
    divergence: str = "js",
    alpha: float = 0.5,
) -> Tensor:
    """f-DPO: DPO for a policy that is held to the reference by another divergence.

        logratios = pair(chosen_logps - ref_chosen_logps, rejected_logps - ref_rejected_logps)
        u = exp(logratios)
        f_reverse_kl = log(u) + 1
        f_forward_kl = -1 / u
        f_js = log(2 * u / (1 + u))
        f_alpha = (1 - u ** -alpha) / alpha
        f = named("f_" + divergence)
        margin = beta * (f[0] - f[1])
        L = -log(sigmoid(margin))
        df_reverse_kl = u ** 0
        df_forward_kl = 1 / u
        df_js = 1 / (1 + u)
        df_alpha = u ** -alpha
        df = named("df_" + divergence)
        dL/dchosen_logps = -beta * sigmoid(-margin) * df[0]
        dL/drejected_logps = beta * sigmoid(-margin) * df[1]

    where pair(x, y)[0] is x and [1] is y, f is the derivative f'(u) of the divergence's generator
    at the probability ratio u, and df its derivative by the log-ratio.

    Args:
        chosen_logps, rejected_logps: (batch,) summed log-probs under the policy, nats.
        ref_chosen_logps, ref_rejected_logps: (batch,) the same under the reference.
        beta: strength of the constraint; 0.1 as for `dpo`.
        divergence: "reverse_kl" is `dpo`; the others weigh a nat by the df above, the less the
            further a response has risen.
        alpha: of the alpha-divergence, in (0, 1]: towards 0 the reverse KL, at 1 the forward KL.

    Returns: (batch,) loss, nats; log 2 where the policy is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or the argument.
    Conventions: log-probs are sums over tokens, so ratios are of whole responses. In forward_kl
        and alpha an exponent above 20 counts as 20, without gradient. TRL's `f_divergence_type`,
        whose alpha is 1 less this one.
    Source: Wang et al. 2023, arXiv 2309.16240, Table 1, and its official code.
    """
    chosen_logratios = wide(chosen_logps) - wide(ref_chosen_logps)
    rejected_logratios = wide(rejected_logps) - wide(ref_rejected_logps)
    chosen_f = divergence_slope(chosen_logratios, divergence, alpha)
    rejected_f = divergence_slope(rejected_logratios, divergence, alpha)
    return -F.logsigmoid(beta * (chosen_f - rejected_f))


def divergence_slope(logratios: Tensor, divergence: str, alpha: float) -> Tensor:
    """f'(u) at u = exp(logratios), less a constant that cancels in a difference."""
    match divergence:
        case "forward_kl":
            return -(-logratios).clamp(max=20.0).exp()
        case "js":
            return F.logsigmoid(logratios)
        case "alpha":
            return -(-alpha * logratios).clamp(max=20.0).expm1() / alpha
    return logratios  # reverse_kl
