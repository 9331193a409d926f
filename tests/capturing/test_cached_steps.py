"""Steps of a generation, read one after the other: rows joined, whatever holds the keys in between."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers as tf

import attnwidget as aw
from tests.capturing.families import FOUR, cache_of, cached, ids, made


class Silent(tf.DynamicCache):
    """A cache that tells its length to the model alone."""

    def __init__(self, other):
        super().__init__()
        self.__dict__.update(other.__dict__)

    def get_seq_length(self, *args, **options):
        import sys

        asked_by = sys._getframe(1).f_globals["__name__"]
        return 0 if asked_by.startswith("attnwidget") else super().get_seq_length(*args, **options)


class TestSteps:
    """Rows joined are as many as tokens read, whatever holds the keys in between."""

    @pytest.mark.parametrize("family", ["llama-grouped", "gpt2", "gemma2-softcap"])
    @pytest.mark.parametrize("change", ["copied", "rebuilt"])
    def test_a_cache_that_is_another_one_in_each_step(self, family, change):
        model, read, held, new = made(family), [], {}, ids(1, 9)
        with aw.recording(model) as recorder, torch.no_grad():
            for _ in range(4):
                step = model(input_ids=new, use_cache=True, **held)
                read.append(new)
                cache = copy.deepcopy(cache_of(step))
                if change == "rebuilt":
                    cache = Silent(cache)
                held, new = cached(model, cache), step.logits[:, -1:].argmax(-1)
        whole = torch.cat(read, 1)
        maps = recorder.capture(generated=torch.cat([whole, new], 1)).maps
        assert maps.tokens.ids == tuple(whole[0].tolist())
        assert maps.following == str(int(new))
        wanted = aw.capture(model, whole).maps
        for layer in range(2):
            torch.testing.assert_close(maps.weights(layer, 1), wanted.weights(layer, 1), atol=2e-6, rtol=0)

    def test_a_cache_that_changes_what_it_keeps_is_no_single_step(self):
        class Rounded(tf.DynamicCache):
            """Hands its keys back rounded, as quantised caches do, and in another object each time."""

            def update(self, key, value, *rest, **more):
                key, value = super().update(key, value, *rest, **more)
                return (key * 8).round() / 8, value

        model, held, new = made("llama-grouped"), cached(made("llama-grouped"), Rounded()), ids(1, 9)
        with aw.recording(model) as recorder, torch.no_grad():
            for _ in range(3):
                step = model(input_ids=new, use_cache=True, **held)
                held, new = cached(model, copy.deepcopy(cache_of(step))), step.logits[:, -1:].argmax(-1)
        try:
            maps = recorder.capture(-1).maps
        except ValueError as error:
            assert "cannot be joined" in str(error) or "does not give back" in str(error)  # noqa: PT017
        else:
            assert maps.n_queries == 11
            rounded = (recorder._recorder.passes[0].calls[0].key * 8).round() / 8
            assert torch.equal(maps.layers[0].k[:, :9], rounded[0, :, :9])

    @pytest.mark.parametrize("slots", [1, 2])
    def test_keys_beside_those_of_the_cache_stay(self, slots):
        class Memory(tf.DynamicCache):
            def update(self, key, value, *rest, **more):
                key, value = super().update(key, value, *rest, **more)
                learned = torch.ones(*key.shape[:2], slots, key.shape[3])
                return torch.cat([key, learned], 2), torch.cat([value, learned], 2)

        model = made("llama-grouped")
        sees = torch.cat([torch.ones(9, 9).tril(), torch.ones(9, slots)], 1).bool()[None, None]
        with aw.recording(model) as recorder, torch.no_grad():
            model(input_ids=ids(1, 9), attention_mask=sees, **cached(model, Memory(config=model.config)))
        maps = recorder.capture().maps
        assert (maps.n_queries, maps.n_keys) == (9, 9 + slots)
        torch.testing.assert_close(maps.weights(0, 0).sum(-1), torch.ones(9))
        assert bool((maps.weights(1, 2)[:, -slots:] > 0).all())

    @pytest.mark.parametrize("answer", ["alone", "alone in a dict", "behind a start"])
    def test_what_a_generate_of_one_s_own_returns(self, answer):
        model, prompt = made("llama-grouped"), ids(1, 9)
        whole = model.generate
        cut = 1 if answer == "behind a start" else 9

        def generate(input_ids, **options):
            out = whole(input_ids, **options)
            sequences = getattr(out, "sequences", out)[:, cut:]
            return {"sequences": sequences} if answer == "alone in a dict" else sequences

        model.generate = generate
        with aw.recording(model) as recorder:
            out = model.generate(prompt, **FOUR)
        model.generate = generate
        for run in (recorder.capture(generated=out), aw.capture(model, {"input_ids": prompt}, generate=FOUR)):
            assert run.maps.tokens.ids[:9] == tuple(prompt[0].tolist())
            assert run.maps.n_queries == 12
            returned = out["sequences"] if isinstance(out, dict) else out
            assert run.maps.following == str(int(returned[0, -1]))

    def test_a_layer_that_is_left_out_of_some_steps(self):
        model = made("llama-grouped")
        layer = model.model.layers[1]
        plain = layer.forward
        layer.forward = lambda hidden, *args, **options: (
            hidden if hidden.shape[1] == 1 else plain(hidden, *args, **options)
        )
        with pytest.warns(aw.AttentionWarning, match=r"layers\.1\.self_attn: it attended in 1 of 4 steps"):
            run = aw.capture(model, {"input_ids": ids(1, 9)}, generate=FOUR)
        assert run.maps.layer_numbers == (0,)
        assert run.maps.n_queries == 12

    def test_something_else_than_was_read_is_said(self):
        model = made("llama-grouped")
        with aw.recording(model) as recorder:
            model.generate(ids(1, 9), **FOUR)
        with pytest.warns(aw.AttentionWarning, match="is not what the model read"):
            maps = recorder.capture(generated=torch.full((1, 6), 3)).maps
        assert maps.n_queries == 12
        assert maps.following is None
