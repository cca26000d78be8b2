"""Losses on a denoiser: squared errors of predicted noise stand in for log-probs."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .numerics import wide
from .registry import diffusion


@diffusion(paper="102", reference=True, logps="none", ranges={"beta": "(0, inf)"})
def diffusion_dpo(
    chosen_errors: Tensor,
    rejected_errors: Tensor,
    ref_chosen_errors: Tensor,
    ref_rejected_errors: Tensor,
    *,
    beta: float = 5000.0,
) -> Tensor:
    """Diffusion-DPO: DPO where minus the denoising error bounds the log-likelihood.

        error = chosen_errors - rejected_errors
        ref_error = ref_chosen_errors - ref_rejected_errors
        margin = -0.5 * beta * (error - ref_error)
        L = -log(sigmoid(margin))
        dL/dchosen_errors = 0.5 * beta * sigmoid(-margin)
        dL/drejected_errors = -0.5 * beta * sigmoid(-margin)

    Args:
        chosen_errors, rejected_errors: (batch,) mean squared error of the predicted noise.
        ref_chosen_errors, ref_rejected_errors: (batch,) the same under the reference.
        beta: strength, with the number of steps T and the step's weight folded in; 5000 as for
            SDXL in the paper. Errors summed over d elements, not averaged, want beta / d.

    Returns: (batch,) loss, nats; log 2 where the denoiser is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: errors are means over the elements, with the 1/2 of the official code; all four
        errors of a row share one time step and one noise.
    Source: Wallace et al. 2023, arXiv 2311.12908 (paper 102), Eq. 14 and the official train.py.
    """
    error = wide(chosen_errors) - wide(rejected_errors)
    ref_error = wide(ref_chosen_errors) - wide(ref_rejected_errors)
    return -F.logsigmoid(-0.5 * beta * (error - ref_error))


@diffusion(paper="009", reference=True, logps="none", ranges={"beta": "(0, inf)"})
def timestep_diffusion_dpo(
    chosen_errors: Tensor,
    rejected_errors: Tensor,
    ref_chosen_errors: Tensor,
    ref_rejected_errors: Tensor,
    weights: Tensor,
    *,
    beta: float = 5000.0,
) -> Tensor:
    """Diffusion-DPO whose reward counts more at noisy time steps, where it is smallest.

        error = chosen_errors - rejected_errors
        ref_error = ref_chosen_errors - ref_rejected_errors
        margin = -0.5 * beta * weights * (error - ref_error)
        L = -log(sigmoid(margin))
        dL/dchosen_errors = 0.5 * beta * weights * sigmoid(-margin)
        dL/drejected_errors = -0.5 * beta * weights * sigmoid(-margin)

    Args:
        chosen_errors, rejected_errors: (batch,) mean squared error of the predicted noise.
        ref_chosen_errors, ref_rejected_errors: (batch,) the same under the reference.
        weights: (batch,) 1 + 1 / sqrt(SNR) of the row's time step, the second term scaled to [0, 1]
            over the steps; 1 throughout is `diffusion_dpo`.
        beta: strength, with the number of steps T folded in; 5000 as for SDXL in paper 102.

    Returns: (batch,) loss, nats; log 2 where the denoiser is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: errors are means over the elements, with the 1/2 of paper 102's code; all four
        errors of a row share one time step and one noise. The paper's other parts, the moving
        reference and the choice of steps, lie outside the loss; it scales the weights to [0, 1] by
        our reading of its figure.
    Source: Kang et al. 2025, arXiv 2505.18736 (paper 009), Eq. 6 and "timestep-aware" part.
    """
    error = wide(chosen_errors) - wide(rejected_errors)
    ref_error = wide(ref_chosen_errors) - wide(ref_rejected_errors)
    return -F.logsigmoid(-0.5 * beta * wide(weights) * (error - ref_error))


@diffusion(paper="113", logps="none", ranges={"beta": "(0, inf)", "lambda_": "[0, inf)"})
def diffusion_cpo(
    chosen_errors: Tensor,
    rejected_errors: Tensor,
    *,
    beta: float = 5000.0,
    lambda_: float = 1.0,
) -> Tensor:
    """Diffusion-CPO: no reference; the chosen image's denoising error keeps the model in place.

        margin = -beta * (chosen_errors - rejected_errors)
        L = -log(sigmoid(margin)) + lambda_ * chosen_errors
        dL/dchosen_errors = beta * sigmoid(-margin) + lambda_
        dL/drejected_errors = -beta * sigmoid(-margin)

    Args:
        chosen_errors, rejected_errors: (batch,) mean squared error of the predicted noise (latent
            CPO), or of a frozen encoder's features one denoising step on (NCP-CPO).
        beta: scale of the preference term, with the number of steps T folded in; 5000 as for
            `diffusion_dpo`, since we know of none in the paper. Feature errors want another.
        lambda_: weight of the denoising term; 1 here.

    Returns: (batch,) loss, nats and lambda_ times the error's unit.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: no 1/2, as the paper writes it; both errors of a row share one time step and one
        noise. NCP-DPO is `diffusion_dpo` on feature errors.
    Source: Gambashidze et al. 2024, arXiv 2406.17636 (paper 113); after Xu et al. 2024 (CPO).
    """
    chosen_errors = wide(chosen_errors)
    margin = -beta * (chosen_errors - wide(rejected_errors))
    return -F.logsigmoid(margin) + lambda_ * chosen_errors


@diffusion(
    paper="2406.06424",
    logps="none",
    ranges={"beta": "[0, inf)", "snr": "(0, inf)", "steps": "(0, inf)"},
)
def mapo_diffusion(
    chosen_errors: Tensor,
    rejected_errors: Tensor,
    *,
    beta: float = 0.1,
    snr: float = 0.5,
    steps: float = 1000.0,
) -> Tensor:
    """MaPO (margin-aware): denoise the chosen image, and keep a bounded margin to the rejected one.

        x = snr * chosen_errors
        y = snr * rejected_errors
        x_score = where(x > 1e-6, x / (exp(x) - 1), 1 - x / 2)
        y_score = where(y > 1e-6, y / (exp(y) - 1), 1 - y / 2)
        margin = steps * (x_score - y_score)
        L = chosen_errors - beta * log(sigmoid(margin))
        x_slope = where(x > 1e-2, x_score * (1 - x_score - x) / x, x / 6 - 1 / 2)
        y_slope = where(y > 1e-2, y_score * (1 - y_score - y) / y, y / 6 - 1 / 2)
        dL/dchosen_errors = 1 - beta * sigmoid(-margin) * steps * snr * x_slope
        dL/drejected_errors = beta * sigmoid(-margin) * steps * snr * y_slope

    A score lies between 1, without error, and 0, and its slope between -1/2 and 0: no pull on an
    image that is far off already. Errors near 0 have the score's series.

    Args:
        chosen_errors, rejected_errors: (batch,) mean squared error of the predicted noise.
        beta: weight of the preference term; 0.1 as in the official code.
        snr: what turns an error into minus a log-probability; 0.5 as in the official code.
        steps: number of time steps T, the scale of the margin; 1000 as in Stable Diffusion.

    Returns: (batch,) loss.
    Raises: ValueError that names the tensor which does not fit the other, or the number.
    Conventions: the official code's score, x / (exp(x) - 1); it calls the margin a log odds ratio,
        which it is not. Errors are means over the elements; both of a row share one time step and
        one noise. Not paper 117's MaPO, which masks DPO by a model's activations.
    Source: Hong et al. 2024, arXiv 2406.06424, and the official code.
    """
    chosen_errors = wide(chosen_errors)
    margin = steps * (_score(snr * chosen_errors) - _score(snr * wide(rejected_errors)))
    return chosen_errors - beta * F.logsigmoid(margin)


def _score(x: Tensor) -> Tensor:
    """x / (exp(x) - 1) for x >= 0, by its series near 0."""
    near = x < 0.01
    series = 1 - x / 2 + x.square() / 12
    x = x.where(~near, 1.0)  # no 0 / 0 in the unused branch
    return torch.where(near, series, -x * (-x).exp() / torch.expm1(-x))


@diffusion(paper="Zhu et al. 2025", reference=True, logps="none", ranges={"beta": "(0, inf)"})
def dspo(
    chosen_errors: Tensor,
    rejected_errors: Tensor,
    ref_chosen_errors: Tensor,
    ref_rejected_errors: Tensor,
    chosen_drift: Tensor,
    *,
    beta: float = 0.001,
) -> Tensor:
    """DSPO (score): denoise the chosen image, to a target a preference's gradient away from it.

        error = chosen_errors - rejected_errors
        ref_error = ref_chosen_errors - ref_rejected_errors
        margin = -0.5 * beta * (error - ref_error)
        c = beta * sigmoid(-margin)
        cross = chosen_errors + chosen_drift - ref_chosen_errors
        L = chosen_errors - c * cross + c ** 2 * chosen_drift
        slope = beta ** 2 / 2 * sigmoid(margin) * sigmoid(-margin) * (2 * c * chosen_drift - cross)
        dL/dchosen_errors = 1 - c + slope
        dL/drejected_errors = -slope
        dL/dchosen_drift = c ** 2 - c

    It is the mean square of `(noise' - noise) - c * (noise' - ref_noise')`, the predictions marked,
    written in the three distances between model, reference and noise.

    Args:
        chosen_errors, rejected_errors: (batch,) mean squared error of the predicted noise.
        ref_chosen_errors, ref_rejected_errors: (batch,) the same under the reference.
        chosen_drift: (batch,) mean squared difference of the model's and the reference's prediction
            on the chosen image (`prediction_drift`).
        beta: strength; 0.001 as in the official code for SD 1.5, which searches up to 0.05.

    Returns: (batch,) loss; the chosen error where the denoiser is the reference.
    Raises: ValueError that names the tensor which does not fit the others, or beta.
    Conventions: the gradient flows through c, as in the official code for SD 1.5; for SDXL that
        code minimises something else. Errors are means over the elements, and all inputs of a row
        share one time step and one noise.
    Source: Zhu et al. 2025, "DSPO: Direct Score Preference Optimization for Diffusion Model
        Alignment", ICLR (OpenReview xyfb9HHvMe), and the official code.
    """
    chosen_errors, chosen_drift = wide(chosen_errors), wide(chosen_drift)
    ref_chosen_errors = wide(ref_chosen_errors)
    error = chosen_errors - wide(rejected_errors)
    ref_error = ref_chosen_errors - wide(ref_rejected_errors)
    c = beta * torch.sigmoid(0.5 * beta * (error - ref_error))
    cross = chosen_errors + chosen_drift - ref_chosen_errors
    return chosen_errors - c * cross + c.square() * chosen_drift


@diffusion(
    paper="2404.04465",
    reference=True,
    logps="none",
    shapes={"kl": ""},
    ranges={
        "beta": "(0, inf)",
        "lambda_desirable": "[0, inf)",
        "lambda_undesirable": "[0, inf)",
    },
)
def diffusion_kto(
    errors: Tensor,
    ref_errors: Tensor,
    desirable: Tensor,
    kl: Tensor,
    *,
    beta: float = 1000.0,
    lambda_desirable: float = 1.0,
    lambda_undesirable: float = 1.0,
) -> Tensor:
    """Diffusion-KTO: KTO on single images that were liked or not, minus errors for log-probs.

        gain = beta * (ref_errors - errors - kl)
        good = lambda_desirable * (1 - sigmoid(gain))
        bad = lambda_undesirable * (1 - sigmoid(-gain))
        L = where(desirable, good, bad)
        weight = where(desirable, lambda_desirable, -lambda_undesirable)
        dL/derrors = weight * beta * sigmoid(gain) * sigmoid(-gain)

    Args:
        errors, ref_errors: (batch,) mean squared error of the predicted noise, under the denoiser
            and the reference.
        desirable: (batch,) bool, True for an image that was liked.
        kl: () the reference point Q, in the errors' unit: the batch's mean of `ref_errors - errors`
            if that is positive, else 0; held constant.
        beta: strength, with the number of steps T folded in; 1000 as in the official code.
        lambda_desirable, lambda_undesirable: weights of the two kinds; 1 as in the official code.

    Returns: (batch,) loss, between 0 and its weight.
    Raises: ValueError that names the tensor which does not fit the others, or the number.
    Conventions: the sigmoid utility, the paper's choice. No 1/2 before beta, unlike
        `diffusion_dpo`. The reference point is the batch's own mean, not that of mismatched pairs
        as in `kto`.
    Source: Li et al. 2024, arXiv 2404.04465, and the official code.
    """
    gain = beta * (wide(ref_errors) - wide(errors) - wide(kl).detach())
    good = lambda_desirable * torch.sigmoid(-gain)  # 1 - sigmoid(gain)
    bad = lambda_undesirable * torch.sigmoid(gain)
    return torch.where(desirable, good, bad)
