"""Small models and tasks that train in a second or two."""

from __future__ import annotations

import torch
import transformers as tf

from attnwidget.training import AttentionMonitor

PROBE = torch.tensor([[5, 9, 5, 9, 5, 7, 8, 5, 9]])
WORDS = 50


def gpt2(seed=0, *, layers=2, heads=2, dropout=0.1):
    torch.manual_seed(seed)
    return tf.GPT2LMHeadModel(
        tf.GPT2Config(
            vocab_size=WORDS,
            n_embd=8 * max(heads, 4),
            n_layer=layers,
            n_head=heads,
            n_positions=64,
            bos_token_id=0,
            eos_token_id=0,
            attn_pdrop=dropout,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
        )
    )


def llama(seed=0, *, layers=2, heads=4, keys=4):
    torch.manual_seed(seed)
    return tf.LlamaForCausalLM(
        tf.LlamaConfig(
            vocab_size=WORDS,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=keys,
            max_position_embeddings=64,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
        )
    )


def bert(seed=0):
    torch.manual_seed(seed)
    return tf.BertForMaskedLM(
        tf.BertConfig(
            vocab_size=WORDS,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=64,
        )
    )


def t5(seed=0):
    torch.manual_seed(seed)
    return tf.T5ForConditionalGeneration(
        tf.T5Config(
            vocab_size=WORDS, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0,
            pad_token_id=0,
        )
    )  # fmt: skip


def vit(seed=0):
    torch.manual_seed(seed)
    return tf.ViTForImageClassification(
        tf.ViTConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=16,
            patch_size=4, num_channels=1, num_labels=4,
        )
    )  # fmt: skip


def words(draw, rows=8, n=16):
    """Random words: nothing to learn but how often they come."""
    ids = torch.randint(2, WORDS, (rows, n), generator=draw)
    return {"input_ids": ids, "labels": ids}


def said_twice(draw, rows=16, n=16):
    """Random words said twice: what induction is for."""
    ids = torch.randint(2, WORDS, (rows, n // 2), generator=draw).repeat(1, 2)
    return {"input_ids": ids, "labels": ids}


def counted(draw, rows=8, n=16):
    """Numbers in order from a random one."""
    ids = 2 + (torch.randint(0, WORDS - 2, (rows, 1), generator=draw) + torch.arange(n)) % (WORDS - 2)
    return {"input_ids": ids, "labels": ids}


def masked(draw, rows=16):
    """Numbers in order, of which some are to be guessed."""
    ids = counted(draw, rows)["input_ids"]
    asked = torch.rand(ids.shape, generator=draw) < 0.2
    asked[0, 0] = True
    return {"input_ids": ids.masked_fill(asked, 1), "labels": ids.masked_fill(~asked, -100)}


def backwards(draw, rows=16):
    """Words to be said from the last to the first."""
    ids = torch.randint(2, WORDS, (rows, 8), generator=draw)
    return {"input_ids": ids, "labels": ids.flip(1)}


def stripes(draw, rows=16):
    """Pictures with a bright stripe in one of four places."""
    place = torch.randint(0, 4, (rows,), generator=draw)
    pixels = 0.3 * torch.randn(rows, 1, 16, 16, generator=draw)
    bright = torch.arange(16) // 4 == place[:, None]
    return {"pixel_values": pixels + bright[:, None, :, None], "labels": place}


def probe_of(model, task):
    """One example of a task, with its target where the model needs one."""
    example = {name: value[:1] for name, value in task(torch.Generator().manual_seed(99)).items()}
    return example if model.config.is_encoder_decoder else {k: v for k, v in example.items() if k != "labels"}


def train(model, task=words, steps=200, *, rate=1e-3, after=lambda step, loss: False, change=None, decay=0.01):
    """A plain loop; `change` breaks something before each step, `after` is asked whether to stop."""
    torch.manual_seed(7)
    draw = torch.Generator().manual_seed(1)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    for step in range(steps):
        if change is not None:
            change(step)
        loss = model(**task(draw)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if after(step, float(loss.detach())):
            break
    return model


def alerts_of(model, probe, task=words, **how):
    """Rules that come up in a training that is watched every tenth step, and the steps."""
    rules = how.pop("alert", ("nan", "collapse", "uniform", "sinks", "dying"))
    known = {name: how.pop(name) for name in ("prefix", "spans") if name in how}
    found = []
    monitor = AttentionMonitor(model, probe, every=10, alert=rules, on_alert=found.append, **known)
    train(model, task, after=lambda step, loss: monitor.step(step), **how)
    return found
