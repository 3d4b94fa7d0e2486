"""What interleaved RB converges to with unlimited data, against the true error of the noisy block: exact, no sampling."""

import bias
import exact
import numpy as np
import pytest

FAMILY = {f.name: f for f in bias.FAMILIES}
CURED = [n for n in FAMILY if not n.endswith(("(a)", "(b)"))]


@pytest.mark.parametrize("name", CURED)
def test_padded_protocol_finds_the_true_error(name: str) -> None:
    row = bias.bias(FAMILY[name], 1e-2)
    assert row.true_error == pytest.approx(1e-2, rel=1e-6)
    assert abs(row.padded) < FAMILY[name].tolerance
    assert abs(row.native_padded) < 0.005


@pytest.mark.parametrize("name", [n for n in FAMILY if not n.endswith("(b)") and ("(a)" in n or "ZZ, ZI, IZ" in n)])
def test_remaining_bias_falls_with_the_error(name: str) -> None:
    # a product's eigenvalue is not the product of eigenvalues where noise is not depolarizing: second order in the error of a step
    assert abs(bias.bias(FAMILY[name], 1e-3).padded) < 0.0015


def test_known_limit_phase_errors_of_frame_gates() -> None:
    # a z rotation after each pulse: the block's own frame gates interfere with the padding's; the native gate alone is right
    row = bias.bias(FAMILY["cz ZZ, ZI, IZ; sx phase error (b)"], 1e-3)
    assert -0.10 < row.padded < -0.05
    assert row.plain > 0.5
    assert abs(row.native_padded) < 0.001


def test_plain_protocol_is_wrong_under_coherent_errors() -> None:
    for name in ("cz over-rotated: ZZ, ZI, IZ", "cz ZZ, ZI, IZ; sx over-rotated"):
        row = bias.bias(FAMILY[name], 1e-2)
        assert row.plain > 0.15
        assert row.native_plain > 0.3


def test_both_protocols_agree_under_depolarizing_noise() -> None:
    for target in bias.TARGETS:
        row = bias.bias(FAMILY["depolarizing"], target)
        assert max(abs(row.plain), abs(row.padded)) < 0.001


@pytest.mark.parametrize("padded", [False, True])
def test_eigenvalue_is_the_decay_of_random_sequences(padded: bool) -> None:
    simulated = FAMILY["cz ZZ, ZI, IZ; sx over-rotated"].device_at(1e-2)
    model = exact.PairModel.of(simulated.device, simulated.noise)
    lengths = np.array([2, 12])
    survival = exact.mean_survival(model, lengths, 1500, np.random.default_rng(5), padded=padded) - 0.25
    seen = (survival[:, 1] / survival[:, 0]) ** (1 / (lengths[1] - lengths[0]))
    assert 1 - seen == pytest.approx(1 - np.array(exact.decays(model, padded=padded)), rel=0.05)
