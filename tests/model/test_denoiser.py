"""A network as a denoiser: predictions, classifier-free guidance, clipping."""

import pytest
import torch

from its.levels import Columns, Guess
from its.model.classifier_free import Autoguided
from its.model.denoiser import ClassifierFree, Clipping, NetworkDenoiser, guess_from
from its.sampler.ddim import DDIM
from its.sampler.noise_paths import Flow, linear_vp

NULL = 7


def levels(path, *times):
    return Columns.of([path.level(time) for time in times], 2, "cpu")


def network(x, time, label):
    """Return a prediction that tells its arguments apart, row by row."""
    return x * label[:, None] + time[:, None].to(x)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction", "flow"])
def test_guess_from_recovers_x0_and_eps_from_every_prediction_type(prediction):
    path = Flow() if prediction == "flow" else linear_vp()
    t = levels(path, *((0.9, 0.2) if prediction == "flow" else (900, 10)))
    x0, eps = torch.randn(2, 2, 5, dtype=torch.float64)
    truth = {"epsilon": eps, "sample": x0, "v_prediction": t.alpha * eps - t.sigma * x0, "flow": eps - x0}
    guess = guess_from(prediction, truth[prediction], t.alpha * x0 + t.sigma * eps, t)
    torch.testing.assert_close(guess.x0, x0)
    torch.testing.assert_close(guess.eps, eps)


def test_guess_from_refuses_an_unknown_prediction_type():
    with pytest.raises(ValueError, match="prediction is 'score'; it is epsilon, v_prediction, sample or flow"):
        guess_from("score", torch.zeros(1, 1), torch.zeros(1, 1), levels(linear_vp(), 3))


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5])
def test_classifier_free_mixes_two_evaluations(scale):
    x, time, label = torch.randn(3, 5), torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 4, 2])
    cond, uncond = network(x, time, label), network(x, time, torch.full_like(label, NULL))
    expected = (1 - scale) * uncond + scale * cond
    torch.testing.assert_close(ClassifierFree(network, scale, NULL)(x, time, label), expected)


@pytest.mark.parametrize("channels", [None, 2])
def test_autoguided_goes_away_from_the_weak_network_at_the_same_label(channels):
    x, time, label = torch.randn(3, 5), torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 4, 2])
    strong, weak = network(x, time, label), 0.5 * network(x, time, label)
    expected = 2.5 * strong - 1.5 * weak
    expected[:, channels or 5 :] = strong[:, channels or 5 :]
    made = Autoguided(network, lambda *rows: 0.5 * network(*rows), 2.5, channels)(x, time, label)
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize("scale", [0.0, 2.5])
def test_classifier_free_evaluates_a_batch_guided_in_part_by_as_many_network_rows(scale):
    """Rows 0 and 3 are guided: two network rows each, so that the last two no longer fit into five."""
    x, time, label = torch.randn(5, 5), torch.arange(5.0), torch.tensor([0, 4, 2, 1, 3])
    inside, given = torch.tensor([True, False, False, True, False]), []

    def watched(*rows):
        given.append(len(rows[0]))
        return network(*rows)

    whole = ClassifierFree(network, scale, NULL)(x, time, label)
    plain = network(x, time, label)
    output = ClassifierFree(watched, scale, NULL, inside)(x, time, label)
    expected = torch.where(inside[:, None], whole, plain)
    assert given == [5]
    torch.testing.assert_close(output[:3], expected[:3])
    torch.testing.assert_close(output[3:], torch.zeros(2, 5))
    everywhere = ClassifierFree(network, scale, NULL, torch.tensor([False] * 5))(x, time, label)
    assert torch.equal(everywhere, plain)


def test_classifier_free_in_part_takes_the_conditional_variance():
    def two_outputs(x, time, label):
        return torch.cat([network(x, time, label), 0 * x + label[:, None]], dim=1)

    x, time, label = torch.randn(3, 5), torch.arange(3.0), torch.tensor([0, 4, 2])
    output = ClassifierFree(two_outputs, 2.0, NULL, torch.tensor([True, False, False]))(x, time, label)
    assert output.shape == (3, 10)
    assert output[:2, 5:].mean(1).tolist() == [0, 4]


