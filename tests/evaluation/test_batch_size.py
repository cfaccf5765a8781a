import pytest

from asli.detector.runtimes import TorchRuntime
from asli.evaluation.evaluate import evaluate
from tests.compare import SAME


def test_it_changes_how_many_images_are_computed_at_a_time_and_no_score(finished, sample, monkeypatch):
    computed, original = [], TorchRuntime.logits

    def counting(self, fitted):
        computed.append(len(fitted))
        return original(self, fitted)

    plain = evaluate(finished.path, sample, split="validation")
    monkeypatch.setattr(TorchRuntime, "logits", counting)
    small = evaluate(finished.path, sample, split="validation", batch_size=130)
    assert computed == [130, 130, 40]
    one, other = (result.attachments.scores["score"].to_numpy() for result in (plain, small))
    assert other == pytest.approx(one, abs=SAME)
