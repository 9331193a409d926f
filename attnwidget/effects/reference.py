"""Reference: what heads put out for other texts, to stand for what they put out for the text at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.changes import Attended
from attnwidget.capturing.registry import changed_by
from attnwidget.effects.examples import batches
from attnwidget.effects.replacing import Mean

__all__ = ["Reference"]


@dataclass(frozen=True)
class Reference:
    """What the heads of each module put out for other texts.

    Parameters
    ----------
    put_out : dict of nn.Module to Tensor [tokens, heads, width]
        In the mean, or for one text; of one row, where the texts had several lengths.
    repeats : bool
        Whether a longer text begins again at the first row; else all its rows get the mean of these.
    """

    put_out: dict[nn.Module, Tensor]
    repeats: bool

    @classmethod
    def of(cls, model: nn.Module, data: Any, tokenizer: Any, what: str) -> Reference:
        """The mean over texts, or the first of them for "resample".

        Raises
        ------
        TypeError, ValueError
            When data is of a kind that cannot be run, or is empty; when what heads put out is not seen.
        """
        means: dict[nn.Module, Mean] = {}

        def keep(attended: Attended) -> None:
            output = attended.output
            if output is None:
                raise ValueError(f"what the heads of {attended.call.place.module!r} put out is not seen by itself.")
            rank = torch.arange(output.shape[2]) + attended.queries.cpu()[:, None]
            rows = output.detach().transpose(1, 2).cpu()  # [batch, tokens, heads, width]
            if what == "resample":
                rank, rows = rank[:1], rows[:1]
            real = rank >= 0
            means.setdefault(attended.module, Mean()).add(rows[real], rank[real])

        with changed_by(model, keep) as recorder, torch.no_grad():
            for batch in batches(model, data, tokenizer):
                model(**batch)
                if what == "resample":
                    break
        if recorder.failure is not None:
            raise recorder.failure
        return cls({module: mean.value for module, mean in means.items()}, what == "resample")

    def instead(self, attended: Attended) -> Tensor:
        """What stands for what all heads of a module put out: [batch, heads, queries, width].

        Raises
        ------
        ValueError
            When the module did not run for the other texts.
        """
        kept = self.put_out.get(attended.module)
        if kept is None:
            raise ValueError(f"{attended.call.place.module!r} did not attend in the reference.")
        output = attended.output
        assert output is not None  # noqa: S101 - asked before
        places = (torch.arange(output.shape[2]) + attended.queries.cpu()[:, None]).clamp(min=0)
        if self.repeats:
            rows = kept[places % len(kept)]
        elif int(places.max()) < len(kept) == int(places.max()) + 1:
            rows = kept[places]
        else:
            rows = kept.mean(0).expand(*places.shape, -1, -1)
        return rows.transpose(1, 2).to(output)