@pytest.mark.parametrize("inside", [None, torch.tensor([True, False, False, False])])
def test_classifier_free_guides_the_first_channels_alone(inside):
    """As DiT and SiT, three of four; the fourth, and a learned variance behind it, are the conditional ones."""

    def outputs(x, time, label):
        return torch.cat([x, x + 1], dim=1) * label[:, None]

    x, time, label = torch.randn(4, 4), torch.arange(4.0), torch.tensor([1, 4, 2, 3])
    cond, uncond = outputs(x, time, label), outputs(x, time, torch.full_like(label, NULL))
    made = ClassifierFree(outputs, 2.5, NULL, inside, guided_channels=3)(x, time, label)
    torch.testing.assert_close(made[:1, :3], uncond[:1, :3] + 2.5 * (cond[:1, :3] - uncond[:1, :3]))
    assert torch.equal(made[:1, 3:], cond[:1, 3:])
    if inside is not None:
        assert torch.equal(made[1:3], cond[1:3])


@pytest.mark.parametrize("count", [0, 5, 2.5])
def test_network_denoiser_refuses_to_guide_other_channels(count):
    with pytest.raises(ValueError, match=rf"model\.guided_channels is {count}; it is from 1 to 4, or null"):
        NetworkDenoiser(network, linear_vp(), "epsilon", (4,), guided_channels=count)


def test_clipping_keeps_eps_or_derives_it_anew():
    t = levels(linear_vp(), 900, 10)
    guess = Guess(3 * torch.randn(2, 50), torch.randn(2, 50))
    x = t.alpha.float() * guess.x0 + t.sigma.float() * guess.eps
    plain, consistent = (Clipping(1.0, rederive)(guess, t) for rederive in (False, True))
    assert torch.equal(plain.x0, guess.x0.clamp(-1, 1))
    assert torch.equal(plain.eps, guess.eps)
    assert torch.equal(consistent.x0, plain.x0)
    torch.testing.assert_close(t.alpha.float() * consistent.x0 + t.sigma.float() * consistent.eps, x)


@pytest.mark.parametrize(
    ("arguments", "label"),
    [({"conditional": True}, 3), ({"null_class": NULL}, NULL), ({"conditional": True, "null_class": NULL}, 3)],
)
def test_network_denoiser_gives_labels(arguments, label):
    path, x = linear_vp(), torch.randn(2, 5)
    t = levels(path, 900, 10)
    guess = NetworkDenoiser(network, path, "epsilon", (5,), clip=None, **arguments)(x, t, [3, 3])
    assert torch.equal(guess.eps, network(x, torch.tensor([900.0, 10.0]), torch.tensor([label, label])))


def test_network_denoiser_without_labels_gives_none():
    path, x = linear_vp(), torch.randn(2, 5)
    model = NetworkDenoiser(lambda x, time, label: x if label is None else 0 * x, path, "epsilon", (5,), clip=None)
    assert torch.equal(model(x, levels(path, 900, 10), [None, None]).eps, x)


def test_network_denoiser_refuses_guidance_without_two_labels():
    arguments = (network, linear_vp(), "epsilon", (5,))
    with pytest.raises(ValueError, match=r"model\.guidance_scale is 2.0 on an unconditional model"):
        NetworkDenoiser(*arguments, null_class=NULL, guidance_scale=2.0)
    with pytest.raises(
        ValueError, match=r"model\.guidance_scale is 2.0, and this network has no label for no condition"
    ):
        NetworkDenoiser(*arguments, conditional=True, guidance_scale=2.0)
    assert NetworkDenoiser(*arguments, conditional=True, null_class=NULL, guidance_scale=2.0).slots == 2


def test_engine_refuses_a_model_that_lacks_what_denoiser_states(lab):
    class Old:
        """A model of before there was `clipping`."""

        shape, dtype, device, path, slots, decoder = (1, 4, 4), torch.float32, torch.device("cpu"), linear_vp(), 1, None

    with pytest.raises(ValueError, match=r"model Old has no clipping, variance; inherit from its.Denoiser"):
        lab.engine(DDIM(steps=2), Old())


def test_network_denoiser_of_latents_has_its_decoder_and_clips_nothing():
    class Decoder:
        shape = (1, 8, 8)

    decoder = Decoder()
    model = NetworkDenoiser(network, Flow(), "flow", (4, 2, 2), clip=None, decoder=decoder)
    assert model.decoder is decoder
    with pytest.raises(ValueError, match=r"clip is 1\.0 on a model with a decoder.*give clip=None"):
        NetworkDenoiser(network, Flow(), "flow", (4, 2, 2), decoder=decoder)
