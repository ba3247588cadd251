"""The masks that are drawn are those of attention."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from plot_data import FRAME, make_utterance, random_bands

from espnet_dynlook.lookahead.naive import allowed
from espnet_dynlook.plots.masks import PAST, SHARED, WAITED, colours, draw
from espnet_dynlook.plots.style import PlotError
from espnet_dynlook.plots.utterance import equal_layers, from_trace, inside, square


def images(figure):
    """Return the images of a figure by panel title, spectrograms left out."""
    return {
        axes.get_title(loc="left"): axes.images[0].get_array()
        for axes in figure.axes
        if axes.images and axes.get_title(loc="left")
    }


@pytest.mark.parametrize("seed", range(5))
def test_matrix_is_what_each_frame_is_allowed_to_see(seed):
    bands = random_bands(seed, binary=True)
    drawn = images(draw([make_utterance(bands)]))
    lists = [band.tolist() for band in bands]
    for layer in range(3):
        image = drawn[f"layer {layer + 1}"]
        frames = image.shape[0]
        for row in range(frames):
            for column in range(frames):
                white = bool((image[row, column] == 1.0).all())
                assert white != allowed(lists, layer, row, column)
                if column <= row:
                    assert tuple(image[row, column]) == pytest.approx(to_rgb(PAST))


def test_band_view_is_the_band():
    bands = random_bands(0)
    drawn = images(draw([make_utterance(bands)], view="band"))
    for layer, band in enumerate(bands, 1):
        depth = 1.0 - drawn[f"layer {layer}"][:, :, 0].T  # red is what blue takes away
        np.testing.assert_allclose(depth, band * (1 - to_rgb(WAITED)[0]), atol=1e-6)


def test_darker_is_more_weight():
    weights = np.linspace(0, 1, 5)[None]
    grey = colours(weights, weights).mean(axis=2)[0]
    assert (np.diff(grey) < 0).all()


def test_what_is_shared_looks_different_from_what_is_waited_for():
    waited, seen = np.array([[1.0, 0.0, 0.0]]), np.array([[1.0, 1.0, 0.0]])
    image = colours(waited, seen)[0]
    assert tuple(image[0]) == pytest.approx(to_rgb(WAITED))
    assert tuple(image[1]) == pytest.approx(to_rgb(SHARED))
    assert tuple(image[2]) == (1.0, 1.0, 1.0)


def test_legend_names_shared_and_soft_only_where_they_are():
    def labels(*args, **kwargs):
        figure = draw([make_utterance(*args, **kwargs)])
        return [text.get_text() for text in figure.legends[0].get_texts()]

    hard = random_bands(0, binary=True)
    assert labels(hard) == ["future it waits for", "past and present"]
    assert "weight 0.5" in labels(random_bands(0))
    more = [inside(np.ones_like(band)) for band in hard]
    assert "future seen at no further delay" in labels(hard, seen=more)


def test_layers_with_equal_masks_are_drawn_once():
    one, other = random_bands(0, layers=2)
    assert equal_layers([one, one, other, one], 4) == [(1, 2), (3, 3), (4, 4)]
    assert list(images(draw([make_utterance([one] * 6)]))) == ["layers 1 to 6"]


def test_full_sees_everything():
    future = square(None, 4)
    assert future.tolist() == [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]
    image = images(draw([make_utterance(None, kind="full")]))["layers 1 to 3"]
    assert (image < 1).any(axis=2).all()


def test_causal_sees_no_future():
    bands = [np.zeros((10, 0))] * 2
    image = images(draw([make_utterance(bands)]))["layers 1 to 2"]
    assert ((image < 1).any(axis=2) == np.tri(10, dtype=bool)).all()
    draw([make_utterance(bands)], view="band")


def test_two_systems_stand_side_by_side_on_one_scale_of_time():
    both = [make_utterance(random_bands(0), "one"), make_utterance(None, "two", "full")]
    figure = draw(both)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles.index("one") < titles.index("two")
    assert len({axes.get_xlim() for axes in figure.axes}) == 1


def test_a_part_is_shown_where_asked_for():
    figure = draw([make_utterance(random_bands(0))], start=0.2, end=0.6)
    assert {axes.get_xlim() for axes in figure.axes} == {(0.2, 0.6)}


@pytest.mark.parametrize(("start", "end"), [(5.0, None), (0.5, 0.4), (-1.0, None)])
def test_a_part_outside_is_refused_with_the_length(start, end):
    with pytest.raises(PlotError, match=f"the utterance has {30 * FRAME:.2f} s"):
        draw([make_utterance(random_bands(0))], start=start, end=end)


def test_words_are_over_their_time(words):
    figure = draw([make_utterance(random_bands(0), words=words)])
    texts = {text.get_text(): text for text in figure.axes[0].texts}
    for word in words:
        x, _ = texts[word.text].get_position()
        assert word.start <= x <= word.end


def test_wait_is_the_latency_of_the_bands():
    utterance = make_utterance(random_bands(3, binary=True))
    title = draw([utterance]).axes[-1].get_title(loc="left")
    mean, p90 = utterance.latency_ms.mean(), np.percentile(utterance.latency_ms, 90)
    assert title == (
        f"wait of each frame; in all mean {mean:.0f} ms (dashed), p90 {p90:.0f} ms"
    )


def test_words_are_shown_where_most_of_them_is_shown(words):
    utterance = make_utterance(random_bands(0), words=words)
    figure = draw([utterance], start=0.3, end=0.8)
    assert [text.get_text() for text in figure.axes[0].texts] == ["THERE"]


def test_bands_of_two_systems_have_one_scale():
    both = [make_utterance(random_bands(0, most=2)), make_utterance(random_bands(1))]
    figure = draw(both, view="band")
    panels = [a for a in figure.axes if a.get_title(loc="left").startswith("layer")]
    assert {axes.get_ylim() for axes in panels} == {(0.0, 1000 * FRAME * 4)}


def test_an_encoder_alone_is_drawn_with_the_masks_it_used():
    """Without a model around it, as in a task of made-up sequences."""
    from espnet_dynlook.encoder.conformer import DynlookConformerEncoder

    torch.manual_seed(0)
    encoder = DynlookConformerEncoder(
        5,
        output_size=8,
        attention_heads=2,
        linear_units=8,
        num_blocks=2,
        input_layer="linear",
        rel_pos_type="latest",
        lookahead="dynamic",
        lookahead_frames=3,
        share_wait=True,
        lookahead_scheduler="frame",
        scheduler_bias=0.0,
    ).eval()
    features = torch.randn(2, 30, 5)
    encoder(features, torch.tensor([20, 30]))
    utterance = from_trace("learned", encoder, features[0, :20], 0.04)
    assert (utterance.num_frames, utterance.kind) == (20, "dynamic")
    trace = encoder.lookahead
    expected = trace.algorithmic_latency()[0, :20] * 40
    np.testing.assert_allclose(utterance.latency_ms, expected, rtol=1e-6)
    for layer in range(2):
        np.testing.assert_allclose(utterance.seen[layer], trace.seen[layer][0, :20])
        np.testing.assert_allclose(utterance.bands[layer], trace.bands[layer][0, :20])
    draw([utterance])
